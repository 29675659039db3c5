"""Subjects whose decoder layers run elsewhere: on NDIF, by way of nnsight's `remote`, or here as if they did.

Tokenizer, image processor, vision tower, embeddings and vocabulary stay here, as exact as ever. The decoder
layers here are empty: every run of them is sent away, with everything that it reads and changes. What comes
back is a pickle, which can run code when it is opened, so this has to be asked for (--remote).
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import nnsight
from nnsight.schema.config import CONFIG

from harness.subjects.fitting import CannotLoad
from harness.subjects.registry import PARTS, OnlyHere, Refused

if TYPE_CHECKING:
    from nnsight.modeling.huggingface import HuggingFaceModel
    from nnsight.modeling.transformers import TransformersModel

    from harness.subjects.subject import Subject

NDIF, LOCAL = "ndif", "local"
"""Where layers may be besides a server's URL: on NDIF, or here but packed as if sent, to test the sending."""


class NotReached(Refused, ConnectionError):
    """A run was sent away, and no result came back."""


@dataclass(frozen=True)
class Elsewhere:
    """Where the decoder layers run if not in this process: NDIF, a server, or here packed as if sent.

    Attributes:
        model: The model's twin under nnsight, which stands for the model there.
        where: "ndif", "local" or a URL.
    """

    model: HuggingFaceModel
    where: str

    @property
    def remote(self) -> bool | str:
        """The argument `remote` of nnsight's `trace`."""
        return True if self.where == NDIF else self.where


def move_layers(subject: Subject, where: str) -> Subject:
    """The same subject with its decoder layers elsewhere.

    Args:
        subject: As it was loaded, on the CPU.
        where: "ndif", "local" or the URL of a server.

    Returns:
        A new subject. Unless `where` is "local", the given one has lost the weights of its decoder layers.

    Raises:
        harness.subjects.fitting.CannotLoad: The subject cannot run there.
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
        there, model = _make_twin(subject), subject.model
    for layer in model.get_submodule(subject.anatomy.layers):
        layer.to("meta")
    nnsight.register("harness")
    return replace(subject, model=model, elsewhere=Elsewhere(there, where))


def _make_twin(subject: Subject) -> TransformersModel:
    """The model's structure without weights, under its name and revision on the hub."""
    from nnsight.modeling.transformers import TransformersModel

    try:
        there = TransformersModel(
            subject.entry.source,
            # A server knows its models by name and revision: "main" must not become the commit it is here.
            revision=subject.entry.revision,
            task="image-text-to-text",
            # The pipeline around the model insists on a processor, though only tensors are sent. It would
            # change how our own tokenizer pads, and a server may not have the same one.
            processor=SimpleNamespace(),
            # A server takes the attention of the twin, whatever ran there before.
            attn_implementation=subject.model.config._attn_implementation,
        )
    except Exception as error:
        raise CannotLoad(
            f"{subject.name}: nnsight cannot set up its twin of {subject.entry.source}: {error}"
        ) from error
    there.processor = None
    return there


def has_ndif_key() -> bool:
    """Whether nnsight has a key for NDIF, in NDIF_API_KEY or in its own settings."""
    return bool(os.environ.get("NDIF_API_KEY") or CONFIG.API.APIKEY)


@contextmanager
def send_trace(subject: Subject) -> Iterator[dict[str, bool | str]]:
    """Give a trace the arguments with which it runs where the layers are, and explain its failure there.

    Yields:
        Keyword arguments of nnsight's `trace`; none if the layers are here.

    Raises:
        NotReached: The run was sent away, and no result came back.
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
        # A failure there comes as a traceback, whose last line is the error.
        # There weights are what a server loads, and exact mode is for those that are here.
        dtype = "float32" if subject.entry.dtype in PARTS else subject.entry.dtype
        reason = said[-1 if any(line.startswith("Traceback") for line in said) else 0]
        raise NotReached(
            f"{subject.name}: a run was sent to {subject.elsewhere.where} and failed there or on the way "
            f"({type(error).__name__}: {reason}). Is {subject.entry.source} running there, in "
            f"{dtype} (`nnsight.status()`), and may your key use it? What was measured "
            "before is in the store"
        ) from error


def require_layers(subject: Subject, what: str) -> None:
    """Refuse something that only works where the decoder layers are in this process.

    Args:
        subject: The model.
        what: What needs them; the message begins with it.

    Raises:
        OnlyHere: The subject's layers are elsewhere.
    """
    if subject.elsewhere is not None:
        raise OnlyHere(
            f"{what} needs the decoder layers, which are elsewhere (--remote {subject.elsewhere.where})"
        )
