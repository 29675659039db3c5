"""Rooms of `harness` and what may look at what: imports go down the floors, never up and never sideways.

The table of rooms in `docs/design.md` is made from this file: `python tests/test_rooms.py` writes it anew.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
HARNESS = ROOT / "harness"
DOCUMENT = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- rooms: begin -->", "<!-- rooms: end -->"


class Room(NamedTuple):
    """A package of `harness`.

    Attributes:
        floor: A room imports only rooms of lower floors.
        what: What it is for.
        torch: "no", "yes", or "lazily": only when something is measured.
    """

    floor: int
    what: str
    torch: str


ROOMS = {
    "cli": Room(9, "the command `claims`, one file for each subcommand", "lazily"),
    "calibration": Room(8, "how often the suite is wrong", "lazily"),
    "suite": Room(
        7,
        "pytest: plugin, workers, scheduling, options, progress, the fixture `judge`, the fixtures made from "
        "the catalogue of experiments",
        "lazily",
    ),
    "runs": Room(
        6,
        "one run: options, subjects, the subject in memory, the journal, baselines, measuring ahead, the end",
        "lazily",
    ),
    "readings": Room(5, "measurement to estimate, one file per experiment of the same name", "no"),
    "experiments": Room(
        5, "subject and trials to measurement, one file each, by paper; their catalogue", "yes"
    ),
    "measuring": Room(
        4, "what an experiment is, its name by content, the store, batches that fit", "lazily"
    ),
    "tracing": Room(
        3, "all that touches nnsight or hooks: capture, edit, replay, generate, self-check", "yes"
    ),
    "reporting": Room(3, "records to scorecard, tables, page, figures, JUnit, comparison", "no"),
    "subjects": Room(2, "registry, loading, families, arrangements, prompts to batches", "yes"),
    "training": Room(2, "how embedded subjects and controls are made", "yes"),
    "judging": Room(
        2, "claim, threshold, verdict, record, evidence, controls, published figures", "no"
    ),
    "measures": Room(2, "arrays to numbers: RSA, planes, mediation, probes", "no"),
    "statistics": Room(1, "estimates with intervals, draws, clusters, halves, paired, looks", "no"),
    "stimuli": Room(1, "scenes, images, prompts with spans, contrasts", "no"),
    "machine": Room(
        1, "cores, GPUs, memory given back, files that are whole or not there", "lazily"
    ),
}

ASIDE = {"training": {"cli"}}
"""Rooms that only these others may import."""

FILES = sorted(p for p in HARNESS.rglob("*.py") if p.parent != HARNESS)


def room_of(path: Path) -> str:
    return path.relative_to(HARNESS).parts[0]


def imported_modules(path: Path) -> set[str]:
    """The modules of ours that a file imports, anywhere in it, also for type checks alone."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import hides which room it enters"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("harness.")}


def imported_rooms(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported_modules(path)} - {"__version__"}


def used_rooms() -> dict[str, set[str]]:
    """For each room the others that its files import."""
    used: dict[str, set[str]] = {room: set() for room in ROOMS}
    for path in FILES:
        used[room_of(path)] |= imported_rooms(path) - {room_of(path)}
    return used


def draw_table() -> str:
    """The rooms as a table of Markdown, from the top floor down, each with the rooms that it imports."""
    used = used_rooms()
    lines = ["| floor | room | what it is for | torch | imports |", "|---|---|---|---|---|"]
    for name, room in ROOMS.items():
        others = ", ".join(other for other in ROOMS if other in used[name]) or "nothing"
        lines.append(f"| {room.floor} | `{name}` | {room.what} | {room.torch} | {others} |")
    arrows = sum(map(len, used.values()))
    count = f"{len(ROOMS)} rooms on {max(r.floor for r in ROOMS.values())} floors, {arrows} arrows."
    return "\n".join([*lines, "", count])


def test_every_package_and_every_file_is_in_a_room():
    assert {room_of(path) for path in FILES} == set(ROOMS)
    assert [p.name for p in HARNESS.glob("*.py")] == ["__init__.py"]
    assert len(ROOMS) <= 17
    assert {room.floor for room in ROOMS.values()} == set(range(1, 10))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HARNESS)))
def test_imports_go_down(path):
    own = room_of(path)
    for other in imported_rooms(path) - {own}:
        assert ROOMS[other].floor < ROOMS[own].floor, (
            f"{path} (floor {ROOMS[own].floor}) imports {other} (floor {ROOMS[other].floor})"
        )
        assert own in ASIDE.get(other, {own}), f"{path} imports {other}, which stands aside"


def test_files_of_a_room_import_each_other_in_no_circle():
    names = {p: ".".join(("harness", *p.relative_to(HARNESS).with_suffix("").parts)) for p in FILES}
    graph = {names[p]: imported_modules(p) & set(names.values()) - {names[p]} for p in FILES}
    # Raises a CycleError that names the files.
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HARNESS)))
def test_only_tracing_knows_nnsight(path):
    if room_of(path) != "tracing":
        assert "nnsight" not in {
            (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }


def test_no_file_is_long():
    long = {p.name: n for p in FILES if (n := len(p.read_text().splitlines())) > 320}
    assert not long


def test_the_table_in_the_documents_is_this_one():
    _, begin, rest = DOCUMENT.read_text().partition(BEGIN)
    table, end, _ = rest.partition(END)
    assert begin
    assert end
    assert table.strip() == draw_table(), "write it anew: python tests/test_rooms.py"


def write_table() -> None:
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{draw_table()}\n{END}{after}")


if __name__ == "__main__":
    write_table()
