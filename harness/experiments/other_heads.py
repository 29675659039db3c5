"""Heads that matter for no stage, from which controls are drawn: by what heads do, never by their numbers.

Two models that compute the same may number their heads otherwise. So a layer's heads are put into an order by
what was measured of them, and places in that order are drawn: with the same seed both models are asked with
the same heads. A head that mediates any stage is never drawn, and neither is one that hardly writes anything
where a head that writes about as much is at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy.special import stdtrit

from harness.experiments.editing import WEAK, Head, list_measured_of_heads, select_kept_scores
from harness.measures.mediation import EQUAL, merge_equals, merge_sizes, order_heads
from harness.stimuli.contrast import Condition


def find_heads_that_matter(mediation: xr.Dataset) -> set[Head]:
    """Heads that count for any stage, in either direction; controls are drawn from the others.

    Their mean mediation score is a tenth of the highest at least, in size, as in the paper's lists. Where some
    head surely mediates the stage, all of these count, whether they surely do or not: one that might be the
    stage's is no control; so do all where a single scene was kept, which tells nothing surely. Where none
    surely does, the highest score may be noise, and so those count that surely differ from 0. Clustered by
    scene, at 95%; the question whether there is some head is corrected for their number.
    """
    found: set[Head] = set()
    for stage in mediation.condition.values.tolist():
        scores, scenes = select_kept_scores(mediation, stage)
        labels, index = np.unique(scenes, return_inverse=True)
        if not len(labels):
            continue
        means = scores.mean(0)
        sums = np.zeros((len(labels), *means.shape))
        np.add.at(sums, index, scores - means)
        counts = np.abs(means) >= WEAK * means.max(initial=0)
        if (count := len(labels)) > 1:
            errors = np.sqrt(count / (count - 1) * (sums**2).sum(0)) / len(scores)
            some, alone = (
                float(stdtrit(count - 1, 1 - 0.025 / tests)) * errors for tests in (means.size, 1)
            )
            if not (means > some).any():
                counts &= np.abs(means) > alone
        found |= {(int(layer), int(head)) for layer, head in np.argwhere(counts & (means != 0))}
    return found


@dataclass(frozen=True)
class OtherHeads:
    """Heads that matter for no stage, in an order that does not depend on how heads are numbered.

    Attributes:
        places: The place of every head of a layer in the order of that layer, int64 [L, H]; of all heads.
        sizes: How much each writes where the stage is edited, [L, H], as `merge_sizes` gives it.
        free: Those that matter for no stage, layer by layer in this order.
    """

    places: NDArray[np.int64]
    sizes: NDArray[np.float64]
    free: tuple[Head, ...]

    @classmethod
    def find(cls, mediation: xr.Dataset, stage: Condition | None = None) -> OtherHeads:
        """Find them in the measurement of the mediation experiment.

        Args:
            mediation: The measurement.
            stage: At whose tokens heads are compared by how much they write; the mean of all stages if None.
        """
        measured = list_measured_of_heads(mediation, stage)
        written = np.nan_to_num(mediation.written)
        stages = mediation.condition.values.tolist()
        sizes = merge_sizes(written.mean(0) if stage is None else written[stages.index(stage)])
        ordered = order_heads(sizes, *measured)
        places = np.zeros_like(sizes, dtype=np.int64)
        for layer, row in enumerate(places):
            row[[head for at, head in ordered if at == layer]] = range(len(row))
        mattering = find_heads_that_matter(mediation)
        free = [head for head in ordered if head not in mattering]
        return cls(places, sizes, tuple(sorted(free, key=lambda h: (h[0], places[h]))))

    def draw(self, heads: Sequence[Head], rng: np.random.Generator, sets: int) -> list[list[Head]]:
        """Draw sets of them at random, each with as many in every layer as the given ones.

        For each of the given heads one is drawn from that half of its layer's which writes most nearly as much
        (in ratio). Where a layer has none left, the nearest layers that have some give them, as long as there
        are any: then a set has fewer heads than were given, which `count_fewest` tells.

        Args:
            heads: To be matched; none of them is drawn.
            rng: Where the randomness comes from.
            sets: How many.
        """
        given = sorted(heads, key=lambda h: (h[0], self.places[h]))
        free = [head for head in self.free if head not in set(heads)]
        return [self._draw_set(given, free, rng) for _ in range(sets)]

    def _draw_set(
        self, given: Sequence[Head], free: Sequence[Head], rng: np.random.Generator
    ) -> list[Head]:
        chosen: list[Head] = []
        left = list(free)
        short: list[Head] = []

        def take(like: Head, layer: int) -> None:
            near = self._sort_by_likeness(like, [head for head in left if head[0] == layer])
            near = near[: (len(near) + 1) // 2]
            chosen.append(near[int(rng.integers(len(near)))])
            left.remove(chosen[-1])

        for head in given:
            if any(layer == head[0] for layer, _ in left):
                take(head, head[0])
            else:
                short.append(head)
        for head in short[: len(left)]:
            layers = sorted({layer for layer, _ in left})
            nearest = min(abs(layer - head[0]) for layer in layers)
            of = [layer for layer in layers if abs(layer - head[0]) == nearest]
            take(head, of[int(rng.integers(len(of)))])
        return chosen

    def _sort_by_likeness(self, like: Head, heads: Sequence[Head]) -> list[Head]:
        """Some heads of one layer, those first that write most nearly as much as a given one, in ratio."""
        sizes = np.array([self.sizes[head] for head in heads])
        distance = merge_equals(np.abs(sizes - self.sizes[like]), EQUAL)
        places = np.array([self.places[h] for h in heads])
        return [heads[i] for i in np.lexsort((places, distance))]


def count_fewest(sets: Sequence[Sequence[Head]]) -> int:
    """The number of heads in the smallest set; 0 if there is no set."""
    return min(map(len, sets), default=0)


def place_key_heads(places: NDArray[np.int64], key_heads: int) -> NDArray[np.int64]:
    """The place of every head of keys in the order of its layer, int64 [L, Hkv], from that of all heads [L, H].

    Heads of keys are ordered by the first of the heads that read them.
    """
    first = places.reshape(len(places), key_heads, -1).min(2)
    return first.argsort(1).argsort(1)


def deal_by_place(drawn: torch.Tensor, places: NDArray[np.int64]) -> torch.Tensor:
    """Give each head what was drawn for its place in the order of its layer.

    Args:
        drawn: For each place of each layer, [n, L, H, ...].
        places: The place of every head, int64 [L, H].

    Returns:
        For each head, of the same shape.
    """
    layers = torch.arange(len(places))[:, None]
    return drawn[:, layers, torch.from_numpy(places)]
