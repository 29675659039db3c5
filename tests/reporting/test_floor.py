"""The gate takes no margin below what the baseline's model moves by itself, where that was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cards import CLAIM, card, record
from hypothesis import given
from hypothesis import strategies as st
from scored import first, measured, side

from harness.cli.main import main
from harness.judging.evidence import save_evidence
from harness.machine.files import write_json
from harness.reporting.compare import MARGIN, compare
from harness.reporting.fates import Fate
from harness.reporting.floor import (
    SCHEMA,
    WrongFloor,
    add_up_floor,
    compute_spread,
    find_floor,
    find_floor_file,
    load_floor,
    refuse_other_floor,
    render_floor,
)
from harness.reporting.gate import markdown, render, tell_floor, to_json
from harness.reporting.sides import find_evidence_file, load_side


def claim_floor(floor, estimate=0.9, **changes):
    found = {
        "unit": "r",
        "verdict": "supported",
        "estimate": estimate,
        "verdicts": {"supported": 2},
        "spread": 0.01,
        "served": {"half batches": {"verdict": "supported", "difference": floor}},
        "floor": floor,
    }
    return {**found, **changes}


def floor_of(floor, **changes):
    logits = {"trials": 24, "largest": 1e-5, "mean": 1e-7, "spread": 2.0, "answers": 0}
    found = {
        "schema": SCHEMA,
        "subject": "tiny",
        "family": "family",
        "seed": 7,
        "repeats": 2,
        "trials": None,
        "gate": True,
        "stimuli": "",
        "device": "cpu",
        "dtype": "float32",
        "harness": "0.1.0",
        "noise": ["half batches"],
        "logits": {"half batches": logits},
        "claims": {CLAIM: claim_floor(floor)},
    }
    return {**found, **changes}


def against(floor, before=0.9, after=0.6):
    """One claim compared, with a noise floor on the baseline's side."""
    one = replace(side(measured(first(before))), floor=floor)
    return compare(one, side(measured(first(after))))


def test_a_loss_that_is_no_more_than_noise_is_none():
    [without] = against(None).rows
    [within] = against(floor_of(0.35)).rows
    [beyond] = against(floor_of(0.15)).rows
    assert (without.fate, beyond.fate) == (Fate.regressed, Fate.regressed)
    assert within.fate is Fate.unchanged
    assert (within.margin, within.floor) == (0.35, 0.35)
    assert without.margin == pytest.approx(MARGIN * 0.5)


def test_noise_hides_no_verdict_that_is_lost():
    assert against(floor_of(10.0), after=0.2).red


@given(st.floats(0, 2), st.floats(0.45, 1))
def test_a_margin_is_the_larger_of_its_share_and_the_floor(floor, before):
    found = against(floor_of(floor), before, before)
    [without] = against(None, before, before).rows
    [row] = found.rows
    assert row.margin == max(without.margin, floor)
    assert (row in found.floored) is (floor > 0 and floor >= without.margin)


def test_a_comparison_says_which_noise_it_knows():
    assert "not measured for the baseline" in tell_floor(against(None))
    wide, small = against(floor_of(0.35)), against(floor_of(0.001))
    assert tell_floor(wide).endswith(f"it is the margin of {CLAIM}.")
    assert tell_floor(small).endswith("all margins are wider.")
    assert "tiny run again (half batches) moves 1 of 1 claim" in tell_floor(small)
    assert tell_floor(wide) in " ".join(render(wide, width=10_000))
    assert "it is the margin of" in markdown(wide)
    facts = to_json(wide)
    assert (facts["floor"], facts["rows"][0]["floor"]) == (tell_floor(wide), 0.35)
    assert to_json(against(None))["rows"][0]["floor"] is None


def test_no_floor_is_known_of_a_claim_that_has_none():
    assert find_floor(None, CLAIM, "tiny") == 0
    assert find_floor(floor_of(None), CLAIM, "tiny") == 0
    assert find_floor(floor_of(0.2), "paper.1.other", "tiny") == 0
    assert find_floor(floor_of(0.2), CLAIM, "another") == 0
    assert find_floor(floor_of(0.2), CLAIM, "tiny") == 0.2


def test_the_noise_of_one_subject_is_not_that_of_another():
    two = [measured(first(0.9), subject=name) for name in ("tiny", "another")]
    less = [measured(first(0.6), subject=name) for name in ("tiny", "another")]
    found = compare(replace(side(*two), floor=floor_of(0.35)), side(*less))
    assert {row.subject: row.fate for row in found.rows} == {
        "tiny": Fate.unchanged, "another": Fate.regressed
    }  # fmt: skip
    # A folder of another name is compared with the one subject of its baseline, whose noise it has.
    [renamed] = compare(replace(side(two[0]), floor=floor_of(0.35)), side(less[1])).rows
    assert renamed.floor == 0.35


def write_scorecard(path, share):
    """Write a scorecard of one claim, of the subject that `floor_of` is about."""
    one, evidence = measured(first(share))
    write_json(path, card(one).to_json())
    save_evidence(find_evidence_file(path), {(one.claim, one.subject): evidence})
    return path


@pytest.fixture
def baseline(tmp_path):
    return write_scorecard(tmp_path / "scorecard.json", 0.9)


def test_a_comparison_takes_the_floor_that_it_is_given_or_finds(baseline, tmp_path, capsys):
    after = write_scorecard(tmp_path / "after" / "scorecard.json", 0.6)
    write_json(tmp_path / "given", floor_of(0.35))
    compared = ["compare", str(baseline), str(after)]
    assert main(compared) == 1
    assert "Noise floor: not measured" in capsys.readouterr().out
    assert main([*compared, "--floor", str(tmp_path / "given")]) == 0
    assert f"it is the margin of {CLAIM}." in capsys.readouterr().out
    write_json(find_floor_file(baseline), floor_of(0.35))
    assert main(compared) == 0
    assert main([*compared, "--floor", str(tmp_path / "nothing")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_a_blessed_baseline_has_the_floor_of_its_run_and_no_older_one(baseline, tmp_path):
    write_json(find_floor_file(baseline), floor_of(0.1))
    assert main(["bless", str(baseline), "--into", str(tmp_path / "into")]) == 0
    blessed = tmp_path / "into" / "tiny.json"
    assert load_side(blessed).floor == floor_of(0.1)
    find_floor_file(baseline).unlink()
    assert main(["bless", str(baseline), "--into", str(tmp_path / "into")]) == 0
    assert load_side(blessed).floor is None


def test_a_floor_beside_a_scorecard_is_its_own(baseline, tmp_path):
    assert load_side(baseline).floor is None
    write_json(find_floor_file(baseline), floor_of(0.1))
    found = load_side(baseline).floor
    assert found is not None
    assert find_floor(found, CLAIM, "tiny") == 0.1
    # The folder lists what may be a baseline by this ending.
    assert [p.name for p in tmp_path.glob("*.json")] == ["scorecard.json"]


def test_a_floor_that_is_named_must_be_there(baseline, tmp_path):
    with pytest.raises(FileNotFoundError, match="claims floor SUBJECT"):
        load_side(baseline, tmp_path / "nothing")
    write_json(tmp_path / "own", floor_of(0.1))
    assert load_side(baseline, tmp_path / "own").floor == floor_of(0.1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subject": "another"}, "is the noise floor of another, which is not here"),
        ({"seed": 8}, "another seed .8. than the baseline .7."),
        ({"trials": 24}, "another trials .24."),
        ({"gate": False}, "another gate"),
        ({"stimuli": "ab"}, "another stimuli"),
        (
            {"claims": {CLAIM: claim_floor(0.1, estimate=0.7)}},
            "is the noise floor of another model",
        ),
    ],
    ids=lambda c: next(iter(c)) if isinstance(c, dict) else "",
)
def test_the_floor_of_another_run_is_refused(baseline, changes, said):
    write_json(find_floor_file(baseline), floor_of(0.1, **changes))
    with pytest.raises(WrongFloor, match=said):
        load_side(baseline)


@pytest.mark.parametrize("claim", [{"estimate": None}, {"estimate": 0.95}, {"estimate": 0.9000004}])
def test_the_same_model_may_differ_by_its_noise(claim):
    floor = floor_of(0.1, claims={CLAIM: claim_floor(0.1, **claim), "paper.1.b": claim_floor(1.0)})
    refuse_other_floor(floor, card().run, [measured(first(0.9))[0]], "a file")


@pytest.mark.parametrize(
    "content",
    [
        {"schema": 0},
        [],
        {"schema": SCHEMA},
        floor_of(-0.1),
        floor_of("0.1"),
        floor_of(0.1, claims={CLAIM: {}}),
    ],
    ids=["schema", "list", "empty", "negative", "text", "claim"],
)
def test_a_file_that_is_no_floor_is_refused_by_name(tmp_path, content):
    path = tmp_path / "scorecard.floor"
    write_json(path, content)
    with pytest.raises(WrongFloor, match=r"scorecard\.floor is no noise floor"):
        load_floor(path)
    path.write_text('{"schema": 1, "claims": {"a": {"floor": NaN}}}')
    with pytest.raises(WrongFloor, match="NaN"):
        load_floor(path)


def test_seeds_tell_the_spread_and_servings_the_floor():
    def at(estimate, verdict="supported"):
        return {CLAIM: record(verdict=verdict, estimate=estimate)}

    seeds = [at(0.5), at(0.7, "inconclusive"), at(0.6)]
    served = {"a": at(0.48), "b": at(0.53, "refuted"), "c": {CLAIM: record(verdict="blocked")}}
    found = add_up_floor(seeds, served, served)[CLAIM]
    assert (found["estimate"], found["verdicts"]) == (0.5, {"supported": 2, "inconclusive": 1})
    assert found["spread"] == pytest.approx(0.1)
    assert found["floor"] == pytest.approx(0.03)
    assert found["served"]["b"]["verdict"] == "refuted"
    assert found["served"]["c"]["difference"] is None
    [empty] = add_up_floor([{CLAIM: record(verdict="blocked")}], served, served).values()
    assert (empty["spread"], empty["floor"]) == (None, None)
    # Another precision is told, and is no noise.
    [told] = add_up_floor(seeds, served, ["a", "c"]).values()
    assert told["floor"] == pytest.approx(0.02)
    assert told["served"] == found["served"]


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=8))
def test_a_spread_is_the_standard_deviation(values):
    assert compute_spread(values) == pytest.approx(float(np.std(values, ddof=1)), abs=1e-9)
    assert compute_spread(values[:1]) is None


def test_the_table_has_a_row_for_each_claim_and_each_way_to_run_it():
    changed = claim_floor(0.25, verdicts={"supported": 1, "refuted": 1})
    changed["served"]["half batches"]["verdict"] = "refuted"
    floor = floor_of(0.1, claims={CLAIM: claim_floor(0.1), "paper.1.b": changed})
    lines = list(render_floor(floor))
    assert "With other seeds 1 of 2 verdicts change." in lines
    assert "| half batches | 1 of 2 | 1e-05 | 1e-07 | 2 | 0 of 24 |" in lines
    assert "| paper.1.b | 1 supported, 1 refuted | 0.9 | 0.01 | 0.25 | r |" in lines
