"""Which heads carry a stage, how strongly, and at which depth (section 3.4, Eq. 1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.measures.mediation import (
    count_shared_heads,
    find_top_heads,
    median_layer,
    read_best_head,
)
from harness.readings.reading import Reading, count_trials, make_missing
from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate, mean
from harness.statistics.halves import DRAWS, PERMUTATIONS
from harness.stimuli.contrast import CONDITIONS

TOP = 10
"""Heads that stand for a stage, as in the threshold of the protocol; at least a tenth of the highest score."""

WEAKEST: dict[str, float] = {
    "id_retrieval": 0.1,
    "id_selection": 0.2,
    "feature_retrieval": 0.5,
}
"""Logits that the best head of a stage must reach; below, the stage has no heads and no place in an order."""

Head = tuple[int, int]
"""Layer and head."""


class Mediation(Reading):
    """Turns scores of heads into strength, depth and overlap of the stages, named by their condition."""

    def strength(self, stage: str) -> Estimate:
        """Mean score of the stage's best head: chosen on the estimation half, read on the other."""
        scores, scenes = self._kept(stage)
        if len(np.unique(scenes)) < 2:
            return self._explain_too_few(stage)
        return mean(*read_best_head(scores, scenes))

    def heads(self, stage: str) -> list[Head]:
        """The stage's top heads over all trials, as (layer, head), best first."""
        return find_top_heads(self.mean_scores(stage), TOP)

    def mean_scores(self, stage: str) -> NDArray[np.float64]:
        """Mean score of every head over all trials, float64 [layer, head]."""
        return self._kept(stage)[0].mean(0)

    def depth_gap(self, earlier: str, later: str) -> Estimate:
        """How many layers the median layer of one stage's top heads lies before that of another's."""
        if missing := self._explain_missing(earlier, later):
            return missing
        first, second = (
            np.array([median_layer(heads) for heads in self._draw_heads(s)])
            for s in (earlier, later)
        )
        value = median_layer(self.heads(later)) - median_layer(self.heads(earlier))
        return self._estimate(value, second - first, (earlier, later))

    def overlap(self) -> Estimate:
        """The largest share of top heads that two stages have in common, of the shorter list."""
        if missing := self._explain_missing(*CONDITIONS):
            return missing
        sets = {s: self._draw_heads(s) for s in CONDITIONS}
        couples = list(combinations(CONDITIONS, 2))
        draws = np.array([list(map(_share_of_common, sets[a], sets[b])) for a, b in couples]).max(0)
        value = max(_share_of_common(self.heads(a), self.heads(b)) for a, b in couples)
        return self._estimate(value, draws, CONDITIONS)

    def significant(self, stage: str) -> list[Head]:
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
        return [h for h in find_top_heads(means, means.size) if means[h] > limit]

    def sparsity(self) -> Estimate:
        """The largest share of all heads that counts as one stage's: significant, and a tenth of the best."""
        if missing := self._explain_missing(*CONDITIONS):
            return missing
        found = {s: set(self.significant(s)) for s in CONDITIONS}
        whole = self.mean_scores(CONDITIONS[0]).size
        draws = [
            [len(found[s] & set(heads)) / whole for heads in self._draw_heads(s, whole)]
            for s in CONDITIONS
        ]
        value = max(len(heads) for heads in found.values()) / whole
        return self._estimate(value, np.max(draws, 0), CONDITIONS)

    def replicated(self, stage: str, theirs: Sequence[Head] | None) -> Estimate:
        """Share of the ten best published heads of this subject that are among the twenty best here.

        Args:
            stage: Named by its condition.
            theirs: Published (layer, head) pairs of the same subject, best first; None if there are none.
        """
        if not theirs:
            return Estimate.inapplicable("the paper shows no heads of this subject")
        if missing := self._explain_missing(stage):
            return missing
        wanted = set(theirs[:TOP])
        listed = self._draw_heads(stage, 2 * TOP, share=0.0)
        draws = np.array([len(wanted & set(heads)) for heads in listed])
        own = set(find_top_heads(self.mean_scores(stage), 2 * TOP, share=0.0))
        return self._estimate(len(wanted & own) / len(wanted), draws / len(wanted), (stage,))

    def _kept(self, stage: str) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
        """Scores of all heads on the n trials that were kept for a stage [n, L, H], and their scenes [n]."""
        chosen = self.data.sel(condition=stage)
        kept = int(chosen.kept)
        return chosen.score.values[:kept], chosen.scene.values[:kept]

    def _draw_heads(self, stage: str, k: int = TOP, share: float = 0.1) -> list[list[Head]]:
        """The stage's top heads in each bootstrap draw of scenes, with `k` and `share` of `find_top_heads`."""
        scores, scenes = self._kept(stage)
        weights = draw_cluster_weights(
            scenes, DRAWS, np.random.default_rng(CONDITIONS.index(stage))
        )
        means = np.tensordot(weights / weights.sum(1, keepdims=True), scores, axes=1)
        return [find_top_heads(of_draw, k, share) for of_draw in means]

    def _estimate(
        self, value: float, draws: NDArray[np.float64], stages: Sequence[str]
    ) -> Estimate:
        """An estimate that rests on as many trials and scenes as the stage with fewest."""
        sizes = [count_trials(self._kept(s)[1]) for s in stages]
        n, clusters = min(s["n"] for s in sizes), min(s["clusters"] for s in sizes)
        return from_draws(value, draws, n=n, clusters=clusters)

    def _explain_missing(self, *stages: str) -> Estimate | None:
        for stage in stages:
            strength = self.strength(stage)
            if strength.value is None:
                return strength
            low, high = self._find_bounds(strength)
            if not low > WEAKEST[stage]:
                surely = high < WEAKEST[stage]
                return make_missing(
                    f"no head {'' if surely else 'surely '}mediates {spell_stage(stage)}: the best one "
                    f"scores {strength.value:.2f} [{low:.2f}, {high:.2f}] logits, where "
                    f"{WEAKEST[stage]} would count",
                    surely=surely,
                    n=strength.n,
                    clusters=strength.clusters,
                )
        return None

    def _explain_too_few(self, stage: str) -> Estimate:
        chosen = self.data.sel(condition=stage)
        return Estimate.unsettled(
            f"only {int(chosen.kept)} of {int(chosen.drawn)} contrasts are answered right on both sides",
            **count_trials(self._kept(stage)[1]),
        )


def spell_stage(stage: str) -> str:
    """A stage in words: "ID retrieval" for the condition "id_retrieval"."""
    return stage.replace("_", " ").replace("id ", "ID ")


def _share_of_common(a: Collection[Head], b: Collection[Head]) -> float:
    """Share of the shorter list of heads that stands in the other, too."""
    return count_shared_heads(a, b) / max(1, min(len(a), len(b)))
