"""Hooks proven by their effect, on every subject that is loaded.

That a path leads to a module says little; that an edit there does what it must says all. An identity
edit changes nothing, bit for bit; a zeroed layer changes the answer; the whole residual stream of another
run gives that run's answer.
"""

from __future__ import annotations

import numpy as np
import torch

from harness.stimuli.design import HIGH_ENTROPY, balanced_trials
from harness.subjects.registry import Refused
from harness.subjects.subject import Batch, Subject
from harness.tracing.capture import capture, last_logits
from harness.tracing.edit import Edit, edited_logits
from harness.tracing.site import layers_of


class SelfCheckFailed(Refused, RuntimeError):
    """A hook does not do what it must: the anatomy does not fit this model."""


def selfcheck(subject: Subject) -> None:
    """Check a loaded subject; some ten forward passes over two trials.

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
    last = torch.tensor([[first.last]])
    heads = torch.arange(subject.heads)[None]
    values = capture(subject, first, "head", last)
    identity = [
        Edit("head", layer, torch.zeros_like(last), last, values[layer, :, 0], heads)
        for layer in range(subject.layers)
    ]
    if not torch.equal(clean, edited_logits(subject, first, identity)):
        raise SelfCheckFailed(
            f"{subject.name}: putting the heads' own outputs back changes the answer"
        )
    goal = last_logits(subject, second)
    every = torch.arange(first.last + 1)[None]
    streams = capture(subject, second, "residual", every)
    for layer in {0, subject.layers // 2, subject.layers - 1}:
        zero = Edit("head", layer, torch.zeros_like(last), last, 0 * values[layer, :, 0], heads)
        if torch.equal(clean, edited_logits(subject, first, [zero])):
            raise SelfCheckFailed(
                f"{subject.name}: zeroing the heads of layer {layer} changes nothing"
            )
        whole = Edit("residual", layer, torch.zeros_like(every), every, streams[layer])
        if not torch.equal(goal, edited_logits(subject, first, [whole])):
            raise SelfCheckFailed(
                f"{subject.name}: another run's residual stream at layer {layer} does not give its answer"
            )


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
