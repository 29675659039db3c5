"""Write docs/controls.md: for each claim, which controls support it and which refute it.

    python -m harness.calibration.control_tables

It reads `fixtures/controls.toml`, and takes a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

from harness.judging.claim import Claim, Pair
from harness.judging.controls import Expected, read_expected
from harness.judging.verdict import Verdict
from harness.machine.files import ROOT

DOCUMENT = ROOT / "docs" / "controls.md"

TASK = "visual_symbols.3.1.two_objects"
"""The id of the claim that tells whether a control does the task."""

REPRODUCTION = "reproduction."
"""Ids of claims on how the public reproduction differs from the paper begin so."""

Cells = Mapping[Pair, Expected]
"""What each claim must give on each control, by (claim, control)."""


def find_unproved(cells: Cells) -> list[str]:
    """Find the claims that no control supports, sorted."""
    return _find_without(cells, lambda claim: _list_with(cells, claim, Verdict.supported))


def find_unrefuted(cells: Cells) -> list[str]:
    """Find the claims that no control refutes which does the task, sorted.

    A control that fails the task is blocked or refuted for that alone, so that it says nothing of a claim.
    """
    doing = set(_list_with(cells, TASK, Verdict.supported))
    return _find_without(
        cells, lambda claim: doing.intersection(_list_with(cells, claim, Verdict.refuted))
    )


def _find_without(cells: Cells, has: Callable[[str], Iterable[str]]) -> list[str]:
    return sorted({claim for claim, _ in cells if not list(has(claim))})


def _list_with(cells: Cells, claim: str, verdict: Verdict) -> list[str]:
    """The controls on which a claim has a verdict, in the order of the table."""
    return [name for (id, name), cell in cells.items() if id == claim and cell.verdict is verdict]


def write_document(claims: Iterable[Claim], cells: Cells) -> str:
    """The text of docs/controls.md.

    Args:
        claims: All claims, a section together. Deviations of the reproduction are shown last.
        cells: What the table of controls says.
    """
    shown = sorted(claims, key=lambda claim: claim.id.startswith(REPRODUCTION))
    doing = _list_with(cells, TASK, Verdict.supported)
    unproved, unrefuted = find_unproved(cells), find_unrefuted(cells)
    both = len({c.id for c in shown}.difference(unproved, unrefuted))
    tables = "\n\n".join(
        f"## {title}\n\n{_tabulate(list(of), cells, doing)}"
        for title, of in groupby(shown, _find_section)
    )
    return f"""# Controls

What is known of each claim before it judges a model: which of the subjects whose mechanism is known support
it, and which refute it. Made by `harness/calibration/control_tables.py` from `fixtures/controls.toml`, which
has a reason for every cell; `pytest claims -m control` is red if one differs.

A claim is worth something where one control supports it and another refutes it *that does the task as well*:
the second column of refutations has only those. `untrained` supports none of them. How small a mechanism may
be and still be seen is in [power](power.md), what becomes of a verdict with other scenes in
[seeds of trials](seeds.md).

{len(shown)} claims: {len(shown) - len(unproved)} are supported by a control, {len(shown) - len(unrefuted)} are
refuted by one that does the task, and {both} have both.

No control supports: {_spell(unproved)}.

No control that does the task refutes: {_spell(unrefuted)}.

{tables}
"""


def _find_section(claim: Claim) -> str:
    return claim.id.rpartition(".")[0]


def _tabulate(claims: list[Claim], cells: Cells, doing: list[str]) -> str:
    rows = ["| claim | supported by | refuted by, though it does the task |", "| --- | --- | --- |"]
    for claim in claims:
        refuted = [n for n in _list_with(cells, claim.id, Verdict.refuted) if n in doing]
        supported = _list_with(cells, claim.id, Verdict.supported)
        told = (", ".join(names) or "-" for names in (supported, refuted))
        rows.append(f"| {claim.statement} (`{claim.id}`) | {' | '.join(told)} |")
    return "\n".join(rows)


def _spell(claims: list[str]) -> str:
    return ", ".join(f"`{claim}`" for claim in claims) or "none"


if __name__ == "__main__":
    from harness.calibration.runs import collect_claims

    DOCUMENT.write_text(write_document(collect_claims(), read_expected()))
