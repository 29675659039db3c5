"""What verdicts on controls do over seeds of trials: one that changes is near its threshold, or a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import inf, sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import TypedDict

from harness.judging import controls
from harness.judging.claim import Asked
from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.machine.files import REPORTS, read_json
from harness.reporting.error_rates import ChangingCell

SEEDS = REPORTS / "seeds.json"
"""What the controls with trained-in stages do over seeds of trials; see `harness.calibration.seed_tables`."""

Pair = tuple[str, str]
"""A claim's id and a control's name."""

HALF_WIDTH = 1.96
"""Standard errors from the middle of an interval of 95% to either end."""

FEWEST = 5
"""Seeds with an interval from which a spread is told."""

NEAR = 2.5
"""Half widths of its interval within which an estimate is near its threshold.

Where intervals tell the truth, an estimate 2.5 half widths away comes within one, where its verdict changes,
with one seed of 600; and within 1.7, where correction over 80 claims may leave it open, with one of 17.
"""


class Noted(TypedDict):
    """What is kept of the record of one claim on one control with one seed; None without an estimate."""

    verdict: str
    threshold: float
    estimate: float | None
    low: float | None
    high: float | None


class Spread(TypedDict):
    """How much the estimates of a cell vary from seed to seed, beside what their intervals say.

    Attributes:
        seeds: How many have an interval.
        mean: Mean of the estimates, in the claim's unit.
        found: Standard deviation of the estimates over seeds.
        told: The standard deviation that the intervals tell, the root of the mean square over seeds.
    """

    seeds: int
    mean: float
    found: float
    told: float


class CellOverSeeds(TypedDict):
    """A cell of the table of controls over seeds of trials.

    Attributes:
        claim: The claim's id.
        control: The control's name.
        verdicts: Seeds of each verdict.
        distance: Mean distance of the estimates from the threshold, in the claim's unit; None without any.
        widths: That distance in half widths of the intervals, on the side of the threshold: both are means over
            the seeds that have an interval. None if these all have one verdict, so that what changes is not
            where an estimate lies but whether the claim can be asked.
        spread: None where fewer than `FEWEST` seeds have an interval, or all intervals are points.
    """

    claim: str
    control: str
    verdicts: dict[str, int]
    distance: float | None
    widths: float | None
    spread: Spread | None


def note_verdict(record: Record) -> Noted:
    """What is kept of one record: its verdict, and the estimate with its interval and threshold."""
    return {
        "verdict": str(record.verdict),
        "threshold": record.threshold,
        "estimate": record.estimate,
        "low": record.ci_low,
        "high": record.ci_high,
    }


def add_up_seeds(by_seed: Mapping[Pair, Sequence[Noted]]) -> list[CellOverSeeds]:
    """Add up each cell over its seeds, sorted by claim and control.

    Args:
        by_seed: What was noted of each cell, one for each seed.
    """
    cells: list[CellOverSeeds] = []
    for (claim, control), seeds in sorted(by_seed.items()):
        away = [
            abs(noted["estimate"] - noted["threshold"])
            for noted in seeds
            if noted["estimate"] is not None
        ]
        cells.append(
            {
                "claim": claim,
                "control": control,
                "verdicts": dict(sorted(Counter(noted["verdict"] for noted in seeds).items())),
                "distance": mean(away) if away else None,
                "widths": _find_widths(seeds),
                "spread": _find_spread(seeds),
            }
        )
    return cells


def _find_widths(seeds: Sequence[Noted]) -> float | None:
    distances, halves, verdicts = [], [], set()
    for noted in seeds:
        estimate, threshold = noted["estimate"], noted["threshold"]
        if estimate is None or noted["low"] is None or noted["high"] is None:
            continue
        near_end = noted["high"] if estimate < threshold else noted["low"]
        distances.append(abs(estimate - threshold))
        halves.append(abs(near_end - estimate))
        verdicts.add(noted["verdict"])
    if len(verdicts) < 2:
        return None
    return mean(distances) / mean(halves) if any(halves) else inf


def _find_spread(seeds: Sequence[Noted]) -> Spread | None:
    known = [
        (noted["estimate"], (noted["high"] - noted["low"]) / 2 / HALF_WIDTH)
        for noted in seeds
        if noted["estimate"] is not None
        if noted["low"] is not None and noted["high"] is not None
    ]
    if len(known) < FEWEST or not any(error for _, error in known):
        return None
    estimates = [estimate for estimate, _ in known]
    return {
        "seeds": len(known),
        "mean": mean(estimates),
        "found": stdev(estimates),
        "told": sqrt(mean(error**2 for _, error in known)),
    }


def read_seeds(path: Path, claims: Mapping[str, Asked]) -> list[CellOverSeeds]:
    """Read what each control does over seeds from reports/seeds.json, for claims that asked the same then.

    Args:
        path: The file.
        claims: What each claim asks that is calibrated.

    Raises:
        OSError: There is no such file.
        ValueError: It is damaged.
    """
    content = read_json(path)
    try:
        then, cells = content["claims"], content["cells"]
        return [c for c in cells if then[c["claim"]] == claims.get(c["claim"])]
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged: make it anew, see docs/seeds.md") from error


def find_changing(cells: Sequence[CellOverSeeds]) -> Iterator[ChangingCell]:
    """Find the cells that have different verdicts with different seeds of trials."""
    for cell in cells:
        if len(cell["verdicts"]) > 1:
            yield {
                "claim": cell["claim"],
                "control": cell["control"],
                "verdicts": cell["verdicts"],
                "distance": cell["distance"],
                "widths": cell["widths"],
            }


def tell_changing(cell: ChangingCell, excused: Collection[Verdict] = ()) -> str | None:
    """Why a cell may not change as it does; None if it may.

    It may be what the table says beside the verdict, `also`, if the estimates lie within `NEAR` half widths of
    the threshold on average.

    Args:
        cell: A cell whose verdict changes.
        excused: Verdicts that any cell may have.
    """
    expected = controls.read_expected().get((cell["claim"], cell["control"]))
    if expected is None:
        return None  # That it is not in the table is told by itself.
    odd = sorted(set(cell["verdicts"]) - {expected.verdict, *expected.also, *excused})
    name = f"{cell['claim']} on {cell['control']}"
    told = ", ".join(f"{n} {verdict}" for verdict, n in cell["verdicts"].items())
    if odd:
        return f"{name} changes with the seed: {told}; expected {expected.verdict}"
    if cell["widths"] is not None and cell["widths"] > NEAR:
        return (
            f"{name} changes with the seed: {told}; it lies {cell['widths']:.1f} half widths of its interval "
            f"from its threshold on average, more than {NEAR}"
        )
    return None
