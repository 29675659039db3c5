"""Spreads that no paper prints, measured on the subjects that ship (`benchmarks/spreads.py`)."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import NamedTuple

from harness.machine.files import FIXTURES

SPREADS = FIXTURES / "spreads.toml"


class Spreads(NamedTuple):
    """How much what is measured varies from one trial to the next.

    Attributes:
        correlation: Standard deviation of a correlation of similarities, or of a difference of two, times the
            root of the judged trials.
        share_of_score: Standard deviation of a head's score over trials, as a share of its mean.
    """

    correlation: float
    share_of_score: float


@cache
def read_spreads() -> Spreads:
    """Read the measured spreads."""
    return Spreads(**tomllib.loads(SPREADS.read_text()))
