"""Write docs/power.md: how small a stage of a control may be and still be seen.

    OMP_NUM_THREADS=1 python -m harness.calibration.power_tables

It judges claims of sections 3.4 and 4.2 with one seed, a step after the other, in about five minutes of one
core. What is finished is kept, and the same command goes on after an interruption. `claims calibrate` has
these curves over more seeds, and those of sections 3.1 and 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.calibration.calibrate import Size, run_parts
from harness.calibration.weakening import (
    CONTROL,
    FIRST_SEED,
    PREFIX,
    STEPS,
    add_up_curves,
    list_parts,
)
from harness.machine.files import REPORTS, ROOT
from harness.reporting.power_curves import Point, PowerCurve, find_smallest

DOCUMENT = ROOT / "docs" / "power.md"

SIZE = Size(curves=1, sections=("3.4", "4.2.drawn"))

WORK = REPORTS / "runs" / "power"


def make_document(work: Path = WORK, say: Callable[[str], None] = lambda line: None) -> str:
    """Judge all steps, and make the text of docs/power.md.

    Args:
        work: Folder of finished steps.
        say: Receives a line after each step.
    """
    parts = list(list_parts(SIZE.curves, SIZE.stages))
    return write_document(add_up_curves(run_parts(parts, SIZE, work, jobs=1, say=say)))


def write_document(curves: Sequence[PowerCurve]) -> str:
    """The text of docs/power.md, from the curves."""
    judged = ", ".join(map(str, range(FIRST_SEED, FIRST_SEED + SIZE.curves)))
    tables = "\n\n".join(
        f"## {stage.capitalize()}\n\n{write_table(stage, [c for c in curves if c['stage'] == stage])}"
        for stage in SIZE.stages
    )
    return f"""# Power

How small a mechanism may be and still be seen: claims on `{CONTROL}`, one stage of which is turned down. Made
by `harness/calibration/power_tables.py`; `claims calibrate` makes the same curves over more seeds.

    pytest claims --subject {CONTROL}:selection=0.1

judges the control whose heads of ID selection give a tenth of what they gave
(`harness/subjects/weakened.py`). The stages are `retrieval`, `selection` and `features`, of every control
whose truth says which heads carry them.

**How to read it.** The share is one of weights, and says nothing of other models: half of a written stage
does nearly what the whole does. What can be carried over is the estimate, in logits, shares of the clean
difference or shares of answers. So each cell has the estimate, in bold where the claim is supported, and a
dash where there is none. "Found from" is the smallest share at which, and above which, it is supported in 95%
of the seeds.

Claims are judged without the gate. A run blocks them where surely fewer than 0.60 of the answers are right:
of two objects, 0.74 are with `selection=0.05`, 0.50 with 0.02, 0.71 with `retrieval=0.02`, and 0.46 with
`features=0.02` (96 trials). Seed 0 chose the steps, and seed {judged} judges: that tells what happens, not
how surely.

{tables}
"""


def write_table(stage: str, curves: Sequence[PowerCurve]) -> str:
    """A table of the curves of one stage, a row for each claim and a column for each step."""
    head = ["claim", *STEPS[stage], "found from", "unit"]
    rows = [head, ["---"] * len(head)]
    for curve in curves:
        at = {p["share"]: p for p in curve["points"]}
        smallest = find_smallest(curve["points"])
        cells = [_spell_point(at[float(share)]) for share in STEPS[stage]]
        least = "nowhere" if smallest is None else f"{smallest['share']:g}"
        rows.append([curve["claim"].removeprefix(PREFIX), *cells, least, curve["unit"]])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _spell_point(point: Point) -> str:
    found, seeds = point["supported"], point["seeds"]
    value = "-" if point["estimate"] is None else f"{point['estimate']:.2g}"
    if seeds > 1:
        value += f" ({found}/{seeds})"
    return f"**{value}**" if found == seeds else value


if __name__ == "__main__":
    DOCUMENT.write_text(make_document(say=print))
