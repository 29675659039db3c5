"""Every benchmark can be imported; that of mediation runs, and its file holds what it promises."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPT = FOLDER / "mediation.py"
NAMES = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem not in ("conftest", "test_mediation"))


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_can_be_imported(name, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    assert importlib.import_module(name).__doc__


def test_every_function_whose_time_is_counted_exists(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    for places in importlib.import_module("costs").PHASES.values():
        assert all(callable(getattr(owner, name)) for owner, name in places)


@pytest.mark.deep
def test_the_three_ways_agree_and_the_file_says_what_they_took(tmp_path):
    few = ["--trials", "2", "--sample", "1", "--repeats", "1"]
    out = tmp_path / "made" / "out.json"
    command = [sys.executable, str(SCRIPT), "--subject", "tiny-qwen2-vl", *few, "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert 0 < found["max_difference"] <= 1e-5
    seconds = found["seconds"]
    assert found["ratio_nnsight"] == seconds["nnsight"] / seconds["replay"]
    assert found["ratio_hooks"] == seconds["hooks"] / seconds["replay"]
    assert 0 < found["share_of_ceiling"] < 1
    # 64 heads and two unpatched runs, 8 layers, 3 conditions, 2 trials, of some 76 tokens.
    assert found["token_layers"]["naive"] % (66 * 8) == 0
    assert 66 * 8 * 6 * 70 < found["token_layers"]["naive"] < 66 * 8 * 6 * 80
    assert 20 * found["token_layers"]["replay"] < found["token_layers"]["naive"]
    assert (found["heads_timed"], found["heads"]) == (8, 64)


@pytest.mark.deep
def test_an_unknown_subject_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--subject", "nobody"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "unknown subject 'nobody'" in done.stderr
