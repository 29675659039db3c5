"""Fixtures that run the made-up claims beside this file; compiled modules are imported here, once.

pytester forgets what a run in this process imported, and a compiled module that is imported a second time can
crash the interpreter.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5netcdf
import h5py
import matplotlib.pyplot
import numpy
import pandas
import pytest
import scipy.stats
import torch
import xarray

import harness.cli.main
import harness.reporting.writing
import harness.runs.run
import harness.suite.plugin

sys.path.insert(0, str(Path(__file__).parent))

from made_up import CLAIMS

PRELOADED = (h5netcdf, h5py, matplotlib, numpy, pandas, scipy, torch, xarray, harness)


@pytest.fixture(autouse=True)
def outside_tox(monkeypatch):
    """Make runs believe that somebody typed pytest, also where tox or a build server runs the tests."""
    monkeypatch.delenv("TOX_ENV_NAME", raising=False)
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def run(pytester):
    """A function that runs the made-up claims with options and returns pytester's result."""
    pytester.makeini(
        """
        [pytest]
        junit_family = xunit1
        markers = made_up: the paper of these claims
        """
    )
    pytester.makepyfile(test_made_up=CLAIMS)

    def go(*options, subject="tiny-llava", how=pytester.runpytest_inprocess):
        chosen = ["--subject", subject] if subject else []
        if "--scorecard" not in options:
            chosen += ["--scorecard", "out"]
        return how(
            "-p", "harness.suite.plugin", "-p", "no:cacheprovider", "--strict-markers",
            "--store", "store", *chosen, *options,
        )  # fmt: skip

    return go
