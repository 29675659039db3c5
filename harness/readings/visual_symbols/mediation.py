"""Which heads carry a stage, how strongly, and at which depth (section 3.4, Eq. 1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from harness.measures.mediation import median_layer, read_best_head, shared, top_heads
from harness.readings.reading import Reading
from harness.statistics.clusters import cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate, mean
from harness.statistics.halves import DRAWS, PERMUTATIONS
from harness.stimuli.contrast import CONDITIONS, Condition

TOP = 10
"""Heads that stand for a stage, as in the threshold of the protocol; at least a tenth of the highest score."""


WEAKEST: dict[Condition, float] = {
    "id_retrieval": 0.1,
    "id_selection": 0.2,
    "feature_retrieval": 0.5,
}
"""Logits that the best head of a stage must reach; below, the stage has no heads and no place in an order."""


class Mediation(Reading):
    """Reading of the scores. Stages are named by their condition."""

    def strength(self, stage: str) -> Estimate:
        """Mean score of the stage's best head: chosen on the estimation half, read on the other."""
        scores, scenes = self._kept(stage)
        if len(np.unique(scenes)) < 2:
            return self._too_few(stage)
        return mean(*read_best_head(scores, scenes))

    def heads(self, stage: str) -> list[tuple[int, int]]:
        """The stage's top heads over all trials, as (layer, head), best first."""
        return top_heads(self.mean_scores(stage), TOP)

    def mean_scores(self, stage: str) -> np.ndarray:
        """Mean score of every head over all trials, float64 [layer, head]."""
        return self._kept(stage)[0].mean(0)

    def depth_gap(self, earlier: str, later: str) -> Estimate:
        """Layers from the median layer of one stage's top heads to that of another's."""
        missing = self._missing(earlier, later)
        if missing:
            return missing
        draws = [self._over_draws(s, median_layer) for s in (earlier, later)]
        value = median_layer(self.heads(later)) - median_layer(self.heads(earlier))
        return self._drawn(value, draws[1] - draws[0], (earlier, later))

    def overlap(self) -> Estimate:
        """The largest share of top heads that two stages have in common, of the shorter list."""
        missing = self._missing(*CONDITIONS)
        if missing:
            return missing
        sets = {s: self._over_draws(s, list) for s in CONDITIONS}
        couples = list(combinations(CONDITIONS, 2))
        draws = np.array([list(map(_common, sets[a], sets[b])) for a, b in couples]).max(0)
        value = max(_common(self.heads(a), self.heads(b)) for a, b in couples)
        return self._drawn(value, draws, CONDITIONS)

    def significant(self, stage: str) -> list[tuple[int, int]]:
        """Heads above what no head reaches in 95% of sign flips, and at least a tenth of the highest score.

        Each scene's scores change sign as one, and the highest mean over heads is kept: one threshold for all
        heads, however many there are.
        """
        scores, scenes = self._kept(stage)
        labels, index = np.unique(scenes, return_inverse=True)
        sums = np.zeros((len(labels), *scores.shape[1:]))
        np.add.at(sums, index, scores)
        flips = np.random.default_rng(0).choice((-1.0, 1.0), size=(PERMUTATIONS, len(labels)))
        highest = np.tensordot(flips, sums, axes=1).reshape(PERMUTATIONS, -1).max(1) / len(scores)
        limit = float(np.quantile(highest, 0.95))
        means = self.mean_scores(stage)
        return [h for h in top_heads(means, means.size) if means[h] > limit]

    def sparsity(self) -> Estimate:
        """The largest share of all heads that counts as one stage's: significant, and a tenth of the best."""
        missing = self._missing(*CONDITIONS)
        if missing:
            return missing
        found = {s: set(self.significant(s)) for s in CONDITIONS}
        whole = self.mean_scores(CONDITIONS[0]).size
        draws = []
        for s in CONDITIONS:
            scores, scenes = self._kept(s)
            weights = cluster_weights(scenes, DRAWS, np.random.default_rng(CONDITIONS.index(s)))
            means = np.tensordot(weights / weights.sum(1, keepdims=True), scores, axes=1)
            draws.append([len(found[s] & set(top_heads(m, m.size))) / whole for m in means])
        value = max(len(heads) for heads in found.values()) / whole
        return self._drawn(value, np.max(draws, 0), CONDITIONS)

    def replicated(self, stage: str, theirs: Sequence[tuple[int, int]] | None) -> Estimate:
        """Share of the ten best published heads of this subject that are among the twenty best here.

        Args:
            stage: Named by its condition.
            theirs: Published (layer, head) pairs of the same subject, best first; None if there are none.
        """
        if not theirs:
            return Estimate.inapplicable("the paper shows no heads of this subject")
        missing = self._missing(stage)
        if missing:
            return missing
        wanted = set(theirs[:TOP])
        draws = self._over_draws(stage, lambda heads: len(wanted & set(heads)), k=2 * TOP)
        own = set(top_heads(self.mean_scores(stage), 2 * TOP, share=0.0))
        return self._drawn(len(wanted & own) / len(wanted), draws / len(wanted), (stage,))

    def _kept(self, stage: str) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.data.sel(condition=stage)
        kept = int(chosen.kept)
        return chosen.score.values[:kept], chosen.scene.values[:kept]

    def _over_draws(self, stage: str, reduce, k: int = TOP) -> np.ndarray:
        scores, scenes = self._kept(stage)
        weights = cluster_weights(scenes, DRAWS, np.random.default_rng(CONDITIONS.index(stage)))
        means = np.tensordot(weights / weights.sum(1, keepdims=True), scores, axes=1)
        found = [reduce(top_heads(m, k, 0.1 if k == TOP else 0.0)) for m in means]
        if reduce is not list:
            return np.array(found)
        result = np.empty(len(found), object)
        result[:] = found
        return result

    def _drawn(self, value: float, draws: np.ndarray, stages: tuple[str, ...]) -> Estimate:
        scenes = [self._kept(s)[1] for s in stages]
        return from_draws(
            value,
            draws,
            n=min(len(s) for s in scenes),
            clusters=min(len(np.unique(s)) for s in scenes),
        )

    def _missing(self, *stages: str) -> Estimate | None:
        for stage in stages:
            strength = self.strength(stage)
            if strength.value is None:
                return strength
            low, high = self._bounds(strength)
            if not low > WEAKEST[stage]:
                name = stage.replace("_", " ").replace("id ", "ID ")
                surely = high < WEAKEST[stage]
                return (Estimate.absent if surely else Estimate.unsettled)(
                    f"no head {'' if surely else 'surely '}mediates {name}: the best one scores "
                    f"{strength.value:.2f} [{low:.2f}, {high:.2f}] logits, where "
                    f"{WEAKEST[stage]} would count",
                    n=strength.n,
                    clusters=strength.clusters,
                )
        return None

    def _too_few(self, stage: str) -> Estimate:
        chosen = self.data.sel(condition=stage)
        return Estimate.unsettled(
            f"only {int(chosen.kept)} of {int(chosen.drawn)} contrasts are answered right on both sides",
            n=int(chosen.kept),
            clusters=len(np.unique(self._kept(stage)[1])),
        )


def _common(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> float:
    """Share of the shorter list of heads that stands in the other, too."""
    return shared(a, b) / max(1, min(len(a), len(b)))
