"""Curves of power are about claims that exist, add up what was found, and tell what is seen in nothing."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calibration import power_tables, weakening
from harness.calibration.calibrate import Size
from harness.calibration.runs import _Chooser
from harness.calibration.weakening import (
    ABOUT,
    CURVE,
    FIRST_SEED,
    PREFIX,
    STEPS,
    TASK,
    WHOLE,
    add_up_curves,
    choose_claims,
    list_parts,
)
from harness.judging.claim import Claim, above
from harness.judging.controls import read_expected
from harness.reporting.power_curves import (
    FOUND,
    find_curve_faults,
    find_smallest,
    render_curves,
)
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.truth import STAGES
from harness.tracing.selfcheck import selfcheck

KNOWN = read_expected()


@pytest.mark.parametrize("stage", STAGES)
def test_the_claims_of_a_curve_exist_and_are_known_on_its_control(stage):
    for claim in choose_claims(f"planted:{stage}=0"):
        assert (claim, weakening.CONTROL) in KNOWN


def test_a_whole_control_is_asked_about_all_stages_and_each_step_about_its_own():
    whole = choose_claims("planted")
    assert whole == frozenset.union(*(choose_claims(f"planted:{s}=0.1") for s in STAGES))
    assert set(ABOUT) == set(STAGES)
    only = choose_claims("planted:selection=0.1", ("3.4",))
    assert only == {PREFIX + c for c in ABOUT["selection"] if c.startswith("3.4")}
    assert not any("retrieval_size" in claim for claim in only)


def test_every_step_is_a_subject_and_none_is_judged_by_the_seed_that_chose_it():
    parts = list(list_parts(2, STAGES))
    below = sum(len(steps) - 1 for steps in STEPS.values())
    assert len(parts) == len(set(parts)) == 2 * (1 + below)
    assert {seed for *_, seed in parts} == {FIRST_SEED, FIRST_SEED + 1}
    assert FIRST_SEED != 0, "seed 0 chose the steps"
    registry = read_registry()
    assert all(what == CURVE and find(name, registry).name == name for what, name, _ in parts)
    assert set(STEPS) == set(STAGES)
    for steps in STEPS.values():
        assert (steps[0], steps[-1]) == (WHOLE, "0")
        assert all(float(more) > float(less) for more, less in pairwise(steps))


@pytest.mark.deep
def test_no_step_is_so_small_that_rounding_decides():
    registry = read_registry()
    for _, name, _ in list_parts(1, STAGES):
        selfcheck(load(find(name, registry)))


def found_by(verdict_at, estimate_at=lambda share: share):
    """What all parts of one stage find, if a claim's verdict and estimate follow from seed and share."""
    results = {}
    for part in list_parts(4, ["selection"]):
        share = float(part[1].partition("=")[2] or 1)
        results[part] = {
            claim: {
                "verdict": verdict_at(part[2], share),
                "estimate": estimate_at(share),
                "unit": "logits",
            }
            for claim in choose_claims(part[1])
        }
    return results


def test_a_curve_has_at_each_step_the_seeds_that_support_it():
    results = found_by(lambda seed, share: "supported" if share * 100 > seed else "refuted")
    curves = {c["claim"]: c for c in add_up_curves(results)}
    assert set(curves) == {PREFIX + c for c in (*TASK, *ABOUT["selection"])}
    points = curves[f"{PREFIX}3.4.id_selection"]["points"]
    assert [(p["share"], p["supported"], p["seeds"]) for p in points] == [
        (1, 4, 4), (0.1, 4, 4), (0.05, 4, 4), (0.02, 1, 4), (0, 0, 4)
    ]  # fmt: skip
    assert [p["estimate"] for p in points] == [1, 0.1, 0.05, 0.02, 0]
    assert find_smallest(points)["share"] == 0.05
    assert list(find_curve_faults(curves.values())) == []
    line = next(x for x in render_curves(list(curves.values())) if "3.4.id_selection" in x)
    assert "0.02: 1/4, 0: 0/4; found from 0.05 on (0.05 logits)" in line


def test_an_estimate_is_the_mean_over_seeds_that_have_one():
    results = found_by(lambda *_: "refuted", lambda share: share or None)
    for number, part in enumerate(p for p in results if p[1].endswith("=0.1")):
        results[part][f"{PREFIX}3.4.id_selection"]["estimate"] = [None, 1.0, 2.0, None][number]
    curve = next(c for c in add_up_curves(results) if c["claim"].endswith("3.4.id_selection"))
    assert [p["estimate"] for p in curve["points"]] == [1, 1.5, 0.05, 0.02, None]


def test_no_curve_is_made_of_what_was_not_judged():
    assert add_up_curves({}) == []
    assert add_up_curves({("table", "planted", 0): {"a": {"verdict": "supported"}}}) == []


def test_a_claim_that_is_supported_where_nothing_is_left_is_a_fault():
    results = found_by(lambda seed, share: "supported" if share or seed == 2 else "refuted")
    faults = list(find_curve_faults(add_up_curves(results)))
    assert len(faults) == len(TASK) + len(ABOUT["selection"])
    wanted = f"{PREFIX}3.4.id_selection is supported 1 times on planted without its selection"
    assert wanted in faults


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6))
def test_what_is_found_at_a_step_is_found_at_every_larger_one(supported):
    points = [
        {"share": 1 / (i + 1), "supported": n, "seeds": 20, "estimate": None}
        for i, n in enumerate(supported)
    ]
    found = find_smallest(points)
    enough = [n >= FOUND * 20 for n in supported]
    if found is None:
        assert not enough[0]
    else:
        last = points.index(found)
        assert all(enough[: last + 1])
        assert last + 1 == len(points) or not enough[last + 1]
    assert find_smallest(points[::-1]) == found


def test_only_the_claims_that_were_chosen_are_judged():
    claims = [
        Claim(
            id=i,
            statement="It is so.",
            source="s",
            threshold=above(0, unit="u", origin="stated in the paper"),
        )
        for i in ("a.1.first", "a.1.second")
    ]
    items = [SimpleNamespace(function=SimpleNamespace(claim=c)) for c in claims]
    items.append(SimpleNamespace(function=None))
    _Chooser(["a.1.second"]).pytest_collection_modifyitems(items)
    assert [item.function.claim.id for item in items] == ["a.1.second"]


def test_a_table_has_the_estimate_of_each_step_in_bold_where_it_is_found(monkeypatch):
    monkeypatch.setattr(power_tables, "SIZE", Size(stages=("selection",), curves=4))
    results = found_by(lambda seed, share: "supported" if share > 0.02 else "refuted")
    document = power_tables.write_document(add_up_curves(results))
    row = next(line for line in document.splitlines() if "3.4.id_selection" in line)
    assert row == (
        "| 3.4.id_selection | **1 (4/4)** | **0.1 (4/4)** | **0.05 (4/4)** | 0.02 (0/4) | 0 (0/4) | 0.05 | "
        "logits |"
    )


def test_the_committed_tables_have_the_steps_and_claims_of_the_code():
    lines = power_tables.DOCUMENT.read_text().splitlines()
    for stage in STAGES:
        assert f"| claim | {' | '.join(STEPS[stage])} | found from | unit |" in lines
        about = [c for c in ABOUT[stage] if c.startswith(power_tables.SIZE.sections)]
        assert about
        assert all(any(line.startswith(f"| {c} |") for line in lines) for c in about)
