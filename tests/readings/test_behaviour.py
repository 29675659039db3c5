"""Answers that nobody here can read are neither right nor wrong."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.judging.claim import above
from harness.judging.verdict import decide
from harness.readings.spelling import Spelling
from harness.readings.visual_symbols.behaviour import READABLE, Behaviour

CEILING = above(0.95, unit="share right", origin="chosen by us", note="of this test")


def read(named, right):
    shape = {"right": right, "named": named, "scene": [f"s{i}" for i in range(len(named))]}
    return Behaviour(
        xr.Dataset(
            {name: (("set", "trial"), np.array([values])) for name, values in shape.items()},
            {"set": ["two objects"]},
            {"tells": "answers sentences as in 'rojo' (0 of 48 name a color)"},
        )
    )


@pytest.mark.parametrize(("many", "verdict"), [(0, "not_applicable"), (9, "not_applicable")])
def test_answers_in_another_language_refute_nothing(many, verdict):
    found = read(np.arange(100) < many, np.zeros(100, bool)).accuracy("two objects")
    judgement = decide(found, CEILING, "a subject")
    assert judgement.verdict == verdict
    assert judgement.reason.startswith(f"{many} of 100 answers name a color in any spelling")
    assert "'rojo'" in judgement.reason
    assert "\n" not in judgement.reason


def test_wrong_answers_that_can_be_read_refute():
    named = np.arange(100) < 100 * READABLE
    found = read(named, np.zeros(100, bool)).accuracy("two objects")
    assert decide(found, CEILING, "a subject").verdict == "refuted"


def test_the_share_that_names_a_color_is_told_apart_from_the_share_that_is_right():
    said = np.array([["red"] * 15 + [""] * 5, ["red"] * 20])
    found = Spelling(
        xr.Dataset(
            {
                "said": (("form", "trial"), said),
                "right": (("form", "trial"), np.arange(40).reshape(2, 20) % 2 == 0),
                "scene": (("trial",), [f"s{i}" for i in range(20)]),
            },
            {"form": ["sentence", "question"]},
        )
    )
    assert [found.named(f).value for f in ("sentence", "question")] == [0.75, 1.0]
    assert found.accuracy("sentence").value == 0.5
