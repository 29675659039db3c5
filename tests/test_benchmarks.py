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


def test_seconds_of_a_gpu_are_written_as_they_are_read(monkeypatch, tmp_path):
    from harness.calibration import power

    monkeypatch.syspath_prepend(str(FOLDER))
    written = importlib.import_module("gpu_seconds").write_toml(
        {
            "subject": "a model",
            "parameters": 8.29,
            "machine": {"device": "a GPU", "dtype": "float32", "torch": "2", "date": "2026-11-26"},
            "experiments": {"keys": [{"trials": 48, "seconds": 1.5}]},
        }
    )
    monkeypatch.setattr(power, "SECONDS", tmp_path / "gpu_seconds.toml")
    power.SECONDS.write_text(written)
    found = power.read_gpu_seconds.__wrapped__()
    assert (found.subject, found.parameters) == ("a model", 8.29)
    assert found.points == {"keys": [(48, 1.5)]}


def test_the_second_measurement_fits_into_the_limit_and_has_more_trials_or_is_none(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    choose = importlib.import_module("gpu_seconds").choose_trials
    assert choose(48, 2.0, 160, 25.0) == 160
    assert choose(48, 10.0, 160, 25.0) == 120
    assert choose(48, 20.0, 160, 25.0) is None
    assert choose(48, 1.0, 50, 25.0) is None


@pytest.mark.deep
def test_every_experiment_is_timed_with_random_weights(tmp_path):
    out = tmp_path / "seconds.json"
    script = [sys.executable, str(FOLDER / "gpu_seconds.py"), "--tiny", "--limit", "0.1"]
    names = ["--experiment", "keys", "--experiment", "repair", "--experiment", "listing"]
    done = subprocess.run([*script, *names, "--json", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert set(found["experiments"]) == {"mediation", "keys", "repair", "listing"}
    assert all(p["seconds"] > 0 for points in found["experiments"].values() for p in points)
