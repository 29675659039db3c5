"""How well the plane of two principal components separates positions and objects (Figure 1b)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr
from scipy.special import stdtrit

from harness.measures.components import NEIGHBOURS
from harness.readings.reading import (
    Reading,
    count_trials,
    estimate_gain,
    estimate_share,
    make_missing,
    select_half,
)
from harness.statistics.clusters import (
    draw_cluster_weights,
    number_clusters,
    standard_error,
)
from harness.statistics.estimate import Estimate
from harness.statistics.halves import DRAWS
from harness.statistics.orders import Code, estimate_order

PRESENT_LEAD = 0.20
"""A factor with less of a lead has no plane of its own; a share of trials, half of what the claims ask for."""


class Components(Reading):
    """Turns neighbours in planes into shares of trials whose neighbours agree.

    Factors are "position" (six cells) and "identity" (six objects). Which objects are targets is drawn, and
    some lie closer together than others, so that intervals of shares are no narrower than targets say.
    """

    def gap(self) -> Estimate:
        """Layers from the onset of the lead of positions over objects to that of the lead of objects.

        Leads are shares of trials, and onsets as in `harness.statistics.orders`. A factor that no plane
        separates above the other has no lead, and neither has the order.
        """
        if missing := self._explain_missing() or self._explain_no_plane():
            return missing
        agrees, scenes = self.data.agrees, self.data.scene.values
        weights = draw_cluster_weights(scenes, DRAWS, np.random.default_rng(0))
        lead = agrees.sel(factor="position").astype(float) - agrees.sel(factor="identity")
        values = lead.transpose("trial", "layer").values
        curve, draws = values.mean(0), (weights @ values) / weights.sum(1, keepdims=True)
        return estimate_order(
            Code("a lead of positions over objects", curve, draws),
            Code("a lead of objects over positions", -curve, -draws),
            level=self.look.level,
            **count_trials(scenes),
        )

    def separating_layer(self, factor: str) -> int:
        """The layer whose plane separates a factor best, on the estimation half."""
        return int(self._find_shares().sel(factor=factor).values.argmax())

    def best_layer(self, factor: str) -> int:
        """The layer whose plane separates a factor most above the other, on the estimation half."""
        own, other = (self._find_shares().sel(factor=f).values for f in self._order(factor))
        return int((own - other).argmax())

    def accuracy(self, factor: str) -> Estimate:
        """Share of trials whose neighbours agree at the separating layer, on the evaluation half."""
        chosen = self._select("evaluation")
        agrees = chosen.agrees.sel(factor=factor, layer=self.separating_layer(factor))
        share = estimate_share(agrees, chosen.scene)
        return self._explain_missing() or _widen_by_target(share, chosen.identity)

    def lead(self, factor: str) -> Estimate:
        """Accuracy for a factor minus accuracy for the other at its best layer, evaluation half."""
        chosen = self._select("evaluation").sel(layer=self.best_layer(factor))
        own, other = (chosen.agrees.sel(factor=f) for f in self._order(factor))
        gain = estimate_gain(own, other, chosen.scene)
        return self._explain_missing() or _widen_by_target(gain, chosen.identity, least=-1.0)

    def _explain_missing(self) -> Estimate | None:
        # Where a label has no more trials than a trial has neighbours, they cannot all share it.
        for half in ("estimation", "evaluation"):
            chosen = self._select(half)
            for name in ("cell", "identity"):
                least = int(np.unique(chosen[name].values, return_counts=True)[1].min())
                if least <= NEIGHBOURS:
                    return Estimate.unsettled(
                        f"only {least} trials of some {name} in one half, where {NEIGHBOURS} neighbours are "
                        "asked for its label: raise --trials",
                        **count_trials(chosen.scene),
                    )
        return None

    def _explain_no_plane(self) -> Estimate | None:
        for factor in self.data.factor.values.tolist():
            lead = self.lead(factor)
            if lead.value is None:
                return lead
            low, high = self._find_bounds(lead)
            if not low > PRESENT_LEAD:
                surely = high < PRESENT_LEAD
                return make_missing(
                    f"no plane {'' if surely else 'surely '}separates {factor} above the other factor: its "
                    f"neighbours agree in {lead.value:.2f} [{low:.2f}, {high:.2f}] more of the trials, where "
                    f"{PRESENT_LEAD:.2f} would count",
                    surely=surely,
                    n=lead.n,
                    clusters=lead.clusters,
                )
        return None

    def _find_shares(self) -> xr.DataArray:
        """Share of trials whose neighbours agree [factor, layer], on the estimation half."""
        return self._select("estimation").agrees.astype(float).mean("trial")

    def _select(self, half: str) -> xr.Dataset:
        return select_half(self.data, half, "half")

    def _order(self, factor: str) -> tuple[str, str]:
        """The factor itself, then the other one."""
        own, other = sorted(self.data.factor.values.tolist(), key=lambda name: name != factor)
        return own, other


def _widen_by_target(estimate: Estimate, targets: xr.DataArray, least: float = 0.0) -> Estimate:
    """The same estimate with an interval that is no narrower than the means of its targets say.

    Args:
        estimate: A share, or a difference of two, clustered by scene.
        targets: The target of each of its items, [n].
        least: The least that it can be; the most is 1.
    """
    if estimate.evidence is None or estimate.value is None:
        return estimate
    value, items = estimate.value, estimate.evidence.values
    _, codes, count = number_clusters(items, targets.values, "values")
    error = standard_error(items - value, codes, count)

    def interval(level: float) -> tuple[float, float]:
        low, high = estimate.interval(abs(level))
        away = float(stdtrit(count - 1, (1 + abs(level)) / 2)) * error
        low, high = max(least, min(low, value - away)), min(1.0, max(high, value + away))
        return (low, high) if level >= 0 else (high, low)

    return replace(estimate, interval=interval, method=f"{estimate.method}, or by target")
