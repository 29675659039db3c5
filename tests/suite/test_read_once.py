"""A whole run reads a checkpoint once to hash it, in pieces, and a later one does not read it at all."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import time
from collections import Counter

import pytest

import harness.experiments.arranging
import harness.subjects.loading
import harness.tracing.selfcheck
from harness.machine.files import FIXTURES
from harness.subjects import contents

MEASURED = """
import pytest
from harness.experiments.catalogue import find_experiment
from harness.judging.claim import above, claim
from harness.statistics.estimate import mean
import numpy as np

def stated(name):
    half = above(0.5, unit="r", origin="stated in the paper")
    return claim(id=f"made_up.1.{name}", statement="This is so.", source="Nobody 2026", threshold=half)

@stated("first")
def test_first(behaviour, judge):
    judge(mean(0.9 + np.linspace(-0.1, 0.1, 40), range(40)))

@stated("second")
def test_second(judge):
    judge(mean(0.9 + np.linspace(-0.1, 0.1, 40), range(40)))
"""

PRELOADED = (harness.experiments.arranging, harness.subjects.loading, harness.tracing.selfcheck)
"""What a run in this process would import a second time, which compiled modules do not bear."""

PIECE = 2**20
"""More than is read at once of a file that is read in pieces."""


@pytest.fixture
def folder(pytester):
    return shutil.copytree(FIXTURES / "tiny-llava", pytester.path / "mine")


@pytest.fixture
def reads(monkeypatch):
    """How often each file of weights is opened here, and the largest piece that is read of one at once."""
    opened, largest, inner = Counter(), [0], io.open

    class Watched(io.BufferedReader):
        def read(self, size=-1):
            found = super().read(size)
            largest[0] = max(largest[0], len(found))
            return found

        def readinto(self, buffer):
            found = super().readinto(buffer)
            largest[0] = max(largest[0], found)
            return found

    def opening(file, mode="r", *more, **named):
        if mode == "rb" and os.fspath(file).endswith(".safetensors"):
            opened[os.path.basename(file)] += 1
            return Watched(io.FileIO(file))
        return inner(file, mode, *more, **named)

    monkeypatch.setattr(io, "open", opening)
    monkeypatch.setattr(contents, "SETTLED", 20_000_000)
    return opened, largest


def test_weights_are_hashed_once_in_a_run_and_not_again_in_the_next(run, folder, pytester, reads):
    opened, largest = reads
    # The hash of a file that was only just written is not kept.
    time.sleep(0.05)
    pytester.makepyfile(test_made_up=MEASURED)
    few = ("--trials", "24", "--no-gate")
    assert run(*few, subject="mine").ret == 0
    assert opened == {"model.safetensors": 1}
    assert 0 < largest[0] <= PIECE < (folder / "model.safetensors").stat().st_size
    # As in another process, which finds its measurements in the store by that hash.
    contents._HASHED.clear()
    again = run(*few, subject="mine")
    assert again.ret == 0
    again.stdout.no_fnmatch_line("*measured*")
    assert opened == {"model.safetensors": 1}
    content = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    [kept] = (pytester.path / "store" / "hashes").glob("*.json")
    assert content in kept.read_text()
