"""An experiment is a file that measures, one that reads, and a line: its fixture is there by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from harness.machine.files import ROOT

MEASURES = '''"""Whether the subject names the object that the prompt leaves out, in scenes of three."""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.experiments.answers import check_answers_right
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials


def measure(request: Request) -> xr.Dataset:
    """Accuracy per trial: `right` bool [trial], `scene` [trial]."""
    grid = request.subject.grids[2]
    cells = grid.cells[:3]
    drawn = draw_balanced_trials(grid, HIGH_ENTROPY[3], request.trials, request.rng, cells=cells)
    right = check_answers_right(request.subject, drawn)
    scenes = np.array([t.scene.key for t in drawn])
    return xr.Dataset({"right": (("trial",), right), "scene": (("trial",), scenes)})
'''

READS = '''"""Share of scenes of three in which the left-out object is named."""

from __future__ import annotations

from harness.readings.reading import Reading
from harness.statistics.estimate import Estimate, proportion


class OfThree(Reading):
    """Reading of the answers."""

    def accuracy(self) -> Estimate:
        """Share of right answers; Wilson interval, clustered by scene."""
        return proportion(self.data.right.values.astype(bool), self.data.scene.values)
'''

LINE = '    _declare("somebody", "of_three", "OfThree", 48, "two objects"),\n'

CLAIM = '''"""Somebody 2026, section 1."""

from harness.judging.claim import above, claim


@claim(
    id="somebody.1.of_three",
    statement="Shown three objects and told two, the model names the third.",
    source="Somebody 2026, section 1",
    threshold=above(0.8, unit="share right", origin="chosen by us", note="for the test"),
)
def test_names_the_third(of_three, judge):
    judge(of_three.accuracy())
'''


@pytest.fixture
def copy(tmp_path):
    """A copy of the project with the three edits, and a claim of a paper that nobody has heard of."""
    for name in ("harness", "claims"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy2(ROOT / name, tmp_path / name)
    for name in ("fixtures", "reports"):
        (tmp_path / name).symlink_to(ROOT / name, target_is_directory=True)
    for folder, file, text in (
        ("harness/experiments/somebody", "of_three.py", MEASURES),
        ("harness/readings/somebody", "of_three.py", READS),
        ("claims/somebody", "test_1.py", CLAIM),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text(text)
    catalogue = tmp_path / "harness" / "experiments" / "catalogue.py"
    before, end, after = catalogue.read_text().partition("\n)\n\n\ndef check_catalogue")
    assert end
    catalogue.write_text(before + "\n" + LINE.rstrip() + end + after)
    return tmp_path


@pytest.mark.deep
def test_three_edits_add_an_experiment_and_its_fixture_exists(copy):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "claims",
        "-m",
        "somebody",
        "--subject",
        "tiny-llava",
    ]
    done = subprocess.run(
        [*command, "--store", "store", "--scorecard", "out", "--strict-markers"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [record] = json.loads((copy / "out" / "scorecard.json").read_text())["records"]
    assert (record["claim"], record["verdict"]) == ("somebody.1.of_three", "supported")
    assert record["n"] == 48
    # Its spelling and its precondition were measured before it, and what will be measured was foretold.
    assert "0 of 3 measurements are in store" in done.stdout
    lines = done.stdout.splitlines()
    told = [n for n, line in enumerate(lines) if "measured " in line]
    assert "measured spelling on tiny-llava" in lines[told[0]]
    assert "measured behaviour on tiny-llava" in lines[told[1]]
    assert "measured of_three on tiny-llava: 48 trials" in lines[told[2]]
