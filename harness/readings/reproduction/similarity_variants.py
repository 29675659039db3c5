"""What similarity looks like when measured as the public reproduction did (protocol, section 9)."""

from __future__ import annotations

import numpy as np

from harness.readings.reading import Reading
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate
from harness.statistics.halves import DRAWS


class SimilarityVariants(Reading):
    """Reading of the variants, named as in VARIANTS."""

    def lost(self, variant: str) -> Estimate:
        """r by the paper's protocol less r by a variant, at the layer where the first peaks."""
        base = self._at("as in the paper")
        if base[1][int((1 - self.look.level) / 2 * DRAWS)] <= 0.1:
            return Estimate.inapplicable(
                f"position is not surely represented at the last token (r = {base[0]:.2f}): there is nothing "
                "that a variant could miss",
                n=int(self.data.n[0]),
                clusters=int(self.data.scenes[0]),
            )
        other = self.data.sel(variant=variant)
        if float(other.right) < 0.5:
            return Estimate.inapplicable(
                f"only {float(other.right):.0%} of such trials are answered right: what the state tells then "
                "is not what the paper is about",
                n=int(other.n),
                clusters=int(other.scenes),
            )
        value, draws = self._at(variant, in_order=False)
        paper = self._at("as in the paper", in_order=False)
        if not np.isfinite(draws).all():
            return Estimate.unsettled(
                "some draws of so few trials have no variation to correlate",
                n=int(other.n),
                clusters=int(other.scenes),
            )
        return from_draws(
            paper[0] - value, paper[1] - draws, n=int(other.n), clusters=int(other.scenes)
        )

    def _at(self, variant: str, *, in_order: bool = True) -> tuple[float, np.ndarray]:
        chosen = self.data.sel(variant=variant).isel(layer=int(self.data.peak))
        draws = chosen.draws.values
        return float(chosen.r), np.sort(draws) if in_order else draws
