"""Write reports/seeds.json and docs/seeds.md: what verdicts on taught controls do over seeds of trials.

    OMP_NUM_THREADS=1 python -m harness.calibration.seed_tables

It judges every claim on the three taught controls with 20 seeds, in about 75 minutes of one core, with two
processes. What is finished is kept, and the same command goes on after an interruption.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from harness.calibration.calibrate import Size, hash_code, run_parts
from harness.calibration.runs import collect_claims
from harness.calibration.seeds import (
    NEAR,
    SEEDS,
    CellOverSeeds,
    Noted,
    Pair,
    Spread,
    add_up_seeds,
    find_changing,
    tell_changing,
)
from harness.calibration.summary import TAUGHT, Found, Part
from harness.judging import controls
from harness.judging.claim import Asked, Claim, list_asked
from harness.machine.files import REPORTS, ROOT, write_json

DOCUMENT = ROOT / "docs" / "seeds.md"

SIZE = Size()

FIRST = 20
"""The first seed. What other verdicts a cell may have was written down from seeds before it."""

WORK = REPORTS / "runs" / "seeds"

WIDE = 1.5
"""Estimates that vary so many times as much as their intervals tell are named in the document.

Of 20 normal estimates one in 700 does so by chance.
"""


class Content(TypedDict):
    """What reports/seeds.json holds.

    Attributes:
        claims: What each claim asked that was judged.
        code: Hash of the code that judged them, as the calibration takes it; the present one may be another.
        seeds: How many seeds of trials, by control.
        cells: Each claim on each control, over these seeds.
    """

    claims: dict[str, Asked]
    code: str
    seeds: dict[str, int]
    cells: list[CellOverSeeds]


def measure_seeds(work: Path = WORK, say: Callable[[str], None] = lambda line: None) -> Content:
    """Judge the taught controls with all seeds.

    Args:
        work: Folder of finished parts.
        say: Receives a line after each part.
    """
    names = sorted({c for _, c in controls.read_expected() if c.startswith(TAUGHT)})
    parts = [("table", name, seed) for seed in range(FIRST, FIRST + SIZE.repeats) for name in names]
    results = run_parts(parts, SIZE, work, jobs=2, say=say)
    return make_content(results, collect_claims(), hash_code())


def make_content(results: Mapping[Part, Found], claims: Iterable[Claim], code: str) -> Content:
    """Add up each claim on each control over the seeds that were judged.

    Args:
        results: What was noted of each claim, by part.
        claims: The claims that were judged.
        code: The hash of the code.
    """
    by_seed: dict[Pair, list[Noted]] = defaultdict(list)
    seeds: dict[str, int] = defaultdict(int)
    for (_, control, _), found in sorted(results.items()):
        seeds[control] += 1
        for claim, noted in found.items():
            by_seed[claim, control].append(noted)
    return {
        "claims": list_asked(claims),
        "code": code,
        "seeds": dict(seeds),
        "cells": add_up_seeds(by_seed),
    }


def write_document(content: Content) -> str:
    """The text of docs/seeds.md."""
    wide = [
        (cell, spread)
        for cell in content["cells"]
        if (spread := cell["spread"]) and _find_ratio(spread) >= WIDE
    ]
    wide.sort(key=lambda found: -_find_ratio(found[1]))
    told = [_find_ratio(c["spread"]) for c in content["cells"] if c["spread"]]
    middle = sorted(told)[len(told) // 2] if told else 0.0
    return f"""# Seeds of trials

What becomes of a verdict when other scenes are drawn: every claim on the controls whose stages were trained
in. Made by `harness/calibration/seed_tables.py`, from `reports/seeds.json`.

A verdict that changes with the seed is near its threshold, or a fault. The table of controls
(`fixtures/controls.toml`) says which other verdicts a cell may have (`also`). Near is what lies, on average,
within {NEAR:g} half widths of its own interval: where intervals tell the truth, an estimate farther away
changes its verdict with few seeds or none. {_count_far(content)} cells that change lie farther away: their
intervals do not tell all of what varies, and a test names them.

{_tabulate_controls(content)}

## Cells whose verdict changes

{_tabulate_changing(content)}

## Where intervals are narrower than estimates vary

An interval tells how far an estimate would move with other scenes *to judge on*. What a run chooses or
estimates on its other half (a layer, a strength, how many heads, the mean output that is put in) is taken as
it is, and with another seed it may be another one: the verdict is about the mechanism *as this run found it*.
Two such cells were traced to the choice of a setting among many that are as good, which is now the gentlest
([decision 37](decisions/0037-the-gentlest-setting-that-is-as-good.md)). It is the likely cause in others. Of
{len(told)} cells with intervals the middle one varies {middle:.2f} times as much as its intervals tell; these
vary {WIDE:g} times as much or more. The gate compares
runs of the same seed, where the choices are the same unless the model changed.

{_tabulate_wide(wide)}
"""


def _count_far(content: Content) -> int:
    """How many cells change their verdict farther from their threshold than true intervals would let them."""
    return sum((cell["widths"] or 0) > NEAR for cell in content["cells"])


def _find_ratio(spread: Spread) -> float:
    return spread["found"] / spread["told"]


def _tabulate_controls(content: Content) -> str:
    rows = [["control", "seeds", "cells", "always the same verdict", "supported and refuted"]]
    for control, seeds in sorted(content["seeds"].items()):
        cells = [c for c in content["cells"] if c["control"] == control]
        same = sum(len(c["verdicts"]) == 1 for c in cells)
        both = sum({"supported", "refuted"} <= set(c["verdicts"]) for c in cells)
        rows.append([control, str(seeds), str(len(cells)), str(same), str(both)])
    return _draw_table(rows)


def _tabulate_changing(content: Content) -> str:
    rows = [["claim", "control", "verdicts", "from the threshold", "in half widths"]]
    for cell in content["cells"]:
        if len(cell["verdicts"]) > 1:
            told = ", ".join(f"{n} {verdict}" for verdict, n in cell["verdicts"].items())
            away = "-" if cell["distance"] is None else f"{cell['distance']:.3g}"
            widths = "-" if cell["widths"] is None else f"{cell['widths']:.1f}"
            rows.append([cell["claim"], cell["control"], told, away, widths])
    return _draw_table(rows)


def _tabulate_wide(wide: Sequence[tuple[CellOverSeeds, Spread]]) -> str:
    rows = [["claim", "control", "mean", "varies by", "intervals tell", "ratio"]]
    for cell, spread in wide:
        numbers = [f"{spread[name]:.2g}" for name in ("mean", "found", "told")]
        rows.append([cell["claim"], cell["control"], *numbers, f"{_find_ratio(spread):.1f}"])
    return _draw_table(rows)


def _draw_table(rows: Sequence[Sequence[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def find_faults(content: Content) -> list[str]:
    """What is not as the table of controls says, in words; empty if nothing is."""
    expected = controls.read_expected()
    known = [cell for cell in content["cells"] if (cell["claim"], cell["control"]) in expected]
    faults = [fault for cell in find_changing(known) if (fault := tell_changing(cell))]
    for cell in known:
        told = expected[cell["claim"], cell["control"]]
        if len(cell["verdicts"]) == 1 and not cell["verdicts"].keys() & {told.verdict, *told.also}:
            faults.append(f"{cell['claim']} on {cell['control']}: {cell['verdicts']}")
    return faults


if __name__ == "__main__":
    measured = measure_seeds(say=print)
    write_json(SEEDS, measured)
    DOCUMENT.write_text(write_document(measured))
    print("\n".join(find_faults(measured)) or "every cell is as the table of controls says")
