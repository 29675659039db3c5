"""Subjects whose decoder layers run elsewhere: on NDIF, through nnsight's `remote`, or as if they did.

Tokenizer, image processor, vision tower, embeddings and vocabulary stay here, as exact as ever; the decoder
layers here are empty, and every run of them is sent away, with all that it reads and changes. What comes back
is a pickle, which can run code when it is opened: this is asked for by name (--remote), never by default.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import nnsight
from nnsight.schema.config import CONFIG

from harness.subjects.fitting import CannotLoad
from harness.subjects.registry import OnlyHere, Refused

if TYPE_CHECKING:
    from nnsight.modeling.huggingface import HuggingFaceModel
    from nnsight.modeling.transformers import TransformersModel

    from harness.subjects.subject import Subject

NDIF, LOCAL = "ndif", "local"
"""Where layers may be: on NDIF, or here and yet sent, to see that everything can be; else a server's URL."""


class NotReached(Refused, ConnectionError):
    """A run was sent away and nothing came back."""


@dataclass(frozen=True)
class Elsewhere:
    """Where a subject's decoder layers are.

    Attributes:
        model: nnsight's twin of the model there.
        where: "ndif", "local" or a URL.
    """

    model: HuggingFaceModel
    where: str

    @property
    def remote(self) -> bool | str:
        """As nnsight's `trace` takes it."""
        return True if self.where == NDIF else self.where


def moved(subject: Subject, where: str) -> Subject:
    """The subject with its decoder layers elsewhere.

    Args:
        subject: As it was loaded, on the CPU.
        where: "ndif", "local" or the URL of a server.

    Returns:
        Another subject; the model of the one given is without layers from now on, unless it is "local".

    Raises:
        harness.subjects.fitting.CannotLoad: It cannot be asked for there.
    """
    if subject.anatomy.deepstack:
        raise CannotLoad(
            f"{subject.name}: features of its vision layers are added between its decoder layers by code of "
            "ours, which --remote does not send: run it here"
        )
    if where == LOCAL:
        from nnsight.modeling.huggingface import HuggingFaceModel

        there, model = HuggingFaceModel(subject.model), copy.deepcopy(subject.model)
    else:
        if subject.entry.kind != "hub":
            raise CannotLoad(
                f"{subject.name}: --remote {where} runs models of the hub, which it finds by their name; "
                "this one is here only (--remote local shows whether its runs could be sent)"
            )
        there, model = _twin(subject), subject.model
    for layer in model.get_submodule(subject.anatomy.layers):
        layer.to("meta")
    nnsight.register("harness")
    return replace(subject, model=model, elsewhere=Elsewhere(there, where))


def _twin(subject: Subject) -> TransformersModel:
    """The model's structure without weights, under the name and revision that it has on the hub."""
    from nnsight.modeling.transformers import TransformersModel

    try:
        there = TransformersModel(
            subject.entry.source,
            # A server runs what was asked of it by this name: the commit that "main" was here is another name.
            revision=subject.entry.revision,
            task="image-text-to-text",
            # The pipeline around it insists on one, but all that is sent are tensors. Our own tokenizer would
            # be changed by it (how it pads), and a server need not have the like.
            processor=SimpleNamespace(),
            # A server runs what the twin has, whatever ran there before.
            attn_implementation=subject.model.config._attn_implementation,
        )
    except Exception as error:
        raise CannotLoad(
            f"{subject.name}: nnsight cannot set up its twin of {subject.entry.source}: {error}"
        ) from error
    there.processor = None
    return there


def key_is_known() -> bool:
    """Whether nnsight has a key for NDIF, in NDIF_API_KEY or in its own settings."""
    return bool(os.environ.get("NDIF_API_KEY") or CONFIG.API.APIKEY)


@contextmanager
def sent(subject: Subject) -> Iterator[dict[str, Any]]:
    """Around a trace: what it is given to run where the layers are; nothing if they are here.

    Raises:
        NotReached: It was sent and nothing came back.
    """
    if subject.elsewhere is None:
        yield {}
        return
    try:
        yield {"remote": subject.elsewhere.remote}
    except Refused:
        raise
    except Exception as error:
        if subject.elsewhere.where == LOCAL:
            raise
        said = str(error).strip().splitlines() or [type(error).__name__]
        # What failed there comes as a traceback, of which the last line says it.
        reason = said[-1 if any(line.startswith("Traceback") for line in said) else 0]
        raise NotReached(
            f"{subject.name}: a run was sent to {subject.elsewhere.where} and failed there or on the way "
            f"({type(error).__name__}: {reason}). Is {subject.entry.source} running there, in "
            f"{subject.entry.dtype} (`nnsight.status()`), and may your key use it? What was measured "
            "before is in the store"
        ) from error


def needs_layers(subject: Subject, what: str) -> None:
    """Refuse what cannot be sent.

    Raises:
        OnlyHere: The subject's layers are elsewhere.
    """
    if subject.elsewhere is not None:
        raise OnlyHere(
            f"{what} needs the decoder layers, which are elsewhere (--remote {subject.elsewhere.where})"
        )
