"""Simulate how often a 95% interval holds the truth, for every estimator of `harness.statistics`.

`SITUATIONS` is a table of how data come about and which interval is made from them. Scenes are always the
clusters. Some situations are textbook ones; the others have the sizes of the claims, with the claims'
thresholds as the truth.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, mean, proportion
from harness.statistics.halves import DRAWS
from harness.statistics.shares import add_shares, mean_share, subtract_shares

TOLERANCE = (0.93, 0.97)
"""Shares between which the coverage of a 95% interval counts as right; at 4,000 experiments a share has a
standard error of 0.0034."""

Items = NDArray[np.bool_] | NDArray[np.float64]
"""Outcomes (right or wrong) or numbers, [experiments, n], or [experiments, 2, n] in pairs."""

Draw = Callable[[np.random.Generator, int, NDArray[np.intp]], Items]
"""Draws items, from a generator, a number of experiments and the scene of each item [n]."""

Estimates = Callable[[Items, Sequence[int], np.random.Generator], Iterable[Estimate]]
"""Makes one estimate for each experiment, from items, the scene of each item and a generator."""


@dataclass(frozen=True)
class Situation:
    """One way in which data come about, and the interval that is made from them.

    Attributes:
        draw: Draws the items.
        sizes: How many items each scene has.
        estimates: Makes the estimates whose intervals are tested.
        truth: The number that the interval must hold.
    """

    draw: Draw
    sizes: Sequence[int]
    estimates: Estimates
    truth: float


def coverage(
    experiments: int = 4000, seed: int = 0, say: Callable[[str], None] = lambda line: None
) -> dict[str, float]:
    """Simulate the share of experiments whose 95% interval holds the truth, for every situation.

    Args:
        experiments: How many experiments are simulated for each situation.
        seed: Seed of all data; a situation's data depend on its name too, but not on its place in the table.
        say: Receives a line after each situation.

    Returns:
        The share, 0 to 1, by the situation's name.
    """
    found = {}
    for name, situation in SITUATIONS.items():
        found[name] = share_covered(situation, experiments, generator(name, seed))
        say(f"{found[name]:6.1%}  {name}")
    return found


def share_covered(situation: Situation, experiments: int, rng: np.random.Generator) -> float:
    """Simulate the share of experiments in one situation whose 95% interval holds the truth."""
    scenes = np.repeat(np.arange(len(situation.sizes)), situation.sizes)
    items = situation.draw(rng, experiments, scenes)
    estimates = situation.estimates(items, scenes.tolist(), rng)
    intervals = (e.interval(0.95) for e in estimates)
    return float(np.mean([low <= situation.truth <= high for low, high in intervals]))


def generator(name: str, seed: int) -> np.random.Generator:
    """The random generator of one situation."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _draw_outcomes(share: float, correlation: float = 0.0) -> Draw:
    """Draw right or wrong answers, beta-binomial, with the given correlation within a scene."""

    def draw(
        rng: np.random.Generator, experiments: int, scenes: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        if not correlation:
            return rng.random((experiments, len(scenes))) < share
        spread = 1 / correlation - 1
        shape = (experiments, scenes[-1] + 1)
        chance = rng.beta(share * spread, (1 - share) * spread, shape)
        return rng.random((experiments, len(scenes))) < chance[:, scenes]

    return draw


def _draw_normal(
    rng: np.random.Generator, experiments: int, scenes: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Draw normal numbers with mean 0 and correlation 1/2 within a scene."""
    between = rng.normal(size=(experiments, scenes[-1] + 1))[:, scenes]
    return between + rng.normal(size=between.shape)


def _draw_skewed(skewness: float) -> Draw:
    """Draw gamma variables less their mean, with the given skewness and correlation 1/2 within a scene."""
    shape = (2 / skewness) ** 2

    def draw(
        rng: np.random.Generator, experiments: int, scenes: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        between = rng.gamma(shape / 2, size=(experiments, scenes[-1] + 1))[:, scenes]
        return np.sign(skewness) * (between + rng.gamma(shape / 2, size=between.shape) - shape)

    return draw


def _draw_pairs(share_a: float, share_b: float, alike: float, correlation: float = 0.0) -> Draw:
    """Draw two outcomes of each item.

    Args:
        share_a: How often the first is right.
        share_b: How often the second is right.
        alike: Correlation of what makes the two outcomes of an item right, which is normal.
        correlation: The same for the items of a scene.
    """

    def draw(
        rng: np.random.Generator, experiments: int, scenes: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        own_and_common = (experiments, 3)
        between = rng.normal(size=(*own_and_common, scenes[-1] + 1))[:, :, scenes]
        within = rng.normal(size=(*own_and_common, len(scenes)))
        easy = np.sqrt(correlation) * between + np.sqrt(1 - correlation) * within
        easy = np.sqrt(alike) * easy[:, :1] + np.sqrt(1 - alike) * easy[:, 1:]
        return easy < ndtri([share_a, share_b])[:, None]

    return draw


def _draw_against_sets(share: float, matter: float) -> Draw:
    """Draw answers that best heads move, and that a random set of heads moves as often if it matters too.

    Args:
        share: How often the best heads move an answer.
        matter: The share of random sets that matter; every scene that is asked with one set is a cluster.
    """

    def draw(
        rng: np.random.Generator, experiments: int, sets: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        moved = rng.random((experiments, 2, len(sets))) < share
        matters = rng.random((experiments, sets[-1] + 1)) < matter
        moved[:, 1] &= matters[:, sets]
        return moved

    return draw


def _draw_parts(share: float, correlation: float, of: int) -> Draw:
    """Draw which part of a list of so many each item finds, with the correlation within a scene."""
    spread = 1 / correlation - 1

    def draw(
        rng: np.random.Generator, experiments: int, scenes: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        shape = (experiments, scenes[-1] + 1)
        chance = rng.beta(share * spread, (1 - share) * spread, shape)
        return rng.binomial(of, chance[:, scenes]) / of

    return draw


def _estimate_each(function: Callable[[Items, Sequence[int]], Estimate]) -> Estimates:
    """Make an estimate of each experiment by itself."""
    return lambda items, scenes, rng: (function(row, scenes) for row in items)


_proportions, _means = _estimate_each(proportion), _estimate_each(mean)
_parts = _estimate_each(mean_share)
_differences = _estimate_each(lambda pair, scenes: subtract_shares(pair[0], pair[1], scenes))


def _subtract_independent(pair: Items, scenes: Sequence[int]) -> Estimate:
    """The difference of two shares of which each was asked about scenes of its own."""
    first, second = (proportion(side, scenes) for side in pair)
    return add_shares([(1, first), (-1, second)], n=len(scenes), clusters=first.clusters)


_falls = _estimate_each(_subtract_independent)


def _bootstraps(
    items: Items, scenes: Sequence[int], rng: np.random.Generator
) -> Iterator[Estimate]:
    """Make an estimate of each experiment's mean from bootstrap draws over scenes."""
    clusters = len(set(scenes))
    # The weights do not depend on the data, so that fifty experiments may share them and save time.
    for block in np.split(items, range(50, len(items), 50)):
        weights = draw_cluster_weights(scenes, DRAWS, rng)
        draws = block @ (weights / weights.sum(1, keepdims=True)).T
        for row, drawn in zip(block, draws, strict=True):
            yield from_draws(row.mean(), drawn, n=len(scenes), clusters=clusters)


TWO_OBJECTS = [1] * 115 + [2] * 33 + [3] * 5 + [4]
"""Trials about each scene in the behaviour set of section 3.4, drawn with seed 0."""

FOUR_OBJECTS = [1] * 183 + [2] * 7 + [3]
"""The same for four objects."""

SIX_OBJECTS = [1] * 200
"""The same for six objects."""

# The same for halves of the trials of other experiments, and for all trials of mediation.
PLANE_HALF = [1] * 216
MEDIATION_HALF = [1] * 19 + [2] * 3
MEDIATION_WHOLE = [1] * 44 + [2] * 3
SIMILARITY_HALF = [1] * 132 + [2] * 6
STEERING_HALF = [1] * 71
ENTROPY_SET = [1] * 160
REUSE = [1] * 216

# Trials that each set of random heads is asked with.
COUNTING_SETS = [5] * 24
LISTING_SETS = [1] * 8 + [2] * 16

UNEQUAL = [1, 2, 3, 4, 6] * 8
"""Scenes with different numbers of items."""

FEW = [10] * MINIMUM_CLUSTERS
"""The fewest scenes on which a claim can be supported or refuted."""

# Every situation is named by its estimator, its scenes and, for shares, the truth.
SITUATIONS: dict[str, Situation] = {
    "proportion, 100 single trials, 0.50": Situation(
        _draw_outcomes(0.5), [1] * 100, _proportions, 0.5
    ),
    "proportion, 150 single trials, 0.80": Situation(
        _draw_outcomes(0.8), [1] * 150, _proportions, 0.8
    ),
    "proportion, 300 single trials, 0.95": Situation(
        _draw_outcomes(0.95), [1] * 300, _proportions, 0.95
    ),
    **{
        f"proportion, {len(sizes)} scenes of {of}, {share:.2f}, correlation {alike}": Situation(
            _draw_outcomes(share, alike), sizes, _proportions, share
        )
        for share, alike in ((0.5, 0.5), (0.8, 0.1), (0.8, 0.5))
        for of, sizes in (("4", [4] * 40), ("1 to 6", UNEQUAL), ("10", FEW))
    },
    "proportion, behaviour on two objects, 0.95": Situation(
        _draw_outcomes(0.95, 0.3), TWO_OBJECTS, _proportions, 0.95
    ),
    "proportion, behaviour on two objects, 0.60": Situation(
        _draw_outcomes(0.6, 0.3), TWO_OBJECTS, _proportions, 0.6
    ),
    "proportion, behaviour on four objects, 0.95": Situation(
        _draw_outcomes(0.95, 0.3), FOUR_OBJECTS, _proportions, 0.95
    ),
    "proportion, behaviour on six objects, 0.60": Situation(
        _draw_outcomes(0.6), SIX_OBJECTS, _proportions, 0.6
    ),
    "proportion, neighbours in a plane, 0.85": Situation(
        _draw_outcomes(0.85), PLANE_HALF, _proportions, 0.85
    ),
    "mean, 12 single trials": Situation(_draw_normal, [1] * 12, _means, 0),
    "mean, 24 scenes of 2 to 6": Situation(_draw_normal, [2, 4, 6] * 8, _means, 0),
    "mean, 12 scenes of 10": Situation(_draw_normal, FEW, _means, 0),
    "mean, 12 scenes of 10, skewness 1.5": Situation(_draw_skewed(1.5), FEW, _means, 0),
    "mean, mediation scores": Situation(_draw_normal, MEDIATION_HALF, _means, 0),
    "mean, mediation scores, skewness 1.5": Situation(_draw_skewed(1.5), MEDIATION_HALF, _means, 0),
    "mean, mediation scores, skewness -1.5": Situation(
        _draw_skewed(-1.5), MEDIATION_HALF, _means, 0
    ),
    "difference, lead of a plane, 0.45": Situation(
        _draw_pairs(0.9, 0.45, 0.0), PLANE_HALF, _differences, 0.45
    ),
    **{
        f"difference, {name}, {a:.2f} less {b:.2f}, alike {alike}": Situation(
            _draw_pairs(a, b, alike), sizes, _differences, a - b
        )
        for name, sizes in (("steering", STEERING_HALF), ("reuse", REUSE))
        for a, b, alike in ((0.5, 0.5, 0.0), (0.98, 0.5, 0.3), (0.7, 0.5, 0.7))
    },
    **{
        f"difference, {len(sizes)} scenes of {of}, {a:.2f} less {b:.2f}, alike {alike}": Situation(
            _draw_pairs(a, b, alike, 0.3), sizes, _differences, a - b
        )
        for of, sizes in (("4", [4] * 40), ("1 to 6", UNEQUAL), ("10", FEW))
        for a, b, alike in ((0.8, 0.4, 0.0), (0.98, 0.5, 0.3))
    },
    "difference, 24 sets of heads in counting, 0.20 matter": Situation(
        _draw_against_sets(0.9, 0.2), COUNTING_SETS, _differences, 0.72
    ),
    "difference, 24 sets of heads in lists, 0.30 matter": Situation(
        _draw_against_sets(0.9, 0.3), LISTING_SETS, _differences, 0.63
    ),
    "fall, accuracy, 0.90 to 0.60": Situation(_draw_pairs(0.9, 0.6, 0.0), ENTROPY_SET, _falls, 0.3),
    "fall, 12 scenes of 10, 0.90 to 0.60": Situation(
        _draw_pairs(0.9, 0.6, 0.0, 0.3), FEW, _falls, 0.3
    ),
    "parts, half of a list": Situation(_draw_parts(0.5, 0.3, 10), MEDIATION_HALF, _parts, 0.5),
    "parts, most of a list": Situation(_draw_parts(0.9, 0.3, 10), MEDIATION_HALF, _parts, 0.9),
    "parts, 12 scenes of 10": Situation(_draw_parts(0.7, 0.5, 10), FEW, _parts, 0.7),
    "bootstrap, 60 single trials": Situation(_draw_normal, [1] * 60, _bootstraps, 0),
    "bootstrap, 60 scenes of 3": Situation(_draw_normal, [3] * 60, _bootstraps, 0),
    "bootstrap, 60 scenes of 1 to 3": Situation(_draw_normal, [1, 2, 3] * 20, _bootstraps, 0),
    "bootstrap, similarity": Situation(_draw_normal, SIMILARITY_HALF, _bootstraps, 0),
    "bootstrap, top heads": Situation(_draw_normal, MEDIATION_WHOLE, _bootstraps, 0),
    "bootstrap, 12 scenes of 10": Situation(_draw_normal, FEW, _bootstraps, 0),
}
