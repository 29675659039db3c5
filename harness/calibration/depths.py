"""Simulate how often an order of two sets of heads is wrong, where the order is known; see
`harness.calibration.orders`.

Heads are those of a stage: in one layer or spread over several, alone or with stray ones elsewhere. What is
compared is their weighted median layer (`estimate_depth_order`), with two other rules beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.calibration.orders import Rates, judge
from harness.calibration.spreads import read_spreads
from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate
from harness.statistics.halves import DRAWS
from harness.statistics.orders import MOST_DONE, Code, estimate_depth_order, find_onset

Scores = NDArray[np.float64]

TOP = 10
LEAST = 0.1
"""How many heads stand for a stage at most, and with which share of the highest score, as in the claims."""

TRIALS = 50
"""Trials of the mediation experiment, each with a scene of its own."""

NOISE = 0.02
"""Standard deviation over trials, in logits, of the score of a head that does nothing. Assumed."""


class Stages(NamedTuple):
    """How the heads of two stages lie in the layers.

    Attributes:
        widths: The fewest and most layers over which the heads of one stage are spread.
        strays: How many other heads of each stage lie anywhere, with a tenth to two fifths of the highest
            score.
        shared: Whether the second stage lies in the layers of the first, whatever the gap.
    """

    widths: tuple[int, int]
    strays: int = 0
    shared: bool = False


KINDS = {
    "in one layer each": Stages((1, 1)),
    "in one layer each, 2 stray heads": Stages((1, 1), 2),
    "over 2 to 3 layers": Stages((2, 3)),
    "over 2 to 3 layers, 2 stray heads": Stages((2, 3), 2),
    "over 4 layers": Stages((4, 4)),
    "both in the same 1 layer": Stages((1, 1), shared=True),
    "both in the same 2 to 3 layers": Stages((2, 3), shared=True),
}


def draw_heads(
    kind: str, layers: int, heads: int, gap: int, rng: np.random.Generator
) -> tuple[Scores, Scores]:
    """Draw the true mean scores of all heads for two stages, [L, H] each.

    Args:
        kind: A key of `KINDS`.
        layers: Of the subject.
        heads: Of each layer.
        gap: Layers from the last of the first stage to the first of the second, at least 1; below 0 the other
            way round. Does not count where both share their layers.
        rng: Where the randomness comes from.
    """
    stages = KINDS[kind]
    widths = [int(rng.integers(stages.widths[0], stages.widths[1] + 1)) for _ in range(2)]
    if stages.shared:
        begin = int(rng.integers(0, layers - widths[0] + 1))
        spans = [range(begin, begin + widths[0])] * 2
    else:
        begin = int(rng.integers(0, layers - sum(widths) - abs(gap) + 2))
        second = begin + widths[0] + abs(gap) - 1
        spans = [range(begin, begin + widths[0]), range(second, second + widths[1])]
        spans = spans if gap > 0 else spans[::-1]
    first, last = (_draw_stage(s, layers, heads, stages.strays, rng) for s in spans)
    return first, last


def _draw_stage(
    span: range, layers: int, heads: int, strays: int, rng: np.random.Generator
) -> Scores:
    """Two to eight heads, one or more in each layer of the span, scores from a third of the highest on."""
    scores, size = np.zeros((layers, heads)), rng.uniform(0.15, 2)
    more = int(rng.integers(max(0, 2 - len(span)), 9 - len(span)))
    for layer in [*span, *rng.choice(span, more).tolist()]:
        scores[layer, rng.integers(heads)] = size * rng.uniform(1 / 3, 1)
    highest = scores.max()
    for _ in range(strays):
        scores[rng.integers(layers), rng.integers(heads)] = highest * rng.uniform(0.1, 0.4)
    return scores


def sum_top_heads(means: Scores) -> tuple[Scores, Scores]:
    """How many top heads are in each layer and what they do together, [D, L] each, of scores [D, L, H]."""
    flat = means.reshape(len(means), -1)
    best = np.argpartition(-flat, TOP - 1, axis=1)[:, :TOP]
    scores = np.take_along_axis(flat, best, 1)
    kept = (scores > 0) & (scores >= LEAST * scores.max(1, keepdims=True))
    counts, sums = np.zeros((2, *means.shape[:2]))
    where = (np.arange(len(means))[:, None], best // means.shape[2])
    np.add.at(counts, where, kept)
    np.add.at(sums, where, np.where(kept, scores, 0))
    return counts, sums


def _find_median(counts: Scores, sums: Scores) -> Scores:
    """The median layer of the top heads, [D]."""
    total, up_to = counts.sum(1, keepdims=True), counts.cumsum(1)
    lower, upper = ((up_to >= (total + more) // 2).argmax(1) for more in (1, 2))
    return (lower + upper) / 2


RULES: dict[str, Callable[[Scores, Scores], Scores] | None] = {
    "weighted median, not intertwined": None,
    "median of the top heads": _find_median,
    "first layer with 3/4 of the best": lambda counts, sums: find_onset(sums, MOST_DONE),
}
"""Ways to say where the heads of a stage lie, of their number and what they do [D, L]; claims use the first."""


def simulate_depths(
    kind: str, layers: int, heads: int, gap: int, repeats: int, seed: int
) -> dict[str, Rates]:
    """Simulate how often each rule says that the first stage comes before the second, and that it does not.

    Args:
        kind: A key of `KINDS`.
        layers: Of the subject.
        heads: Of each layer.
        gap: See `draw_heads`.
        repeats: How many measurements are simulated.
        seed: Of all of them.
    """
    rng = np.random.default_rng([seed, layers, heads, gap + layers, list(KINDS).index(kind)])
    found = {rule: np.zeros(2) for rule in RULES}
    for _ in range(repeats):
        stages = [add_noise(true, rng) for true in draw_heads(kind, layers, heads, gap, rng)]
        profiles = [sum_top_heads(means) for means in stages]
        for name, rule in RULES.items():
            found[name] += judge(_estimate(rule, profiles))
    return {name: Rates(*(float(n) / repeats for n in counts)) for name, counts in found.items()}


def add_noise(scores: Scores, rng: np.random.Generator) -> Scores:
    """Draw the mean scores of all heads over trials, and their bootstrap draws, [1 + D, L, H]."""
    spread = NOISE + read_spreads().share_of_score * scores
    trials = scores + spread * rng.normal(size=(TRIALS, *scores.shape))
    weights = draw_cluster_weights(range(TRIALS), DRAWS, rng)
    return np.concatenate([trials.mean(0)[None], np.tensordot(weights / TRIALS, trials, axes=1)])


def _estimate(
    rule: Callable[[Scores, Scores], Scores] | None, profiles: list[tuple[Scores, Scores]]
) -> Estimate:
    sizes = {"n": TRIALS, "clusters": TRIALS}
    if rule is None:
        first, second = (Code("a stage", sums[0], sums[1:]) for _, sums in profiles)
        return estimate_depth_order(first, second, **sizes)
    a, b = (rule(*profile) for profile in profiles)
    return from_draws(float(b[0] - a[0]), b[1:] - a[1:], **sizes)
