"""Quick checks of every subject that is loaded: hooks are proven by their effect.

That a path leads to a module says little; what matters is that an edit there does what it must. An identity
edit changes nothing, bit for bit; a zeroed layer changes the answer; the whole residual stream of another run
gives that run's answer; a replay that edits nothing gives the answer of the whole run. These checks take some
fifteen forward passes over one or two trials; `check_conformance` has the slower ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn

import numpy as np
import torch

from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial
from harness.subjects.batch import Batch
from harness.subjects.deepstack import ADDED
from harness.subjects.registry import Refused
from harness.subjects.subject import Subject
from harness.tracing.capture import capture, read_edited_logits, read_last_logits
from harness.tracing.edit import Edit
from harness.tracing.replay import replay
from harness.tracing.site import find_layers
from harness.tracing.trace import read_own_logits


class SelfCheckFailed(Refused, RuntimeError):
    """A hook does not do what it must: the anatomy does not fit this model."""


@dataclass(frozen=True)
class Examined:
    """A loaded subject under examination, and two trials that have the same prompt and different images."""

    subject: Subject

    @cached_property
    def trials(self) -> tuple[Trial, Trial]:
        """A trial, and the same one with the target and the first described object in each other's cells."""
        grid, rng = self.subject.grids[2], np.random.default_rng(0)
        trial = draw_balanced_trials(grid, HIGH_ENTROPY[2], 1, rng)[0]
        swapped = trial.scene.swapped(trial.target, trial.described[0])
        return trial, replace(trial, scene=swapped)

    @cached_property
    def first(self) -> Batch:
        """The first trial alone."""
        return self.subject.encode(self.trials[:1])

    @cached_property
    def second(self) -> Batch:
        """The second trial alone."""
        return self.subject.encode(self.trials[1:])

    @cached_property
    def clean(self) -> torch.Tensor:
        """Logits of the first trial, [1, vocabulary]."""
        return read_last_logits(self.subject, self.first)

    @property
    def room(self) -> float:
        """The difference of logits that rounding may cause, as a share of their spread."""
        return max(1e-4, 8 * torch.finfo(self.subject.model.dtype).eps)

    def fail(self, what: str) -> NoReturn:
        """Raise an error that gives the subject's name and an explanation.

        Raises:
            SelfCheckFailed: Always.
        """
        raise SelfCheckFailed(f"{self.subject.name}: {what}")

    def alike(self, ours: torch.Tensor, theirs: torch.Tensor) -> bool:
        """Whether two computations of the same logits [B, vocabulary] differ by no more than rounding."""
        spread = (theirs - theirs.mean(-1, keepdim=True)).norm(dim=-1)
        return bool(((ours - theirs).norm(dim=-1) <= self.room * spread).all())


def selfcheck(subject: Subject) -> None:
    """Check by some quick runs that hooks have their effect on a loaded subject.

    Raises:
        SelfCheckFailed: A hook has not its effect; the message says what was found, and where.
        harness.subjects.registry.SharedFirstPiece: Two answers begin with the same token.
    """
    examined = Examined(subject)
    for check in QUICK.values():
        check(examined)


def layers_are_decoders(at: Examined) -> None:
    """The anatomy's path leads to decoder layers, as many as the configuration says."""
    subject, path = at.subject, at.subject.anatomy.layers
    try:
        found = len([layer.self_attn.o_proj for layer in find_layers(subject, subject.model)])
    except (AttributeError, TypeError) as error:
        # A module is missing, or is no list of layers.
        raise SelfCheckFailed(
            f"{subject.name}: {path} does not lead to decoder layers: {error}"
        ) from None
    if found != subject.layers:
        at.fail(f"{found} layers at {path}, {subject.layers} in the config")


def answers_differ(at: Examined) -> None:
    """Every answer can be told from the others by its first token."""
    at.subject.check_answers()


def runs_repeat(at: Examined) -> None:
    """Two runs on the same batch give the same finite logits, bit for bit."""
    if not torch.isfinite(at.clean).all():
        at.fail("the logits are not finite")
    if at.clean.shape[1] == 1 or not torch.equal(
        at.clean, read_edited_logits(at.subject, at.first, [])
    ):
        at.fail("two runs on the same batch differ")


def logits_are_the_models(at: Examined) -> None:
    """The logits that the harness computes from the last layer's output are the model's own."""
    own = read_own_logits(at.subject, at.first)
    if not at.alike(at.clean, own):
        at.fail(
            f"final norm and vocabulary projection after {at.subject.anatomy.layers} do not give the "
            "model's logits"
        )


def identity_changes_nothing(at: Examined) -> None:
    """Putting the heads' own outputs back changes no bit of the logits."""
    last = torch.tensor([[at.first.last]])
    values = capture(at.subject, at.first, "head", last)
    identity = [Edit("head", layer, last, values[layer]) for layer in range(at.subject.layers)]
    if not torch.equal(at.clean, read_edited_logits(at.subject, at.first, identity)):
        at.fail("putting the heads' own outputs back changes the answer")


def edits_have_effect(at: Examined) -> None:
    """Zeroing a layer's heads changes the answer; another run's residual stream gives that run's answer."""
    subject, first = at.subject, at.first
    last = torch.tensor([[first.last]])
    goal = read_last_logits(subject, at.second)
    every = torch.arange(first.last + 1)[None]
    streams = capture(subject, at.second, "residual", every)
    for layer in {0, subject.layers // 2, subject.layers - 1}:
        zero = Edit("head", layer, last, 0.0)
        if torch.equal(at.clean, read_edited_logits(subject, first, [zero])):
            at.fail(f"zeroing the heads of layer {layer} changes nothing")
        whole = Edit("residual", layer, every, streams[layer])
        if not torch.equal(
            goal, read_edited_logits(subject, _with_later(first, at.second), [whole])
        ):
            at.fail(f"another run's residual stream at layer {layer} does not give its answer")


def _with_later(batch: Batch, other: Batch) -> Batch:
    """A batch with the other's features for later layers, which a captured residual stream does not contain."""
    later = {ADDED: other.inputs[ADDED]} if ADDED in other.inputs else {}
    return replace(batch, inputs=batch.inputs | later)


def embeddings_are_what_enters(at: Examined) -> None:
    """What is read as the embedding enters the first layer; that of another image gives its answer."""
    subject, first = at.subject, at.first
    own = capture(subject, first, "embedding", _every_token(first))[0]
    # Layers elsewhere are entered there, where no hook can be set.
    if subject.elsewhere is None:
        entered: list[torch.Tensor] = []
        handle = find_layers(subject, subject.model)[0].register_forward_pre_hook(
            lambda module, given: entered.append(given[0].float().cpu())
        )
        with handle:
            read_last_logits(subject, first)
        if not torch.equal(entered[-1], own[:, :, 0]):
            at.fail("what enters the first decoder layer is not the embedding that is read")
    # At the image's own tokens, since the last token of a long text may not reach them.
    usual, goal = (
        capture(subject, b, "residual", first.image_tokens, [0]) for b in (first, at.second)
    )
    if torch.equal(usual, goal):
        at.fail("another image changes nothing, so that no edit of image tokens can be seen")
    goal = read_last_logits(subject, at.second)
    if not torch.equal(read_edited_logits(subject, first, [_show_second(at)]), goal):
        at.fail("the embeddings of another image do not give its answer")


def replays_edit_embeddings(at: Examined) -> None:
    """A replay that puts the embedding back changes nothing; with that of another image it gives its answer."""
    subject, first = at.subject, at.first
    every = _every_token(first)
    same = Edit("embedding", 0, every, capture(subject, first, "embedding", every)[0])
    kept, shown = replay(subject, first, [[same], [_show_second(at)]])
    if not at.alike(kept, at.clean):
        at.fail("putting the embedding back changes the answer of a replay")
    if not at.alike(shown, read_last_logits(subject, at.second)):
        at.fail("in a replay the embeddings of another image do not give its answer")


def _every_token(batch: Batch) -> torch.Tensor:
    return torch.arange(batch.last + 1)[None]


def _show_second(at: Examined) -> Edit:
    """Put the second trial's image in place of the first one's; their prompts are the same."""
    tokens = at.first.image_tokens
    return Edit("embedding", 0, tokens, capture(at.subject, at.second, "embedding", tokens)[0])


def replay_is_the_run(at: Examined) -> None:
    """A replay that edits nothing in the second half of all tokens gives the answer of the whole run.

    Those tokens go through the attention of a replay in every layer. Two prompts of unequal length are run, so
    that one is padded.
    """
    trial = at.trials[0]
    longer = replace(trial.prompt, text=trial.prompt.text + " " + trial.prompt.text)
    batch = at.subject.encode([trial, replace(trial, prompt=longer)])
    half = torch.arange(batch.last // 2, batch.last + 1).repeat(2, 1)
    replayed = replay(at.subject, batch, [[Edit("residual", 0, half, 1.0, how="scale")]])[0]
    whole = read_last_logits(at.subject, batch)
    if not at.alike(replayed, whole):
        at.fail(
            f"a replay that edits nothing is off the whole run by {(replayed - whole).abs().max():.2g} "
            "logits: the model's attention is not the one that harness/tracing/attention.py computes"
        )


QUICK: dict[str, Callable[[Examined], None]] = {
    "the layers are decoder layers": layers_are_decoders,
    "answers begin with tokens of their own": answers_differ,
    "two runs are the same": runs_repeat,
    "the logits are the model's": logits_are_the_models,
    "putting back what was there changes nothing": identity_changes_nothing,
    "edits have their effect": edits_have_effect,
    "the embedding is what enters the decoder": embeddings_are_what_enters,
    "a replay is the whole run": replay_is_the_run,
    "a replay edits the embedding": replays_edit_embeddings,
}
"""The quick checks by name; a later one may rely on what an earlier one has shown."""
