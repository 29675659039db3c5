"""How small a stage may be and still be seen: curves of verdicts over the share of a stage that is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypedDict

FOUND = 0.95
"""Share of seeds from which on a claim counts as found."""


class Point(TypedDict):
    """One step of a curve.

    Of `seeds` seeds of trials, the claim was `supported` in so many; `estimate` is the mean over those that
    gave one, in the claim's unit, None where none did.
    """

    share: float
    supported: int
    seeds: int
    estimate: float | None


class PowerCurve(TypedDict):
    """A claim on a control whose `stage` is turned down, from the largest share on."""

    claim: str
    control: str
    stage: str
    unit: str
    points: list[Point]


def find_smallest(points: Iterable[Point]) -> Point | None:
    """Find the smallest step at which a claim is found, and at every larger one; None if not at the largest."""
    smallest = None
    for point in sorted(points, key=lambda p: -p["share"]):
        if point["supported"] < FOUND * point["seeds"]:
            break
        smallest = point
    return smallest


def find_curve_faults(curves: Iterable[PowerCurve]) -> Iterator[str]:
    """Tell, in words, which claims about a stage are supported where nothing of it is left."""
    for curve in curves:
        gone = sum(p["supported"] for p in curve["points"] if p["share"] == 0)
        if gone:
            yield (
                f"{curve['claim']} is supported {gone} times on {curve['control']} without its "
                f"{curve['stage']}"
            )


def render_curves(curves: Sequence[PowerCurve]) -> Iterator[str]:
    """What the curves say, as lines for a terminal; nothing if there are none."""
    for curve in curves:
        steps = ", ".join(f"{p['share']:g}: {p['supported']}/{p['seeds']}" for p in curve["points"])
        yield f"  {curve['claim']} by {curve['stage']}: {steps}; {spell_smallest(curve)}"


def spell_smallest(curve: PowerCurve) -> str:
    """The smallest step that is found, and what the claim measures there."""
    point = find_smallest(curve["points"])
    if point is None:
        return "not found"
    if point["estimate"] is None:
        return f"found from {point['share']:g} on"
    return f"found from {point['share']:g} on ({point['estimate']:.3g} {curve['unit']})"
