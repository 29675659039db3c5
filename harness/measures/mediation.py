"""Causal mediation of single heads (Assouel et al. 2026, section 3.4, Eq. 1)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit
from scipy.stats import mannwhitneyu

from harness.statistics.halves import draw_estimation_half


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


def find_top_heads(scores: ArrayLike, k: int = 10, share: float = 0.1) -> list[tuple[int, int]]:
    """The heads with the highest scores, over the whole model.

    Args:
        scores: Mean mediation score of every head, [L, H].
        k: How many heads at most.
        share: The list stops at the first head below this share of the highest score, or without a
            positive score, so that heads that do nothing never fill it up.

    Returns:
        (layer, head), best first; equal ones in the order of layers and heads. Where the k-th head and the next
        have the same score, the list ends before all heads of that score: which of them it held would be
        decided by the order in which they are numbered, not by what they do.

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
    floor = share * s.max(initial=0)
    found = compute_listing_chance(s, k) == 1
    best = np.argsort(-s, axis=None, kind="stable")
    heads = [divmod(int(i), s.shape[1]) for i in best[: int(found.sum())]]
    return [head for head in heads if s[head] > 0 and s[head] >= floor]


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
    layer, head = np.unravel_index(scores[first].mean(0).argmax(), scores.shape[1:])
    return first, (int(layer), int(head))


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
    labels, index, sizes = np.unique(scenes, return_inverse=True, return_counts=True)
    count, means = len(labels), scores.mean(0)
    if count < 2:
        return np.full(means.shape, np.inf)
    sums = np.zeros((count, *means.shape))
    np.add.at(sums, index, scores)
    residuals = sums - sizes[:, None, None] * means
    errors = np.sqrt(count / (count - 1) * (residuals**2).sum(0)) / len(scores)
    return means + float(stdtrit(count - 1, (1 + level) / 2)) * errors


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
