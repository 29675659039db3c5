"""Which heads carry a stage, how strongly, and at which depth (section 3.4, Eq. 1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.measures.mediation import (
    ROUNDING,
    SMALLEST,
    bound_heads,
    choose_best_head,
    count_shared_heads,
    estimate_errors,
    find_top_heads,
    median_layer,
    read_best_head,
    spell_stage,
    tell_carried,
)
from harness.measures.participation import estimate_participation
from harness.readings.reading import Reading, Sizes, count_trials, read_value
from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, mean
from harness.statistics.flips import mean_by_flips
from harness.statistics.halves import DRAWS
from harness.statistics.head_scores import Carried, HeadScores
from harness.statistics.jackknife import from_jackknife
from harness.statistics.orders import Code, estimate_depth_order
from harness.stimuli.contrast import CONDITIONS

TOP = 10
"""Heads that stand for a stage, as in the threshold of the protocol; at least a tenth of the highest score."""

Head = tuple[int, int]
"""Layer and head."""

NO_LEAD = "the clean answer does not surely lead the other, so that heads have none to carry"


class Mediation(Reading):
    """Turns scores of heads into strength, depth and overlap of the stages, named by their condition."""

    def presence(self, stage: str) -> Estimate:
        """Mean score of the stage's best head, with the interval of a sign-flip test; absent if there is none.

        Chosen on the estimation half, read on the other. Whether there is an effect is a question of its own,
        however small it is: see `size` and `share`. That there is none is not told by one head, since another
        could be the stage's: all of them must surely be smaller than what is worth finding.

        Where no answer is given there is none to carry, though some head of any network, also of one with
        random weights, moves the two answers apart by a little more than rounding.
        """
        if missing := self._explain_too_few(stage):
            return missing
        scores, scenes = self._kept(stage)
        found = mean_by_flips(*read_best_head(scores, scenes))
        low, high = self._find_bounds(found)
        if low > ROUNDING:
            lead = mean(self.data.clean.sel(condition=stage).values[: len(scenes)], scenes)
            led = self._find_bounds(lead)[0] > 0
            return found if led else Estimate.unsettled(NO_LEAD, **count_trials(scenes))
        largest = float(bound_heads(scores, scenes, self.look.level).max())
        reason = (
            f"{spell_stage(stage)}: the best one scores {read_value(found):.2g} [{low:.2g}, {high:.2g}] logits "
            f"on other trials, where {ROUNDING} may be rounding, and all less than {largest:.2g}, where "
            f"{SMALLEST[stage]} is worth finding"
        )
        sizes = count_trials(scenes)
        if largest < SMALLEST[stage]:
            return Estimate.absent(f"no head mediates {reason}", **sizes)
        return Estimate.unsettled(f"no head surely mediates {reason}", **sizes)

    def strength(self, stage: str) -> Estimate:
        """Mean score of the stage's best head in logits: chosen on the estimation half, read on the other."""
        return self._explain_too_few(stage) or mean(*read_best_head(*self._kept(stage)))

    def size(self, stage: str) -> Estimate:
        """`strength` of a stage that has a head; where it is not known, a head chosen by luck has no size."""
        return self._explain_missing(stage) or self.strength(stage)

    def share(self, stage: str) -> Estimate:
        """Mean score of the stage's best head as a share of the clean logit difference (Eq. 1).

        At 1 the one patch takes back the whole lead of the clean answer. Same head and trials as `size`.
        """
        if missing := self._explain_missing(stage):
            return missing
        scores, scenes = self._kept(stage)
        first, head = choose_best_head(scores, scenes)
        moved, clean = scores[~first, *head], self.data.clean.sel(condition=stage).values
        lead = clean[: len(first)][~first]
        sizes = count_trials(scenes[~first])
        if not self._find_bounds(mean(lead, scenes[~first]))[0] > 0:
            return Estimate.unsettled(NO_LEAD, **sizes)
        weights = draw_cluster_weights(scenes[~first], DRAWS, np.random.default_rng(0))
        draws = (weights @ moved) / (weights @ lead)
        return from_draws(float(moved.mean() / lead.mean()), draws, **sizes)

    def heads(self, stage: str) -> list[Head]:
        """The stage's top heads over all trials, as (layer, head), best first; none where no trial was kept."""
        return find_top_heads(self.mean_scores(stage), TOP)

    def mean_scores(self, stage: str) -> NDArray[np.float64]:
        """Mean score of every head over all trials, float64 [layer, head]; 0 where no trial was kept."""
        scores = self._kept(stage)[0]
        return scores.mean(0) if len(scores) else np.zeros(scores.shape[1:])

    def score_heads(self, stage: str) -> HeadScores:
        """Scores of all heads with their errors, and whether any of them surely carries the stage."""
        scores, scenes = self._kept(stage)
        if len(np.unique(scenes)) < 2:
            few = self._explain_too_few(stage)
            return HeadScores(Carried.unmeasured, few.reason if few else "too few contrasts")
        unsure, carried = "", tell_carried(scores, scenes, SMALLEST[stage], self.look.level)
        if few := self._explain_too_few(stage):
            unsure, carried = few.reason, None
        elif carried is None or (carried and self.presence(stage).value is None):
            carried, unsure = None, self.presence(stage).reason or "its best heads score little"
        state = {True: Carried.by_heads, False: Carried.by_none, None: Carried.uncertain}[carried]
        errors, count = estimate_errors(scores, scenes), len(np.unique(scenes))
        return HeadScores(state, unsure, scores.mean(0), errors, count)

    def depth_gap(self, earlier: str, later: str) -> Estimate:
        """How many layers one stage's top heads lie before another's, see `estimate_depth_order`."""
        if missing := self._explain_missing(earlier, later):
            return missing
        sizes = self._count_fewest((earlier, later))
        first, second = map(self._sum_by_layer, (earlier, later))
        return estimate_depth_order(first, second, level=self.look.level, **sizes)

    def depth_error(self, stage: str, theirs: Sequence[Head] | None) -> Estimate:
        """Distance of the median layer of a stage's top heads to the published one, as a share of all layers.

        Args:
            stage: Named by its condition.
            theirs: Published (layer, head) pairs of the same subject, best first; None if there are none.
        """
        if missing := self._explain_unpublished(theirs) or self._explain_missing(stage):
            return missing
        own, draws = self._find_depth(stage)
        expected, layers = median_layer((theirs or ())[:TOP]), self.data.sizes["layer"]
        return self._estimate(
            abs(own - expected) / layers, np.abs(draws - expected) / layers, (stage,)
        )

    def overlap(self) -> Estimate:
        """The largest share of top heads that two stages have in common, of the shorter list."""
        if missing := self._explain_missing(*CONDITIONS):
            return missing
        sets = {s: self._draw_heads(s) for s in CONDITIONS}
        couples = list(combinations(CONDITIONS, 2))
        draws = np.array([list(map(_share_of_common, sets[a], sets[b])) for a, b in couples]).max(0)
        value = max(_share_of_common(self.heads(a), self.heads(b)) for a, b in couples)
        return self._estimate(value, draws, CONDITIONS)

    def sparsity(self) -> Estimate:
        """The largest effective share of heads that carry one stage, see `estimate_participation`."""
        if missing := self._explain_missing(*CONDITIONS):
            return missing
        shares = []
        for stage in CONDITIONS:
            scores, scenes = self._kept(stage)
            share, without = estimate_participation(scores, scenes)
            if not (np.isfinite(share) and np.isfinite(without).all()):
                return Estimate.unsettled(
                    f"noise hides how many heads carry {spell_stage(stage)}: raise --trials",
                    **count_trials(scenes),
                )
            shares.append(from_jackknife(share, without, n=len(scenes)))
        return _find_largest(shares)

    def replicated(self, stage: str, theirs: Sequence[Head] | None) -> Estimate:
        """Share of the ten best published heads of this subject that are among the twenty best here.

        Args:
            stage: Named by its condition.
            theirs: Published (layer, head) pairs of the same subject, best first; None if there are none.
        """
        if missing := self._explain_unpublished(theirs) or self._explain_missing(stage):
            return missing
        wanted = set((theirs or ())[:TOP])
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
        return [find_top_heads(of_draw, k, share) for of_draw in self._draw_means(stage)]

    def _draw_means(self, stage: str) -> NDArray[np.float64]:
        """Mean score of every head in each bootstrap draw of scenes, [D, L, H]."""
        scores, scenes = self._kept(stage)
        rng = np.random.default_rng(CONDITIONS.index(stage))
        weights = draw_cluster_weights(scenes, DRAWS, rng)
        return np.tensordot(weights / weights.sum(1, keepdims=True), scores, axes=1)

    def _estimate(
        self, value: float, draws: NDArray[np.float64], stages: Sequence[str]
    ) -> Estimate:
        """An estimate that rests on as many trials and scenes as the stage with fewest."""
        sizes = self._count_fewest(stages)
        if not np.isfinite(draws).all():
            return Estimate.unsettled(
                "in some draws of scenes all of the best heads have equal scores: raise --trials",
                **sizes,
            )
        return from_draws(value, draws, **sizes)

    def _count_fewest(self, stages: Sequence[str]) -> Sizes:
        """Trials and scenes of the stage with fewest."""
        sizes = [count_trials(self._kept(s)[1]) for s in stages]
        return {"n": min(s["n"] for s in sizes), "clusters": min(s["clusters"] for s in sizes)}

    def _sum_by_layer(self, stage: str) -> Code:
        """What the stage's top heads do in each layer, in logits, on all trials and in each draw of scenes."""
        means = np.concatenate([self.mean_scores(stage)[None], self._draw_means(stage)])
        sums = np.zeros(means.shape[:2])
        for row, scores in zip(sums, means, strict=True):
            for layer, head in find_top_heads(scores, TOP):
                row[layer] += scores[layer, head]
        return Code(spell_stage(stage), sums[0], sums[1:])

    def _find_depth(self, stage: str) -> tuple[float, NDArray[np.float64]]:
        """Median layer of the stage's top heads, and in each bootstrap draw; NaN where all of them tie."""
        draws = [median_layer(heads) for heads in self._draw_heads(stage)]
        return median_layer(self.heads(stage)), np.array(draws)

    def _explain_missing(self, *stages: str) -> Estimate | None:
        for stage in stages:
            presence = self.presence(stage)
            if presence.value is None:
                return presence
            if not self.heads(stage):
                return Estimate.unsettled(
                    f"the best heads of {spell_stage(stage)} have equal scores, and no list of them is theirs",
                    **count_trials(self._kept(stage)[1]),
                )
        return None

    def _explain_unpublished(self, theirs: Sequence[Head] | None) -> Estimate | None:
        if theirs:
            return None
        return Estimate.inapplicable("the paper shows no heads of this subject")

    def _explain_too_few(self, stage: str) -> Estimate | None:
        scenes = self._kept(stage)[1]
        tried = int(self.data.sel(condition=stage).drawn)
        if not len(scenes):
            return Estimate.inapplicable(
                f"none of {tried} contrasts is answered right on both sides, so that no head is ranked"
            )
        if len(np.unique(scenes)) >= MINIMUM_CLUSTERS:
            return None
        return Estimate.unsettled(
            f"only {len(scenes)} of {tried} contrasts are answered right on both sides",
            **count_trials(scenes),
        )


def _share_of_common(a: Collection[Head], b: Collection[Head]) -> float:
    """Share of the shorter list of heads that stands in the other, too; NaN if one is empty."""
    return count_shared_heads(a, b) / min(len(a), len(b)) if a and b else float("nan")


def _find_largest(estimates: Sequence[Estimate]) -> Estimate:
    """The largest of several quantities, with an interval that holds it as often as its level says.

    All are below a number if the upper limit of each is; that one is above it must not rest on the luckiest of
    several lower limits, so that these share the tail.
    """

    def interval(level: float) -> tuple[float, float]:
        shared = 1 - (1 - level) / len(estimates)
        low = max(e.interval(shared)[0] for e in estimates)
        high = max(e.interval(level)[1] for e in estimates)
        return low, high

    largest = max(estimates, key=read_value)
    n, clusters = min(e.n for e in estimates), min(e.clusters for e in estimates)
    return replace(largest, interval=interval, n=n, clusters=clusters)
