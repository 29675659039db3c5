"""Imports go down the floors, never up or sideways; and no file outgrows a page or two."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).resolve().parents[1] / "harness"

FLOORS = {
    "cli": 9,
    "calibration": 8,
    "suite": 7,
    "runs": 6,
    "readings": 5,
    "experiments": 5,
    "measuring": 4,
    "reporting": 3,
    "tracing": 3,
    "training": 2,
    "subjects": 2,
    "judging": 2,
    "measures": 2,
    "stimuli": 1,
    "statistics": 1,
    "machine": 1,
}

FILES = sorted(p for p in HARNESS.rglob("*.py") if p.name != "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(HARNESS).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {
        n.split(".")[1] for n in names if n.startswith("harness.") and n.split(".")[1] in FLOORS
    }


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HARNESS)))
def test_imports_go_down(path):
    own = room_of(path)
    for other in imported_rooms(path) - {own}:
        assert FLOORS[other] < FLOORS[own], (
            f"{path} (floor {FLOORS[own]}) imports {other} (floor {FLOORS[other]})"
        )


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


def test_judging_measures_and_stimuli_need_no_torch():
    program = """
import sys, pkgutil, importlib

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "nnsight"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
for room in ("statistics", "judging", "measures", "stimuli", "reporting"):
    package = importlib.import_module(f"harness.{room}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"harness.{room}.{module.name}")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
