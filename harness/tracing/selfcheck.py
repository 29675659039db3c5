"""Hooks proven by their effect, on every subject that is loaded.

That a path leads to a module says little; that an edit there does what it must says all. An identity
edit changes nothing, bit for bit; a zeroed layer changes the answer; the whole residual stream of another
run gives that run's answer; a replay that edits nothing gives the whole run's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from harness.stimuli.design import HIGH_ENTROPY, balanced_trials
from harness.subjects.deepstack import ADDED
from harness.subjects.registry import Refused
from harness.subjects.subject import Batch, Subject
from harness.tracing.capture import capture, last_logits
from harness.tracing.edit import Edit, edited_logits
from harness.tracing.replay import replay
from harness.tracing.site import layers_of


class SelfCheckFailed(Refused, RuntimeError):
    """A hook does not do what it must: the anatomy does not fit this model."""


def selfcheck(subject: Subject) -> None:
    """Check a loaded subject; some fifteen forward passes over one or two trials.

    Raises:
        SelfCheckFailed: A hook has not its effect; the message names check and layer.
        harness.subjects.subject.SharedFirstPiece: Two answers begin with the same token.
    """
    _check_layers(subject)
    first, second = _two_trials(subject)
    subject.check_answers(first.trials[0].prompt)
    clean = last_logits(subject, first)
    if not torch.isfinite(clean).all():
        raise SelfCheckFailed(f"{subject.name}: the logits are not finite")
    if clean.shape[1] == 1 or not torch.equal(clean, edited_logits(subject, first, [])):
        raise SelfCheckFailed(f"{subject.name}: two runs on the same batch differ")
    _check_logits(subject, first, clean)
    last = torch.tensor([[first.last]])
    values = capture(subject, first, "head", last)
    identity = [Edit("head", layer, last, values[layer]) for layer in range(subject.layers)]
    if not torch.equal(clean, edited_logits(subject, first, identity)):
        raise SelfCheckFailed(
            f"{subject.name}: putting the heads' own outputs back changes the answer"
        )
    goal = last_logits(subject, second)
    every = torch.arange(first.last + 1)[None]
    streams = capture(subject, second, "residual", every)
    for layer in {0, subject.layers // 2, subject.layers - 1}:
        zero = Edit("head", layer, last, 0.0)
        without = edited_logits(subject, first, [zero])
        if torch.equal(clean, without):
            raise SelfCheckFailed(
                f"{subject.name}: zeroing the heads of layer {layer} changes nothing"
            )
        whole = Edit("residual", layer, every, streams[layer])
        if not torch.equal(goal, edited_logits(subject, _with_later(first, second), [whole])):
            raise SelfCheckFailed(
                f"{subject.name}: another run's residual stream at layer {layer} does not give its answer"
            )
    _check_replay(subject, first)


def _check_replay(subject: Subject, short: Batch) -> None:
    """A replay of half a prompt, the image's end included, gives the answer of the whole run.

    Two prompts of unequal length, so that one is padded. Nothing is edited, but from the first layer on half of
    all tokens go through the attention of a replay, in every layer.
    """
    [trial] = short.trials
    longer = replace(trial.prompt, text=trial.prompt.text + " " + trial.prompt.text)
    batch = subject.encode([trial, replace(trial, prompt=longer)])
    half = torch.arange(batch.last // 2, batch.last + 1).repeat(2, 1)
    replayed = replay(subject, batch, [[Edit("residual", 0, half, 1.0, how="scale")]])[0]
    whole = last_logits(subject, batch)
    if not _alike(subject, replayed, whole):
        raise SelfCheckFailed(
            f"{subject.name}: a replay that edits nothing is off the whole run by "
            f"{(replayed - whole).abs().max():.2g} logits: the model's attention is not the one that "
            "harness/tracing/attention.py computes"
        )


def _check_logits(subject: Subject, batch: Batch, found: torch.Tensor) -> None:
    """The path from the last layer to the logits is the model's own."""
    with torch.no_grad():
        own = subject.model(**batch.inputs, use_cache=False, logits_to_keep=1).logits
    if not _alike(subject, found, own[:, -1].float().cpu()):
        raise SelfCheckFailed(
            f"{subject.name}: final norm and vocabulary projection after {subject.anatomy.layers} do "
            "not give the model's logits"
        )


def _alike(subject: Subject, ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Whether two computations of the same logits differ by less than rounding can make of them."""
    room = max(1e-4, 8 * torch.finfo(subject.model.dtype).eps)
    spread = (theirs - theirs.mean(-1, keepdim=True)).norm(dim=-1)
    return bool(((ours - theirs).norm(dim=-1) <= room * spread).all())


def _check_layers(subject: Subject) -> None:
    """The anatomy's path leads to decoder layers, as many as the config says."""
    path = subject.anatomy.layers
    try:
        found = len([layer.self_attn.o_proj for layer in layers_of(subject, subject.model)])
    except (AttributeError, TypeError) as error:
        # A module that is missing, or one that is no list of layers.
        raise SelfCheckFailed(
            f"{subject.name}: {path} does not lead to decoder layers: {error}"
        ) from None
    if found != subject.layers:
        raise SelfCheckFailed(
            f"{subject.name}: {found} layers at {path}, {subject.layers} in the config"
        )


def _with_later(batch: Batch, other: Batch) -> Batch:
    """A batch to whose image tokens the other's features are added later, if any are: they are in no layer."""
    later = {ADDED: other.inputs[ADDED]} if ADDED in other.inputs else {}
    return replace(batch, inputs=batch.inputs | later)


def _two_trials(subject: Subject) -> tuple[Batch, Batch]:
    """Two trials of one prompt on two images, so that they are equally long."""
    trial = balanced_trials(subject.grids[2], HIGH_ENTROPY[2], 1, np.random.default_rng(0))[0]
    swapped = type(trial)(
        trial.scene.swapped(trial.target, trial.described[0]),
        trial.prompt,
        trial.described,
        trial.target,
    )
    return subject.encode([trial]), subject.encode([swapped])
