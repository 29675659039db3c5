"""Simulate how often "comes before" is wrong, on curves over layers whose order is known.

The curves are of the kinds that models have: codes
that come and go, that stay, that dip, that come back, that rise slowly, of which a part is there from the
start. Their order is that of the onsets (`harness.statistics.orders`) of the curves without noise, which is the
same for every share that may count as there; of some curves it is not, and they have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate
from harness.statistics.halves import DRAWS
from harness.statistics.orders import SHARES, TYPICAL, Code, estimate_order, find_onset

Curve = NDArray[np.float64]

SPREAD = 0.35
"""Standard deviation of a correlation r, times the root of the scenes, as a share of 1 - r squared.

Measured on the curves of section 3.3 (`r_draws`): at most 0.33 on tiny-qwen2-vl, 0.34 on tiny-llava, 0.19 on
planted; a test holds it against them.
"""

WIDE = 0.55
"""The same where it is largest: planted-absolute, at layers that code part of the position."""

NEIGHBORS = 0.85
"""Correlation of the noise of neighboring layers; its median is 0.90 on tiny-qwen2-vl, 0.91 on tiny-llava."""


class Size(NamedTuple):
    """How many layers a subject has, and how many scenes its curves rest on."""

    layers: int
    scenes: int


SIZES = (Size(8, 50), Size(28, 100), Size(32, 200), Size(40, 100))
"""An embedded subject at an early look; Qwen2-VL-7B, LLaVA-1.5-7B and LLaVA-1.5-13B."""


class Rates(NamedTuple):
    """Shares of simulated measurements."""

    supported: float
    refuted: float


def _draw_step(rng: np.random.Generator, layers: int, at: int) -> Curve:
    """A curve that is near 0 before a layer, and of one height from there on."""
    return np.where(np.arange(layers) < at, rng.uniform(0, 0.03), rng.uniform(0.5, 0.95))


def _draw_peak(rng: np.random.Generator, layers: int, at: int) -> Curve:
    """A code that is there in two layers and then gone."""
    curve = _draw_step(rng, layers, at)
    curve[at + 2 :] *= 0.05
    return curve


def _draw_plateau(rng: np.random.Generator, layers: int, at: int) -> Curve:
    """A code that stays, a little higher here and lower there."""
    return _draw_step(rng, layers, at) * rng.uniform(0.88, 1, layers)


def _draw_dip(rng: np.random.Generator, layers: int, at: int) -> Curve:
    """A code that stays but for some layers in which another takes its room."""
    curve = _draw_plateau(rng, layers, at)
    begin = int(rng.integers(at + 1, layers))
    curve[begin : begin + max(1, layers // 8)] *= rng.uniform(0.2, 0.8)
    return curve


def _draw_two_peaks(rng: np.random.Generator, layers: int, at: int) -> Curve:
    """A code that is there, nearly gone, and back, a little higher or lower than before."""
    curve = _draw_step(rng, layers, at)
    begin = int(rng.integers(at + 1, layers))
    end = begin + max(1, layers // 6)
    curve[begin:end] *= rng.uniform(0.1, 0.6)
    lower = slice(at, begin) if rng.random() < 0.5 else slice(end, layers)
    curve[lower] *= rng.uniform(0.88, 1)
    return curve


def _draw_slow_rise(rng: np.random.Generator, layers: int, at: int) -> Curve:
    """A code that rises over several layers and stays; its onset is where it has risen far enough."""
    length = rng.uniform(2, max(3, layers / 4))
    done = TYPICAL + (np.arange(layers) - at + rng.uniform(0.05, 0.95)) / length
    return rng.uniform(0.5, 0.95) * np.clip(done, 0, 1)


def _draw_trace(rng: np.random.Generator, layers: int, at: int) -> Curve:
    """A code of which the words of the prompt give a part from the start, with a dip before it rises."""
    curve = _draw_plateau(rng, layers, at)
    curve[:at] = curve.max() * rng.uniform(0.2, 0.45)
    curve[int(rng.integers(at)) : at] *= rng.uniform(0.4, 1)
    return curve


def _draw_shelf(rng: np.random.Generator, layers: int, at: int) -> Curve:
    """A code that has a good part of its height in some layers before it has all of it."""
    curve = _draw_step(rng, layers, at)
    curve[int(rng.integers(at)) : at] = curve.max() * rng.uniform(0.52, 0.73)
    return curve


def _draw_from_start(rng: np.random.Generator, layers: int, at: int) -> Curve:
    """A code that is there from the first layer on."""
    return _draw_plateau(rng, layers, 0)


def _draw_nothing(rng: np.random.Generator, layers: int, at: int) -> Curve:
    """No code at all."""
    return np.zeros(layers)


KINDS: dict[str, Callable[[np.random.Generator, int, int], Curve]] = {
    "clean peak": _draw_peak,
    "plateau": _draw_plateau,
    "dip": _draw_dip,
    "two peaks": _draw_two_peaks,
    "slow rise": _draw_slow_rise,
    "trace from the start": _draw_trace,
}
"""How one curve looks whose onset is a given layer, which is neither the first nor among the last two."""

WITHOUT_ORDER = {
    "there from the first layer": _draw_from_start,
    "absent": _draw_nothing,
    "shelf": _draw_shelf,
}
"""Curves that come before nothing and after nothing; one with a shelf, where the order with another code is one
by a half of the height and another by three quarters."""


def draw_curves(kind: str, layers: int, gap: int, rng: np.random.Generator) -> tuple[Curve, Curve]:
    """Draw two curves without noise, of which the first has its onset some layers before the second.

    Where onsets depend on the share that counts as there, those of `TYPICAL` are as far apart, and which comes
    first is the same for all of `SHARES`; or, with a shelf, not the same.

    Args:
        kind: Of both curves; or "mixed", where each is of any kind; or a key of `WITHOUT_ORDER`, of which one
            of the two is, and the other is of any kind.
        layers: Of both curves.
        gap: Layers between the onsets; below 0 if the second comes first.
        rng: Where the randomness comes from.
    """
    known = KINDS | WITHOUT_ORDER
    several = list(KINDS)
    while True:
        first = int(rng.integers(1 + max(0, -gap), layers - 2 - max(0, gap)))
        names = [several[int(rng.integers(len(several)))] for _ in range(2)]
        if kind in KINDS:
            names = [kind, kind]
        elif kind in WITHOUT_ORDER:
            names[int(rng.integers(2))] = kind
        a, b = (
            known[n](rng, layers, at) for n, at in zip(names, (first, first + gap), strict=True)
        )
        if kind in WITHOUT_ORDER and kind != "shelf":
            return a, b
        onsets = [[int(find_onset(c, share)) for share in _ALL_SHARES] for c in (a, b)]
        signs = {later > earlier for earlier, later in zip(*onsets, strict=True)}
        brought = min(map(min, onsets)) > 0
        if (len(signs) > 1) if kind == "shelf" else (signs == {gap > 0} and brought):
            return a, b


_ALL_SHARES = np.linspace(*SHARES, 11)


def add_noise(
    curve: Curve, scenes: int, spread: float, rng: np.random.Generator, draws: int = DRAWS
) -> tuple[Curve, NDArray[np.float64]]:
    """Draw what would be measured of a curve, [L], and its bootstrap draws, [draws, L]."""
    layers = np.arange(len(curve))
    mixed = np.linalg.cholesky(NEIGHBORS ** np.abs(layers[:, None] - layers))
    error = spread / math.sqrt(scenes) * (1 - curve**2)
    noise = error * (rng.normal(size=(draws + 1, len(curve))) @ mixed.T)
    seen = curve + noise[0]
    return seen, seen + noise[1:]


def _find_change(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """The layer from which on a curve is best described by a second, higher mean, by least squares."""
    layers = curves.shape[-1]
    before = np.cumsum(curves, -1)[..., :-1]
    after = curves.sum(-1, keepdims=True) - before
    count = np.arange(1, layers)
    gain = before**2 / count + after**2 / (layers - count)
    rising = after / (layers - count) > before / count
    return np.where(rising, gain, -np.inf).argmax(-1) + 1.0


def _average_rise(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean layer of all rises up to the peak, each weighted by how far it goes."""
    layers = np.arange(1, curves.shape[-1])
    rises = np.diff(curves, axis=-1).clip(0) * (layers <= curves.argmax(-1)[..., None])
    total = rises.sum(-1)
    return (rises * layers).sum(-1) / np.where(total > 0, total, 1)


def _interpolate_onset(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """The onset, between two layers where the straight line between them reaches the height."""
    height = TYPICAL * curves.max(-1, keepdims=True)
    at = (curves >= height).argmax(-1)[..., None]
    reached, before = (np.take_along_axis(curves, i, -1) for i in (at, (at - 1).clip(0)))
    step = np.where(at > 0, (reached - height) / np.where(reached > before, reached - before, 1), 0)
    return (at - step)[..., 0]


Rule = tuple[float, float] | Callable[[NDArray[np.float64]], NDArray[np.float64]]

RULES: dict[str, Rule] = {
    "onset at 1/2 to 3/4": SHARES,
    "onset at 1/2": (0.5, 0.5),
    "onset at 3/4": (0.75, 0.75),
    "onset at 9/10": (0.9, 0.9),
    "onset between layers": _interpolate_onset,
    "highest layer": lambda curves: curves.argmax(-1).astype(float),
    "change point": _find_change,
    "mean of the rise": _average_rise,
}
"""Ways to say where a code comes in: shares for `estimate_order`, of which claims use the first, or a function
of curves [..., L]."""


def simulate_rules(
    kind: str,
    size: Size,
    gap: int,
    repeats: int,
    seed: int,
    *,
    rules: Mapping[str, Rule] = RULES,
    spread: float = SPREAD,
) -> dict[str, Rates]:
    """Simulate how often each rule says that the first curve comes before the second, and that it does not.

    Args:
        kind: See `draw_curves`.
        size: Layers and scenes.
        gap: See `draw_curves`.
        repeats: How many measurements are simulated.
        seed: Of all of them; what is simulated does not depend on the rules.
        rules: Those that judge.
        spread: Of the noise, see `SPREAD`.
    """
    rng = np.random.default_rng([seed, size.layers, size.scenes, gap + size.layers, len(kind)])
    found = {rule: np.zeros(2) for rule in rules}
    for _ in range(repeats):
        seen = [
            add_noise(curve, size.scenes, spread, rng)
            for curve in draw_curves(kind, size.layers, gap, rng)
        ]
        for name, rule in rules.items():
            found[name] += judge(_estimate(rule, seen, size))
    return {name: Rates(*(float(n) / repeats for n in counts)) for name, counts in found.items()}


def _estimate(
    rule: Rule, seen: Sequence[tuple[Curve, NDArray[np.float64]]], size: Size
) -> Estimate:
    sizes = {"n": size.scenes, "clusters": size.scenes}
    if isinstance(rule, tuple):
        first, second = (Code(which, *pair) for which, pair in zip("ab", seen, strict=True))
        return estimate_order(first, second, shares=rule, **sizes)
    (a, a_draws), (b, b_draws) = ((float(rule(c)), rule(d)) for c, d in seen)
    return from_draws(b - a, b_draws - a_draws, **sizes)


def judge(estimate: Estimate) -> tuple[bool, bool]:
    """Whether an estimate says that something comes before, and whether it says that it does not."""
    if estimate.value is None:
        return False, False
    low, high = estimate.interval(0.95)
    return low > 0, high <= 0
