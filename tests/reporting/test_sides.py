"""The two sides of a comparison: read from files, and refused where they were not asked the same."""

from __future__ import annotations

import numpy as np
import pytest
from cards import card, record
from scored import first, measured, side

from harness.judging.evidence import save_evidence
from harness.machine.files import write_json
from harness.reporting.compare import compare
from harness.reporting.gate import render
from harness.reporting.sides import NotComparable, find_evidence_file, keep_asked, load_side
from harness.statistics.draws import from_draws
from harness.statistics.looks import Look


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 8}, "seed: 7 in a run, 8 in a run"),
        ({"trials": 48}, "trials: each experiment's own in a run, 48"),
        ({"stimuli": "ab"}, "stimuli: unknown in a run, ab"),
        ({"gate": False}, "gate: True in a run, False in a run .--no-gate on one side"),
    ],
)
def test_other_scenes_are_refused(changes, said):
    one = measured(first(0.9))
    with pytest.raises(NotComparable, match=said):
        compare(side(one), side(one, **changes))


@pytest.mark.parametrize("changes", [{"threshold": 0.3}, {"direction": "below"}, {"unit": "x"}])
def test_a_claim_that_says_something_else_is_refused(changes):
    with pytest.raises(NotComparable, match="says something else now"):
        compare(side(measured(first(0.9))), side(measured(first(0.9), **changes)))


def test_another_family_and_a_partial_baseline_are_refused():
    one = measured(first(0.9))
    with pytest.raises(NotComparable, match="another model: a run is of family, and tiny of else"):
        compare(side(one), side(measured(first(0.9), family="else")))
    with pytest.raises(NotComparable, match="not whole"):
        compare(side(one, partial=True), side(one))
    with pytest.raises(
        ValueError, match=r"^margin is 1.0; it must be above 0 and below 1"
    ) as refused:
        compare(side(one), side(one), share=1.0)
    assert not isinstance(refused.value, NotComparable)


def test_other_versions_are_noted_not_refused():
    one = measured(first(0.9))
    found = compare(side(one, torch="1"), side(one, torch="2"))
    assert found.notes == ("torch 1 before, 2 after",)


def test_two_sides_of_the_same_weights_are_told():
    """A candidate that is the released model by mistake would be green, and nothing would have been tested."""
    one, copy = (measured(first(0.9), measurement="keys-ab") for _ in range(2))
    (note,) = compare(side(one), side(copy)).notes
    assert note == "tiny: both sides are the same weights, so that nothing could be lost"
    other = measured(first(0.9), measurement="keys-cd")
    assert compare(side(one), side(other)).notes == ()
    unnamed = measured(first(0.9), measurement=None)
    assert compare(side(unnamed), side(unnamed)).notes == ()


def test_other_code_and_other_commits_are_noted():
    one, pinned = measured(first(0.9)), {"revision": "a" * 40, "commit": "a" * 40}
    followed = {"revision": "main", "commit": "b" * 40}
    found = compare(
        side(one, code="1", subjects={"tiny": pinned}),
        side(one, code="2", subjects={"tiny": followed}),
    )
    code, moved, loose = found.notes
    assert code == "measured by other code: what changed may be the code's doing"
    assert moved == "tiny was aaaaaaaaaaaa before and is bbbbbbbbbbbb after"
    assert loose.startswith(
        "tiny in a run is not pinned: it followed main, which was bbbbbbbbbbbb;"
    )
    assert compare(side(one, subjects={"tiny": pinned}), side(one)).notes == ()


def test_another_arrangement_and_another_dtype_are_noted_with_the_way_back():
    one = measured(first(0.9))
    was = {"tiny": {"dtype": "float32", "arrangement": "chat"}}
    now = {"tiny": {"dtype": "bfloat16", "arrangement": "prefilled"}}
    assert compare(side(one, subjects=was), side(one, subjects=now)).notes == (
        "tiny: dtype float32 before, bfloat16 after; `--dtype float32` asks it as before",
        "tiny: arrangement chat before, prefilled after; `--arrangement chat` asks it as before",
    )
    assert compare(side(one, subjects=was), side(one, subjects=was)).notes == ()


def test_a_single_subject_is_compared_in_how_it_was_asked():
    one, other = measured(first(0.9)), measured(first(0.9), subject="candidate")
    was, now = ({"dtype": "float32", "arrangement": how} for how in ("chat", "plain"))
    found = compare(side(one, subjects={"tiny": was}), side(other, subjects={"candidate": now}))
    [note] = found.notes
    assert note.startswith("candidate: arrangement chat before, plain after")
    assert f"Note: {note}." in " ".join(render(found, width=200))


def test_an_older_scorecard_tells_the_dtype_but_not_the_arrangement():
    one = measured(first(0.9))
    now = {"tiny": {"dtype": "float32", "arrangement": "chat"}}
    unknown = "tiny: arrangement unknown before, chat after"
    assert compare(side(one), side(one, subjects=now)).notes == (unknown,)
    dtype, arrangement = compare(side(one, dtype="float16"), side(one, subjects=now)).notes
    assert dtype.startswith("tiny: dtype float16 before, float32 after; ")
    assert arrangement == unknown
    # Of a subject that is not in the run there is nothing to say.
    both = side(one, measured(first(0.9), subject="other"))
    assert not [n for n in compare(both, side(one)).notes if "other" in n]


def test_a_threshold_that_differs_by_subject_is_refused_with_a_way_out():
    before, after = measured(first(0.9), threshold=0.3), measured(first(0.9), subject="folder")
    with pytest.raises(
        NotComparable, match=r"for tiny \(0.3\) than for folder .* name of the other"
    ):
        compare(side(before), side(after))


def test_files_are_read_back_with_their_evidence(tmp_path):
    rec, evidence = measured(first(0.9))
    path = tmp_path / "scorecard.json"
    write_json(path, card(rec).to_json())
    save_evidence(find_evidence_file(path), {(rec.claim, rec.subject): evidence})
    for where in (path, tmp_path):
        assert load_side(where).evidence[rec.claim, rec.subject].scenes == evidence.scenes
    write_json(path, {"run": {}})
    with pytest.raises(ValueError, match="cannot be compared"):
        load_side(path)
    write_json(path, [])
    with pytest.raises(ValueError, match="not a scorecard"):
        load_side(path)


@pytest.mark.parametrize(("look", "clusters"), [(None, 5), (0, 24), (1, 12), (None, 60)])
def test_an_interval_that_ends_beyond_all_draws_belongs_to_them(tmp_path, look, clusters):
    """Where scenes are few or a look is early, an interval is wider than its draws."""
    draws = np.random.default_rng(0).normal(0.6, 0.01, 1000)
    estimate = from_draws(0.6, draws, n=clusters, clusters=clusters)
    low, high = estimate.interval(Look(look).level)
    sizes = {"n": clusters, "clusters": clusters}
    rec = record(estimate=0.6, ci_low=low, ci_high=high, **sizes)
    path = tmp_path / "scorecard.json"
    write_json(path, card(rec).to_json())
    save_evidence(find_evidence_file(path), {(rec.claim, rec.subject): estimate.evidence})
    assert load_side(path).evidence
    others = from_draws(0.6, draws + 0.5, n=clusters, clusters=clusters).evidence
    save_evidence(find_evidence_file(path), {(rec.claim, rec.subject): others})
    with pytest.raises(ValueError, match="is not the evidence of"):
        load_side(path)


def test_a_subject_that_was_left_out_is_not_missed():
    whole = side(*(measured(first(0.9), subject=s) for s in ("tiny", "small")))
    pair, other = ("paper.1.order", "tiny"), ("paper.1.order", "small")
    assert keep_asked(whole, [pair], [other]).card.subjects == ("tiny",)
    assert keep_asked(whole, [pair], []).card.subjects == ("tiny", "small")


def test_claims_that_were_left_out_are_not_missed_but_those_that_are_gone_are():
    whole = side(*(measured(first(0.9), claim=f"paper.1.{c}") for c in "abc"))
    pairs = [("paper.1.a", "tiny")]
    for left_out, kept in (([("paper.1.b", "tiny")], "ac"), (None, "a"), ((), "abc")):
        asked = keep_asked(whole, pairs, left_out)
        assert [r.claim[-1] for r in asked.card.records] == list(kept)
