"""Reading and judging run where no model can: nothing that they import needs torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from harness.machine.files import ROOT

# An entry None in sys.modules would block the import too, but scipy looks torch up there by itself.
BLOCK = """
import sys

BLOCKED = set({blocked})

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{{name}} is blocked")

sys.meta_path.insert(0, Block())
"""

MODELS = {"torch", "transformers", "nnsight"}
RUNNERS = {"pytest", "_pytest"}

WITHOUT_TORCH = ("statistics", "stimuli", "measures", "judging", "readings", "reporting")
"""Rooms of which every module can be imported without torch, and without a test runner."""

IMPORT_ALL = """
import importlib, pkgutil
names = []
for room in {rooms}:
    package = importlib.import_module(f"harness.{{room}}")
    names += [m.name for m in pkgutil.walk_packages(package.__path__, f"harness.{{room}}.")]
for name in names:
    importlib.import_module(name)
assert not BLOCKED & set(sys.modules)
print(*names)
"""


def run(script: str, blocked: set[str]) -> subprocess.CompletedProcess[str]:
    program = BLOCK.format(blocked=sorted(blocked)) + script
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_every_module_of_these_rooms_imports_without_torch_and_pytest(room):
    result = run(IMPORT_ALL.format(rooms=[room]), MODELS | RUNNERS)
    assert result.returncode == 0, result.stderr
    files = [p for p in (ROOT / "harness" / room).rglob("*.py") if p.parent.name != room]
    files += [p for p in (ROOT / "harness" / room).glob("*.py") if p.stem != "__init__"]
    assert len(result.stdout.split()) == len(files)


@pytest.mark.parametrize("name", sorted(MODELS | RUNNERS - {"_pytest"}))
def test_the_block_really_blocks(name):
    result = run(f"import {name}.anything\n", MODELS | RUNNERS)
    assert f"ModuleNotFoundError: {name} is blocked" in result.stderr


def test_a_dataset_in_memory_is_read_and_judged_without_torch():
    """What a notebook does with a measurement that was made elsewhere."""
    script = """
import numpy as np, xarray as xr
from harness.experiments.catalogue import find_experiment
from harness.judging.claim import above
from harness.judging.verdict import decide
data = xr.Dataset({"right": (("set", "trial"), np.ones((1, 40), bool)),
                   "named": (("set", "trial"), np.ones((1, 40), bool)),
                   "scene": (("set", "trial"), [[f"s{i}" for i in range(40)]])}, {"set": ["two objects"]})
reading = find_experiment("behaviour").load_reading()(data)
limit = above(0.5, unit="share right", origin="chosen by us", note="for the test")
print(decide(reading.accuracy("two objects"), limit, "mine").verdict)
assert not BLOCKED & set(sys.modules)
"""
    result = run(script, MODELS | RUNNERS)
    assert result.stdout == "supported\n", result.stderr


@pytest.mark.deep
def test_powers_are_computed_without_torch():
    script = """
from harness.cli.main import main
assert main(["power", "--claim", "b.repeats_first", "--subject", "llava-1.5-7b"]) == 0
assert not BLOCKED & set(sys.modules)
"""
    result = run(script, MODELS)
    assert result.returncode == 0, result.stderr
    assert "llava-1.5-7b" in result.stdout


@pytest.mark.deep
def test_a_stored_run_is_judged_without_torch(tmp_path):
    """Section 3.1, measured once: judged again where torch cannot be imported, the records agree."""
    (tmp_path / "no_torch.py").write_text(BLOCK.format(blocked=sorted(MODELS)))
    paths = [str(ROOT), str(tmp_path), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    claims = [str(ROOT / "claims" / "visual_symbols" / "test_3_1_scene_description.py")]
    options = ["--subject", "tiny-llava", "--store", str(tmp_path / "store")]

    def judge(out, *more):
        command = [
            sys.executable,
            "-m",
            "pytest",
            *more,
            *claims,
            *options,
            "--scorecard",
            str(out),
        ]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        records = json.loads((out / "scorecard.json").read_text())["records"]
        return done.stdout, [{**record, "seconds": None} for record in records]

    printed, measured = judge(tmp_path / "measured")
    assert "measured behaviour on tiny-llava" in printed
    printed, stored = judge(tmp_path / "stored", "-p", "no_torch")
    assert "measured" not in printed.partition("scorecard")[0].replace("measurement", "")
    assert stored == measured
    assert len(stored) == 4
