"""How surely linear probes read a label at every layer: learned on half of the scenes, judged on the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.experiments.halves import Halves
from harness.measures.probes import (
    STRENGTHS,
    deal_folds,
    label_by_ridge,
    label_held_out,
    shuffle_by_scene,
)

FOLDS = 5
"""Folds of the estimation half, by which the layer and the penalty of a probe are chosen."""

SHUFFLES = 20
"""Sets of shuffled labels whose mean is what a probe gets right by chance."""


@dataclass(frozen=True)
class Probed:
    """What linear probes read at every layer.

    Attributes:
        chosen: Share of labels read right in the estimation half by probes learned on other scenes of it, at
            the penalty that does best, [L]. By it a layer is chosen.
        right: Share of its labels read right in each of the m trials of the evaluation half, by a probe learned
            on the whole estimation half, [L, m].
        chance: The same by probes that learned shuffled labels, [L, m].
    """

    chosen: NDArray[np.float64]
    right: NDArray[np.float64]
    chance: NDArray[np.float64]


def probe_labels(
    states: NDArray[np.float32],
    labels: NDArray[np.int64],
    halves: Halves,
    rng: np.random.Generator,
) -> Probed:
    """Read labels from states at every layer, one probe for all token slots.

    Args:
        states: Of n trials at S tokens each, [L, n, S, d].
        labels: Whole numbers, [n, S].
        halves: Of the trials. The evaluation half judges and chooses nothing.
        rng: Where the randomness comes from.
    """
    slots, first, second = labels.shape[1], halves.first, halves.second
    scenes, known = halves.scenes[first], labels[first]
    folds = np.repeat(deal_folds(scenes, FOLDS, rng), slots)
    sets = np.stack([known, *(shuffle_by_scene(known, scenes, rng) for _ in range(SHUFFLES))])
    # In a single scene there is nothing to choose by.
    alone = len(np.unique(folds)) < 2
    chosen, right, chance = [], [], []
    for layer in states:
        of_first, of_second = (layer[half].reshape(-1, layer.shape[-1]) for half in (first, second))
        shares = np.zeros(len(STRENGTHS))
        if not alone:
            shares = (label_held_out(of_first, known.ravel(), folds) == known.ravel()).mean(1)
        strength = STRENGTHS[int(shares.argmax())]
        read = label_by_ridge(of_first, sets.reshape(len(sets), -1), of_second, strength)
        hits = (read.reshape(-1, *labels[second].shape) == labels[second]).mean(-1)
        chosen.append(shares.max())
        right.append(hits[0])
        chance.append(hits[1:].mean(0))
    return Probed(np.array(chosen), np.array(right), np.array(chance))
