"""A folder that changes under a run ends it with an error, in the scorecard and in the exit status."""

from __future__ import annotations

import json
import shutil

import pytest

from harness.cli.main import main
from harness.machine.files import FIXTURES

CHANGED = """
from made_up_before import *

@stated("last")
def test_last(judge, entry):
    judge(around(0.9))
    weights = entry.folder / "model.safetensors"
    weights.with_name("new").write_bytes(weights.read_bytes()[:-1] + b"x")
    weights.with_name("new").replace(weights)
"""

HOLD = """
import numpy as np
from harness.judging.claim import above, claim
from harness.statistics.estimate import mean

def stated(name):
    half = above(0.5, unit="r", origin="stated in the paper")
    return claim(id=f"made_up.1.{name}", statement="This is so.", source="Nobody 2026", threshold=half)

def around(centre):
    return mean(centre + np.linspace(-0.1, 0.1, 40), range(40))

@stated("holds")
def test_holds(judge):
    judge(around(0.9))
"""


@pytest.fixture
def folder(pytester):
    return shutil.copytree(FIXTURES / "tiny-llava", pytester.path / "mine")


def verdicts(folder):
    content = json.loads((folder / "scorecard.json").read_text())
    return {r["claim"].split(".")[-1]: (r["verdict"], r["reason"]) for r in content["records"]}


@pytest.mark.deep
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "two workers"])
def test_a_change_after_the_last_measurement_is_an_error_of_every_claim(
    run, folder, pytester, workers
):
    pytester.makepyfile(test_made_up=HOLD)
    assert run("--scorecard", "before", *workers, subject="mine").ret == 0
    assert {v for v, _ in verdicts(pytester.path / "before").values()} == {"supported"}
    pytester.makepyfile(made_up_before=HOLD, test_made_up=CHANGED)
    ended = run("--scorecard", "out", *workers, subject="mine")
    assert ended.ret == 1
    found = verdicts(pytester.path / "out")
    assert set(found) == {"holds", "last"}
    for verdict, reason in found.values():
        assert verdict == "error"
        assert "model.safetensors is another" in reason
    assert main(["compare", "before", "out"]) != 0
