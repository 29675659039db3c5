"""Which of two codes comes first in the layers: the one that first gets near its own height.

The layer of a peak is no order. A code that stays (a plateau) is highest anywhere along its way, and one that
was there, went and came back (two peaks) is highest when it comes back. What is compared is the onset: the
first layer at which a curve reaches a share of its highest value. Which share counts as there is a convention,
so an order must hold for every share from a half to three quarters. How often that is wrong, and what other
rules do on the same curves, is in docs/orders.md, made by `harness.calibration.orders`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate

SHARES = (0.5, 0.75)
"""The least and the largest share of the highest correlation from which on a code may count as there.

An order that another share turns round is none. What the words of the prompt alone tell of the target's
features reaches 0.5 to 0.67 of the peak before any position is there in four of seven published curves
(Assouel et al. 2026, Figures 1c and 14 to 19): by a half features come before positions there, by three
quarters after them. With a share above three quarters noise moves the onset along a plateau; those published
stay above 0.9.
"""

TYPICAL = sum(SHARES) / 2
"""The share by which one onset is told where no order is judged."""

HALF_DONE = (0.5, 0.5)
"""Share of a running sum at which half of something has been done: the weighted median layer of heads."""

MOST_DONE = 0.75
"""Share of a running sum at which heads have done most of what they do; its rest is where they have begun."""

_ROUNDING = 1e-9
"""Part of the wanted height that a layer may lack, so that sums that are equal do not differ by rounding."""


class Code(NamedTuple):
    """How strongly something is there in each layer, and how sure that is.

    Attributes:
        name: What it is, as the subject of a sentence, such as "position at the last token".
        curve: Its strength in each layer, [L]; NaN where a layer tells nothing.
        draws: The same in each bootstrap draw of scenes, [D, L].
    """

    name: str
    curve: NDArray[np.float64]
    draws: NDArray[np.float64]


def find_onset(curves: ArrayLike, share: ArrayLike = TYPICAL) -> NDArray[np.float64]:
    """Find the first layer at which each curve reaches a share of its highest value.

    Args:
        curves: [..., L]; NaN where a layer tells nothing.
        share: Of the highest value, above 0 and at most 1; one, or one for each curve, [...].

    Returns:
        Layers, from 0, float64 [...]; NaN for a curve that is nowhere above 0.

    Raises:
        ValueError: A share is none, or there is no layer.
    """
    values, wanted = np.asarray(curves, np.float64), np.asarray(share, np.float64)
    if not ((wanted > 0) & (wanted <= 1)).all():
        raise ValueError(f"share is {wanted.tolist()}; it must lie above 0 and be at most 1")
    if not values.ndim or not values.shape[-1]:
        raise ValueError(f"curves are [..., layer]; their shape is {values.shape}")
    values = np.where(np.isnan(values), -np.inf, values)
    highest = values.max(-1, keepdims=True)
    reached = values >= wanted[..., None] * (1 - _ROUNDING) * np.maximum(highest, 0)
    return np.where(highest[..., 0] > 0, reached.argmax(-1), np.nan)


def estimate_order(
    earlier: Code,
    later: Code,
    *,
    n: int,
    clusters: int,
    level: float = 0.95,
    shares: tuple[float, float] = SHARES,
) -> Estimate:
    """Estimate how many layers the onset of one code lies before that of another.

    Both onsets are found anew in each draw of scenes, each draw with another share between the two that are
    given, so that the interval knows how far noise moves them and how far the share does. A code that may be
    there from the first layer on is brought by none, and what comes before the first layer is not known.

    Args:
        earlier: The code that is claimed to come first.
        later: The other.
        n: How many items (trials) the curves rest on.
        clusters: How many independent clusters (scenes) these come from.
        level: Of the interval that tells whether a code was there from the first layer on.
        shares: The least and the largest that may count as there, see `find_onset`.

    Returns:
        Layers from the onset of `earlier` to that of `later`, above 0 if it comes before, for the share in the
        middle, with an interval over draws and shares; unsettled where a
        code may be there from the first layer on, or where a draw has no code.

    Raises:
        ValueError: The curves differ in their layers, or there are no draws.
    """
    layers = {np.shape(part)[-1] for code in (earlier, later) for part in code[1:]}
    if len(layers) != 1:
        raise ValueError(f"curves of {sorted(layers)} layers have no order")
    onsets, draws = [], []
    for code in (earlier, later):
        at = float(find_onset(code.curve, sum(shares) / 2))
        drawn = find_onset(code.draws, _spread_shares(shares, len(code.draws)))
        broken = int(np.isnan(drawn).sum())
        if broken or np.isnan(at):
            return Estimate.unsettled(
                f"{code.name} is in no layer in {broken} of {len(drawn)} draws of {clusters} scenes: "
                "raise --trials",
                n,
                clusters,
            )
        low, high = from_draws(at, drawn, n=n, clusters=clusters).interval(level)
        if low <= 0:
            return Estimate.unsettled(
                f"{code.name} may be there from the first layer on, so that no layer brings it: "
                f"{_spell_shares(shares)} of its height are reached in layer {at:.0f} [{low:.0f}, {high:.0f}]",
                n,
                clusters,
            )
        onsets.append(at)
        draws.append(drawn)
    return from_draws(onsets[1] - onsets[0], draws[1] - draws[0], n=n, clusters=clusters)


def estimate_depth_order(
    earlier: Code, later: Code, *, n: int, clusters: int, level: float = 0.95
) -> Estimate:
    """Estimate how many layers one set of heads lies before another, by the layers at which half is done.

    The curve of a set is what its heads have done up to each layer; its onset at `HALF_DONE` is the median
    layer of the heads, each weighted by what it does. So heads spread over several layers count as one set, and
    a stray head moves nothing unless it does about as much as all others. Two sets are intertwined where
    neither has done three quarters before the other has done more than one: which comes first is then decided
    by a head or two.

    Args:
        earlier: The heads that are claimed to come first; its curve is what they do in each layer, none
            negative.
        later: The others.
        n: How many items (trials) this rests on.
        clusters: How many independent clusters (scenes) these come from.
        level: Of the draws that must agree that the two sets are not intertwined, two-sided.

    Returns:
        Layers from one to the other, above 0 if `earlier` comes before; unsettled where they may be
        intertwined.
    """
    sums = [Code(c.name, _accumulate(c.curve), _accumulate(c.draws)) for c in (earlier, later)]
    begun, done = (
        [find_onset(c.draws, share) for c in sums] for share in (1 - MOST_DONE, MOST_DONE)
    )
    mixed = float(((done[0] > begun[1]) & (done[1] > begun[0])).mean())
    if mixed > (1 - level) / 2:
        return Estimate.unsettled(
            f"the heads of {earlier.name} and {later.name} are intertwined in {mixed:.0%} of the draws of "
            f"scenes: neither have done {MOST_DONE:.0%} before the others have done more than "
            f"{1 - MOST_DONE:.0%}",
            n,
            clusters,
        )
    return estimate_order(*sums, n=n, clusters=clusters, level=level, shares=HALF_DONE)


def _spread_shares(shares: tuple[float, float], draws: int) -> NDArray[np.float64]:
    """A share for each draw, [draws]: each end in a sixth of them, and those between in even steps.

    With even steps alone, an order that turns just inside an end would be told by too few draws to be seen.
    """
    steps = np.linspace(-0.25, 1.25, draws).clip(0, 1)
    return shares[0] + (shares[1] - shares[0]) * steps


def _spell_shares(shares: tuple[float, float]) -> str:
    least, most = (f"{share:.0%}" for share in shares)
    return least if least == most else f"{least} to {most}"


def _accumulate(strengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the layers up to each one, after the 0 before the first layer, of [..., L]: [..., L + 1]."""
    sums = np.cumsum(strengths, -1)
    return np.concatenate([np.zeros((*sums.shape[:-1], 1)), sums], -1)
