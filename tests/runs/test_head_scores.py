"""Scores of heads for the evidence of a run: from the measurement of its own claims, or why there are none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from harness.judging.evidence import load_evidence, load_heads, save_evidence
from harness.runs.head_scores import gather_head_scores
from harness.runs.journal import Collected, PlannedTest
from harness.statistics.head_scores import Carried, HeadScores
from harness.stimuli.contrast import CONDITIONS

TRIALS, KEPT = 40, 30


def measure(strengths=(2.0, 2.0, 2.0), kept=KEPT, experiment="mediation"):
    """A measurement of three layers of two heads, of which head l.0 carries stage l with a strength."""
    score = 0.02 * np.random.default_rng(0).normal(size=(3, TRIALS, 3, 2))
    for stage, strength in enumerate(strengths):
        score[stage, :, stage, 0] += strength
    score[:, kept:] = np.nan
    scene = [[f"s{i // 2}" if i < kept else "" for i in range(TRIALS)]] * 3
    return xr.Dataset(
        {
            "score": (("condition", "trial", "layer", "head"), score),
            "clean": (("condition", "trial"), np.full((3, TRIALS), 5.0)),
            "scene": (("condition", "trial"), scene),
            "drawn": (("condition",), [4 * TRIALS] * 3),
            "kept": (("condition",), [kept] * 3),
        },
        {"condition": list(CONDITIONS), "layer": np.arange(3)},
        {"experiment": experiment},
    )


def gather(data=None, *, needs=("mediation",), **record):
    facts = {"claim": "p.1.a", "subject": "tiny", "measurement": "key", "verdict": "supported"}
    record = SimpleNamespace(**{**facts, "reason": "for the test", **record})
    card = SimpleNamespace(subjects=("tiny",), records=(record,))
    found = Collected({"t": PlannedTest("p.1.a", "tiny", "", needs)}, "0")
    return gather_head_scores(card, found, {"key": data} if data is not None else {})


def test_scores_of_all_heads_are_kept_with_errors_by_scene():
    data = measure()
    found = gather(data)
    assert list(found) == [("tiny", stage) for stage in CONDITIONS]
    for (_, stage), of_stage in found.items():
        kept = data.score.sel(condition=stage).values[:KEPT]
        assert of_stage.carried is Carried.by_heads
        assert of_stage.clusters == KEPT // 2
        assert of_stage.means == pytest.approx(kept.mean(0))
        # Two trials a scene: the error of the mean over scenes.
        by_scene = kept.reshape(KEPT // 2, 2, 3, 2).mean(1)
        assert of_stage.errors == pytest.approx(by_scene.std(0, ddof=1) / np.sqrt(KEPT // 2))


def test_a_stage_that_no_head_carries_and_one_that_is_not_sure_are_told():
    noisy = measure()
    noise = np.random.default_rng(1).normal(size=noisy.score.shape)
    noisy["score"] = noisy.score * 0 + 5 * noise
    none, unsure = gather(measure((0, 0, 0)))["tiny", "id_selection"], gather(noisy)
    assert (none.carried, none.reason) == (Carried.by_none, "")
    for found in unsure.values():
        assert found.carried is Carried.uncertain
        assert "no head surely mediates" in found.reason


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"needs": ("similarity",)}, "no claim that measures heads was asked"),
        ({"measurement": None, "verdict": "blocked"}, "blocked: for the test"),
        ({}, "its measurement is gone"),
        ({"data": measure(experiment="steering")}, "its measurement is gone"),
        ({"data": measure(kept=0)}, "none of 160 contrasts is answered right"),
        ({"data": measure(kept=1)}, "only 1 of 160 contrasts"),
        ({"claim": "p.1.b"}, "no verdict on claims about heads"),
    ],
)
def test_where_there_are_no_scores_the_reason_is_told(how, told):
    for found in gather(**how).values():
        assert found.carried is Carried.unmeasured
        assert told in found.reason


def test_few_trials_leave_it_open_which_heads_carry_a_stage():
    found = gather(measure(kept=12))["tiny", "id_retrieval"]
    assert found.carried is Carried.uncertain
    assert "only 12 of 160" in found.reason


def test_scores_stand_in_the_file_of_evidence_and_change_nothing_else_there(tmp_path):
    heads = gather(measure())
    path, plain = tmp_path / "e.json.gz", tmp_path / "plain.json.gz"
    first = save_evidence(path, {}, heads)
    assert save_evidence(path, {}, dict(reversed(heads.items()))) == first
    save_evidence(plain, {})
    assert load_evidence(path) == load_evidence(plain) == {}
    assert load_heads(plain) == load_heads(tmp_path / "none") == {}
    read = load_heads(path)
    assert set(read) == set(heads)
    for key, found in heads.items():
        assert (read[key].carried, read[key].clusters) == (found.carried, found.clusters)
        assert read[key].means == pytest.approx(found.means, rel=1e-4)
        assert read[key].errors == pytest.approx(found.errors, rel=1e-4)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="is not the evidence of a run"):
        load_heads(path)


def test_a_stage_that_was_not_measured_is_read_back_as_such(tmp_path):
    path = tmp_path / "e.json.gz"
    save_evidence(path, {}, {("tiny", "id_retrieval"): HeadScores(Carried.unmeasured, "blocked")})
    [found] = load_heads(path).values()
    assert (found.carried, found.reason, found.means.shape) == (
        Carried.unmeasured,
        "blocked",
        (0, 0),
    )


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"means": np.ones((2, 2)), "errors": np.ones((2, 1)), "clusters": 9}, "with errors"),
        ({"means": np.full((2, 2), np.nan), "errors": np.ones((2, 2)), "clusters": 9}, "finite"),
        ({"means": np.ones((2, 2)), "errors": np.ones((2, 2)), "clusters": 1}, "two scenes"),
        ({"carried": Carried.uncertain}, "without a reason"),
    ],
)
def test_scores_that_tell_nothing_are_refused(facts, told):
    with pytest.raises(ValueError, match=told):
        HeadScores(**{"carried": Carried.by_heads, **facts})
