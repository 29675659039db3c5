"""The published heads that claims compare with: no weaker than the heads of our own lists."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.judging import published
from harness.stimuli.contrast import CONDITIONS

CLAIMS = Path(__file__).parents[2] / "claims" / "visual_symbols" / "test_3_4_mediation.py"


@pytest.fixture(scope="module")
def published_heads():
    return runpy.run_path(str(CLAIMS))["published_heads"]


def name(subject):
    return SimpleNamespace(entry=SimpleNamespace(name=subject))


@pytest.mark.parametrize("stage", CONDITIONS)
def test_heads_below_a_tenth_of_the_best_are_not_asked_for(published_heads, stage):
    paper = published.load()
    for subject in paper.subjects:
        shown = paper.heads(subject, stage) or ()
        heads = published_heads(name(subject), stage)
        assert len(heads) <= 10
        assert set(heads) <= {(h.layer, h.head) for h in shown if h.share >= 0.1}
        assert len(heads) == min(10, sum(h.share >= 0.1 for h in shown))


def test_llava_has_few_heads_of_id_retrieval_and_unknown_subjects_none(published_heads):
    assert published_heads(name("llava-1.5-7b"), "id_retrieval") == [(12, 16), (11, 19), (11, 14)]
    assert published_heads(name("planted"), "id_retrieval") == []
