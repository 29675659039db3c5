"""Ctrl-C ends a long command at once, which says what is kept and that the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from harness.calibration import calibrate, collecting
from harness.calibration.runs import run_suite
from harness.cli.main import main

LONGEST = 300.0
"""Seconds after which an interrupted command is taken to go on; a busy machine needs many."""

TASK = "claims/visual_symbols/test_3_1_scene_description.py"

CALIBRATE = """
import sys, time
from pathlib import Path
from harness.calibration import calibrate

def take_long(part, size):
    print("begun", flush=True)
    time.sleep(600)

# Also in the processes of the parts, which import this file.
calibrate._run_part = take_long

if __name__ == "__main__":
    parts = [("coverage", "intervals", seed) for seed in range(4)]
    try:
        calibrate.run_parts(parts, calibrate.Size(), Path(sys.argv[1]), jobs=1, say=lambda line: None)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.fixture(autouse=True)
def _modules_as_before():
    """A run that is interrupted leaves the module of its claims, and other tests have one of that name."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.rpartition(".")[2].startswith("test_"):
            del sys.modules[name]


def stop(*_, **__):
    raise KeyboardInterrupt


def test_a_suite_that_is_interrupted_is_not_one_that_gave_no_verdict(monkeypatch):
    monkeypatch.setattr("harness.suite.plugin.Judge", stop)
    with pytest.raises(KeyboardInterrupt):
        run_suite(["tiny-llava"], files=[TASK], trials=24)


def test_claims_whose_collection_is_interrupted_can_be_collected(monkeypatch):
    monkeypatch.setattr(collecting, "state_tests", stop)
    with pytest.raises(KeyboardInterrupt):
        collecting.collect_tests([TASK])


def test_claims_that_cannot_be_imported_are_no_interruption(tmp_path):
    (tmp_path / "test_broken.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(collecting.SuiteFailed, match="cannot be collected"):
        collecting.collect_tests([str(tmp_path / "test_broken.py")])


@pytest.mark.deep
@pytest.mark.parametrize(
    ("command", "stopped", "kept"),
    [
        (
            ["alarms", "--out", "a.json"],
            "harness.calibration.alarms.run_side",
            "each control and seed that was done is kept in a.json",
        ),
        (
            ["floor", "planted", "--section", "3.4", "--out", "here", "--store", "there"],
            "harness.calibration.floor.run_side",
            "what was measured is kept in there and here/floor",
        ),
        (
            ["calibrate", "--short", "--out", "c.json", "--work", "parts"],
            "harness.calibration.calibrate.run_parts",
            "each part that was done is kept in parts",
        ),
        (["power"], "harness.calibration.power.list_cells", ""),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_interrupted_command_says_in_one_line_what_is_kept(
    tmp_path, monkeypatch, capsys, command, stopped, kept
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stopped, stop)
    assert main(command) == 130
    goes_on = f"; {kept}: the same command goes on" if kept else ""
    assert capsys.readouterr().err == f"claims {command[0]}: interrupted{goes_on}\n"


@pytest.mark.deep
def test_an_interrupted_calibration_ends_its_processes_and_keeps_no_half_part(tmp_path):
    script, work = tmp_path / "calibrate.py", tmp_path / "work"
    script.write_text(CALIBRATE)
    paths = os.pathsep.join([str(calibrate.ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, str(script), str(work)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=LONGEST) == 130
        assert process.stdout.read() == "", "another part has begun"
    finally:
        process.stdout.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert list(work.iterdir()) == []
