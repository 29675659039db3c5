"""Causal mediation of single heads (Assouel et al. 2026, section 3.4, Eq. 1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit
from scipy.stats import mannwhitneyu

from harness.statistics.halves import draw_estimation_half
from harness.statistics.signs import flip_signs


def mediation_score(patched: ArrayLike, clean: ArrayLike) -> NDArray[np.float64]:
    """How far a patch moves the logits from the clean answer to the answer that it predicts.

    Args:
        patched: Logits of (predicted answer a1*, clean answer a1) with the patch, [..., 2].
        clean: The same two logits without it, [..., 2]; leading axes broadcast, so that one clean
            run serves all heads.

    Returns:
        (patched[a1*] - patched[a1]) - (clean[a1*] - clean[a1]), in logits, [...].

    Raises:
        ValueError: The last axis is not the two answers, or the leading axes do not fit.
    """
    patched, clean = np.asarray(patched, np.float64), np.asarray(clean, np.float64)
    for name, logits in (("patched", patched), ("clean", clean)):
        if logits.shape[-1:] != (2,):
            raise ValueError(f"{name} logits are of two answers, [..., 2]; got {logits.shape}")
    return (patched[..., 0] - patched[..., 1]) - (clean[..., 0] - clean[..., 1])


EQUAL = 1e-4
"""Scores that differ by less than this share of the largest are equal: rounding alone may tell them apart.

In float32 the scores of two models that compute the same differ by up to half of it: by 5e-7 logits where the
highest score is 0.01 (measured on embedded subjects and copies with their heads renumbered)."""


def merge_equals(numbers: ArrayLike, apart: float | None = None) -> NDArray[np.float64]:
    """Replace numbers that differ by no more than rounding by one value.

    Args:
        numbers: Finite, of any shape.
        apart: Numbers that differ by more are not equal; if None, by more than `EQUAL` times the largest size.

    Returns:
        In the same shape. Of the numbers in ascending order, neighbours that are equal become the largest of
        all that hang together so; those that hang together with 0 become 0.
    """
    found = np.asarray(numbers, np.float64)
    if not found.size:
        return found
    order = np.argsort(found, axis=None, kind="stable")
    ascending = found.ravel()[order]
    step = EQUAL * np.abs(ascending).max() if apart is None else apart
    group = np.cumsum(np.diff(ascending, prepend=ascending[0]) > step)
    shared = ascending[np.flatnonzero(np.diff(group, append=group[-1] + 1))]
    shared[np.bincount(group, np.abs(ascending) <= step) > 0] = 0
    merged = np.empty(found.size)
    merged[order] = shared[group]
    return merged.reshape(found.shape)


def merge_sizes(sizes: ArrayLike) -> NDArray[np.float64]:
    """Logarithms of sizes, such as how much heads write, in which those that are equal have the same value.

    Sizes are equal if their ratio is 1 up to rounding; all below a millionth of the largest are nothing.
    """
    found = np.asarray(sizes, np.float64)
    largest = found.max(initial=0)
    if not largest > 0:
        return np.zeros(found.shape)
    return merge_equals(np.log(np.maximum(found / largest, 1e-6)), EQUAL)


def order_heads(*numbers: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Order heads by what was measured of them, so that no order depends on how they are numbered.

    Args:
        numbers: For each thing that was measured one number for every head, [L, H], in which equals are the
            same (`merge_equals`, `merge_sizes`). The first orders; of heads with the same the second does, and
            so on.

    Returns:
        (layer, head), the largest numbers first. Heads that are equal in everything are in the order of layers
        and heads: by what was measured nothing tells them apart.
    """
    order = np.lexsort([-of_heads.ravel() for of_heads in reversed(numbers)])
    return [divmod(int(i), numbers[0].shape[1]) for i in order]


ROUNDING = 0.001
"""Logits below which a score may be rounding, so that a head that scores less has not been seen to do anything.

Heads of the controls that carry nothing score up to 6e-5 in float32, all on one side of zero in some.
"""


SMALLEST: dict[str, float] = {
    "id_retrieval": 0.07,
    "id_selection": 0.13,
    "feature_retrieval": 0.30,
}
"""The smallest size worth finding, in logits: half of the smallest published maximum (Figures 20 to 25).

The published maxima are those of all heads on the trials that chose them, and so are too large. A stage of
which no head is seen is absent if all heads surely score less.
"""


def spell_stage(stage: str) -> str:
    """Spell the name of a stage in words, such as "ID retrieval" for the condition "id_retrieval"."""
    return stage.replace("_", " ").replace("id ", "ID ")


def find_top_heads(
    scores: ArrayLike, k: int = 10, share: float = 0.1, then: Sequence[NDArray[np.float64]] = ()
) -> list[tuple[int, int]]:
    """The heads with the highest scores, over the whole model.

    Args:
        scores: Mean mediation score of every head, [L, H].
        k: How many heads at most.
        share: The list stops at the first head below this share of the highest score, or without a
            positive score, so that heads that do nothing never fill it up.
        then: What else was measured of every head, by which heads of equal scores are ordered (`order_heads`).

    Returns:
        (layer, head), best first; those that are equal in everything in the order of layers and heads. Where
        the k-th head and the next have the same score up to rounding, the list ends before all heads of that
        score: which of them it held would be decided by rounding, not by what they do.

    Raises:
        ValueError: Not one matrix of heads, a score is not finite, or k is negative.
    """
    s = np.asarray(scores, np.float64)
    if s.ndim != 2:
        raise ValueError(f"scores are [layer, head]; got shape {s.shape}")
    if not np.isfinite(s).all():
        raise ValueError("mediation scores are not finite")
    if k < 0:
        raise ValueError(f"k is {k}")
    merged = merge_equals(s)
    floor = share * s.max(initial=0)
    found = compute_listing_chance(merged, k) == 1
    heads = order_heads(merged, *then)[: int(found.sum())]
    return [head for head in heads if merged[head] > 0 and merged[head] >= floor]


def compute_listing_chance(scores: ArrayLike, k: int) -> NDArray[np.float64]:
    """Chance of each head to be among the k best, where heads with equal scores are ordered by lot.

    Args:
        scores: Score of every head, of any shape.
        k: How many heads are listed.

    Returns:
        In the shape of the scores; 1 for heads that are listed in any order, 0 for those in none. The sum is k,
        or the number of heads if that is smaller.
    """
    s = np.asarray(scores, np.float64)
    _, rank, sizes = np.unique(-s.ravel(), return_inverse=True, return_counts=True)
    before = np.cumsum(sizes) - sizes
    return np.clip((k - before) / sizes, 0, 1)[rank].reshape(s.shape)


def read_best_head(
    scores: NDArray[np.float64], scenes: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Scores of the best head, chosen on the estimation half of the trials and read on the other half.

    On the trials by which it is chosen, the best of a thousand heads is good by luck.

    Args:
        scores: Mediation score of every head on every trial, [n, L, H].
        scenes: The scene of each trial [n].

    Returns:
        Its scores on the trials of the evaluation half, and the scenes of those.

    Raises:
        ValueError: Fewer than two scenes.
    """
    first, (layer, head) = choose_best_head(scores, scenes)
    return scores[~first, layer, head], scenes[~first]


def choose_best_head(
    scores: NDArray[np.float64], scenes: NDArray[np.str_]
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """The estimation half of the trials, and the head with the highest mean score there.

    Args:
        scores: Mediation score of every head on every trial, [n, L, H].
        scenes: The scene of each trial [n]; no scene is on both sides.

    Returns:
        Which trials belong to the estimation half, bool [n]; and (layer, head).

    Raises:
        ValueError: Fewer than two scenes.
    """
    # The seed is fixed since the order of trials is random already.
    first = draw_estimation_half(scenes, np.random.default_rng(0))
    chosen = scores[first]
    # Heads with the same mean are told apart trial by trial, and not by their numbers.
    return first, order_heads(merge_equals(chosen.mean(0)), *map(merge_equals, chosen))[0]


def bound_heads(
    scores: NDArray[np.float64], scenes: NDArray[np.str_], level: float
) -> NDArray[np.float64]:
    """Upper limit of every head's mean score, in logits, [L, H]; infinite if there is a single scene.

    Student's limit of the mean, clustered by scene (CR1). The limit of a head lies below its true mean as
    rarely as the level says, and so does the largest of all limits.

    Args:
        scores: Mediation score of every head on every trial, [n, L, H].
        scenes: The scene of each trial [n].
        level: Of the two-sided interval that the limit belongs to, such as 0.95.
    """
    means, count = scores.mean(0), len(np.unique(scenes))
    if count < 2:
        return np.full(means.shape, np.inf)
    return means + float(stdtrit(count - 1, (1 + level) / 2)) * estimate_errors(scores, scenes)


def estimate_errors(scores: NDArray[np.float64], scenes: NDArray[np.str_]) -> NDArray[np.float64]:
    """Standard error of every head's mean score, in logits, clustered by scene (CR1), [L, H].

    Args:
        scores: Mediation score of every head on every trial, [n, L, H].
        scenes: The scene of each trial [n]; at least two differ.
    """
    labels, index, sizes = np.unique(scenes, return_inverse=True, return_counts=True)
    count, means = len(labels), scores.mean(0)
    sums = np.zeros((count, *means.shape))
    np.add.at(sums, index, scores)
    residuals = sums - sizes[:, None, None] * means
    errors: NDArray[np.float64] = np.sqrt(count / (count - 1) * (residuals**2).sum(0)) / len(scores)
    return errors


def tell_carried(
    scores: NDArray[np.float64], scenes: NDArray[np.str_], smallest: float, level: float = 0.95
) -> bool | None:
    """Tell whether any head surely carries a stage, so that the heads that score most are heads of it.

    Of many heads that do nothing to the answer on average, some have a positive mean by the luck of the trials.

    Args:
        scores: Mediation score of every head on every trial, [n, L, H].
        scenes: The scene of each trial [n].
        smallest: The smallest mean score worth finding, in logits.
        level: Of the intervals.

    Returns:
        True if the head that is best on the estimation half surely scores more than rounding on the other half;
        False if it does not and all heads surely score less than `smallest`; None if neither is known.
    """
    if len(np.unique(scenes)) < 2:
        return None
    if flip_signs(*read_best_head(scores, scenes)).interval(level)[0] > ROUNDING:
        return True
    return False if bound_heads(scores, scenes, level).max() < smallest else None


def auroc(scores: ArrayLike, heads: Iterable[tuple[int, int]]) -> float:
    """Chance that a head of a known set scores higher than one outside it.

    Args:
        scores: Mean mediation score of every head, [L, H].
        heads: The known (layer, head) pairs.

    Returns:
        Area under the receiver operating characteristic, 0 to 1; ties count half. NaN if all heads
        are known or none is.
    """
    s = np.asarray(scores, np.float64)
    known = np.zeros(s.shape, bool)
    for head in heads:
        known[head] = True
    if known.all() or not known.any():
        return float("nan")
    return float(mannwhitneyu(s[known], s[~known]).statistic / (known.sum() * (~known).sum()))


def median_layer(heads: Iterable[tuple[int, int]]) -> float:
    """Median layer of (layer, head) pairs; NaN if there are none."""
    layers = [layer for layer, _ in heads]
    return float(np.median(layers)) if layers else float("nan")


def count_shared_heads(
    heads_a: Iterable[tuple[int, int]], heads_b: Iterable[tuple[int, int]]
) -> int:
    """How many heads are in both of two lists of (layer, head) pairs."""
    return len(set(heads_a) & set(heads_b))
