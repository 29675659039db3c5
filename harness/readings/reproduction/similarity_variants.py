"""What similarity looks like when measured as the public reproduction did (protocol, section 9)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.readings.reading import Reading, Sizes
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate
from harness.statistics.halves import DRAWS

PRESENT = 0.1
"""The paper's protocol must surely find more than this correlation, so that a variant can lose any."""

ANSWERED = 0.5
"""Share of right answers below which the states of a variant tell nothing."""


class SimilarityVariants(Reading):
    """Turns the curves of the variants into what each one loses; their names are those of the measurement."""

    def lost(self, variant: str) -> Estimate:
        """r by the paper's protocol less r by a variant, at the layer where the first peaks."""
        paper, other = (self.data.sel(variant=v) for v in ("as in the paper", variant))
        r, draws = self._read(paper)
        # The lower end of the look's interval.
        if np.sort(draws)[int((1 - self.look.level) / 2 * DRAWS)] <= PRESENT:
            return Estimate.inapplicable(
                f"position is not surely represented at the last token (r = {r:.2f}): there is nothing "
                "that a variant could miss",
                **_count(paper),
            )
        if float(other.right) < ANSWERED:
            return Estimate.inapplicable(
                f"only {float(other.right):.0%} of such trials are answered right: what the state tells then "
                "is not what the paper is about",
                **_count(other),
            )
        other_r, other_draws = self._read(other)
        if not np.isfinite(other_draws).all():
            return Estimate.unsettled(
                "some draws of so few trials have no variation to correlate", **_count(other)
            )
        return from_draws(r - other_r, draws - other_draws, **_count(other))

    def _read(self, of_variant: xr.Dataset) -> tuple[float, NDArray[np.float64]]:
        """r of a variant and its draws [D], at the layer where the paper's protocol peaks."""
        chosen = of_variant.isel(layer=int(self.data.peak))
        return float(chosen.r), chosen.draws.values


def _count(of_variant: xr.Dataset) -> Sizes:
    return {"n": int(of_variant.n), "clusters": int(of_variant.scenes)}
