"""A baseline keeps the scores of heads of its run, also where a partial run is put into it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.cli.bless import _put_into, _write
from harness.judging.record import Record, RunFacts
from harness.reporting.scorecard import build
from harness.reporting.sides import Side, load_side
from harness.statistics.head_scores import Carried, HeadScores
from harness.stimuli.contrast import CONDITIONS

SCORES = HeadScores(Carried.by_heads, "", np.eye(4), np.full((4, 4), 0.1), 30)
OTHERS = replace(SCORES, means=2 * np.eye(4))
NONE = HeadScores(Carried.unmeasured, "no claim that measures heads was asked")


def make_side(heads, *claims, partial=False):
    """A side with records of some claims on one subject."""
    text = dict.fromkeys(("statement", "source", "family", "unit", "reason"), "x")
    numbers = {
        "estimate": 0.6,
        "ci_low": 0.5,
        "ci_high": 0.7,
        "threshold": 0.4,
        "n": 9,
        "clusters": 9,
    }
    rest = {"published": None, "baseline": None, "measurement": None, "seconds": 1.0, "seed": 0}
    records = [
        Record(
            claim=c,
            subject="tiny",
            verdict="supported",
            direction="above",
            **text,
            **numbers,
            **rest,
        )
        for c in claims
    ]
    nothing = ("torch", "transformers", "nnsight", "device", "dtype", "attention", "trials")
    run = RunFacts(
        1,
        "0",
        "0",
        **dict.fromkeys(nothing),
        started="",
        seed=0,
        python="",
        platform="",
        partial=partial,
    )
    card = build(run, records, [(r.claim, r.subject) for r in records])
    return Side("a run", card, {}, {("tiny", stage): heads for stage in CONDITIONS})


def test_a_baseline_has_the_scores_of_its_run(tmp_path):
    path = tmp_path / "tiny.json"
    _write(path, make_side(SCORES, "p.1.a"))
    found = load_side(path)
    assert found.bound
    assert {key: h.means.tolist() for key, h in found.heads.items()} == {
        ("tiny", stage): np.eye(4).tolist() for stage in CONDITIONS
    }


@pytest.mark.parametrize(("own", "kept"), [(NONE, SCORES), (OTHERS, OTHERS)])
def test_a_partial_run_replaces_scores_only_by_scores(own, kept):
    whole = make_side(SCORES, "p.1.a", "p.1.b")
    found = _put_into(whole, make_side(own, "p.1.a", partial=True))
    assert set(found.heads.values()) == {kept}
    assert set(found.card.claims) == {"p.1.a", "p.1.b"}
