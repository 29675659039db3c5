"""False alarms of the gate are counted over models that are the same, and the same command adds to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scored import first, measured, side

from harness.calibration import alarms
from harness.calibration.alarms import (
    CONTROLS,
    LEFT,
    SERVINGS,
    TRIALS,
    Asked,
    choose_claims,
    compare_all,
    list_asked,
    measure_alarms,
    state_claim,
)
from harness.calibration.countdown import Countdown
from harness.calibration.runs import AS_USUAL
from harness.calibration.weakening import CONTROL
from harness.cli.main import main
from harness.judging.claim import Claim, above
from harness.reporting.alarms import WEAKENED, count_power, count_red, list_compared, read_alarms
from harness.subjects.registry import find, read_registry
from harness.subjects.resaved import SAVED
from harness.subjects.truth import STAGES
from harness.subjects.twins import ALL_EXACT, EXACT

CLAIM = Claim(
    id="paper.1.order",
    statement="One thing comes before another.",
    source="A paper, section 1",
    threshold=above(0.4, unit="r", origin="stated in the paper"),
)
SAME = len(SERVINGS) + len(EXACT) + 1 + len(SAVED)
"""Models that are compared with each control."""


class Stub:
    """A suite that judges one claim at once, and finds it lost where a text of `lost` is in the name."""

    def __init__(self, *lost):
        self.lost, self.asked = lost, []

    def __call__(self, subjects, **how):
        [name] = subjects
        self.asked.append((name, how))
        found = measured(first(0.2 if any(x in name for x in self.lost) else 0.9), subject=name)
        return side(found, where=name)


@pytest.fixture
def stub(monkeypatch):
    """A function that puts a stub in place of the suite."""

    def go(*lost):
        made = Stub(*lost)
        monkeypatch.setattr(alarms, "run_side", made)
        monkeypatch.setattr(alarms, "choose_claims", lambda: [CLAIM])
        return made

    return go


def measure(asked, known=None):
    kept, said = [], []
    found = measure_alarms(
        asked, known, keep=lambda c: kept.append(len(c["parts"])), say=said.append
    )
    return found, kept, said


def test_each_control_is_compared_with_all_models_that_are_the_same(stub):
    made = stub()
    found, kept, said = measure(list_asked(2, 0, ["planted"]))
    assert kept == [1, 2]
    assert len(made.asked) == 2 * (1 + SAME)
    same = list_compared(found["parts"])
    # Each with the control, each with the one before it, and the control with the last.
    assert len(same) == 2 * 2 * SAME
    assert count_red(same).red == 0
    names = [name for name, _ in made.asked[: 1 + SAME]]
    assert names[: 1 + len(SERVINGS)] == ["planted"] * (1 + len(SERVINGS))
    assert {f"planted:{how}" for how in (*EXACT, ALL_EXACT)} < set(names)
    assert {Path(name).name for name in names[-len(SAVED) :]} == {f"planted-{how}" for how in SAVED}
    assert {how["trials"] for _, how in made.asked} == {TRIALS}
    assert {how["seed"] for _, how in made.asked} == {1, 2}
    assert sum("green" in line for line in said) == len(same)


def test_each_judged_model_is_counted_with_the_time_that_is_left(stub):
    stub()
    _, _, said = measure(list_asked(1, 1, ["planted"]))
    models = 1 + SAME + 1 + len(STAGES) * len(LEFT)
    assert said[0] == f"{models} models to judge, in 2 parts"
    counted = [line for line in said if "min left" in line]
    assert counted[0] == f"1 of {models}: planted, seed 1; about 0 min left"
    assert counted[1] == f"2 of {models}: planted, seed 1, served halves; about 0 min left"
    assert counted[-1].startswith(f"{models} of {models}: planted, seed 1, weakened features=0;")
    assert len(counted) == models


def test_an_alarm_is_counted_with_the_claim_that_rose_it(stub):
    stub("planted:heads")
    found, _, said = measure(list_asked(1, 0, ["planted"]))
    same = list_compared(found["parts"])
    # As the candidate it lost something twice; as the baseline of the next it lost nothing.
    red = [one for one in same if one["lost"]]
    assert [(one["kind"], one["how"]) for one in red] == [
        ("permuted", "heads"),
        ("between", "heads against eager"),
    ]
    assert {row["claim"] for one in red for row in one["lost"]} == {CLAIM.id}
    assert f"  permuted heads: RED, {CLAIM.id}" in said
    assert sum(one["improved"] for one in same) == 1


def test_power_is_counted_by_stage_and_share(stub):
    stub("selection=0.5", "=0", "selection=0.75")
    found, _, _ = measure(list_asked(0, 1))
    # A name with =0.9 has =0 in it, too.
    power = count_power(found["parts"])
    assert len(power) == len(STAGES) * len(LEFT)
    assert all(rate == (1, 1) for rate in power.values())
    assert list_compared(found["parts"]) == []
    assert {one["kind"] for p in found["parts"] for one in p["compared"]} == {WEAKENED}
    assert [p["trials"] for p in found["parts"]] == [TRIALS]


def test_what_is_known_is_not_measured_again_and_more_is_added(stub):
    made = stub()
    found, _, _ = measure(list_asked(1, 1, ["planted"]))
    before = len(made.asked)
    again, kept, said = measure(list_asked(1, 1, ["planted"]), found)
    assert (again, kept, len(made.asked)) == (found, [], before)
    assert said == ["2 parts known, 0 of them by other code"]
    more, kept, _ = measure(list_asked(2, 1, ["planted"]), found)
    assert kept == [3]
    assert more["parts"][:2] == found["parts"]
    assert more["parts"][2]["seed"] == 2


def test_parts_of_other_code_are_said_and_those_of_other_claims_dropped(stub):
    stub()
    found, _, _ = measure(list_asked(1, 0, ["planted"]))
    older = {**found, "parts": [{**p, "code": "older"} for p in found["parts"]]}
    _, kept, said = measure(list_asked(1, 0, ["planted"]), older)
    assert (kept, said) == ([], ["1 parts known, 1 of them by other code"])
    other = {**found, "claims": {CLAIM.id: {"said": "else", "thresholds": [0.4]}}}
    _, kept, said = measure(list_asked(1, 0, ["planted"]), other)
    assert kept == [1]
    assert said[0].startswith("what is known is of other claims")


def test_a_killed_run_has_kept_what_was_finished(stub, tmp_path, monkeypatch):
    made, out = stub(), tmp_path / "alarms.json"
    options = ["alarms", "--seeds", "2", "--power", "0", "--control", "planted", "--out", str(out)]

    def stop(subjects, **how):
        if how["seed"] == 2:
            raise KeyboardInterrupt
        return made(subjects, **how)

    monkeypatch.setattr(alarms, "run_side", stop)
    assert main(options) == 130
    assert [p["seed"] for p in read_alarms(out)["parts"]] == [1]
    monkeypatch.setattr(alarms, "run_side", made)
    before = len(made.asked)
    assert main(options) == 0
    assert [p["seed"] for p in read_alarms(out)["parts"]] == [1, 2]
    assert len(made.asked) == before + 1 + SAME


@pytest.mark.parametrize(("lost", "status"), [((), 0), (("planted:heads",), 1)], ids=str)
def test_the_command_fails_where_equal_models_are_red(stub, tmp_path, capsys, lost, status):
    stub(*lost)
    options = ["--seeds", "1", "--power", "0", "--control", "planted"]
    assert main(["alarms", *options, "--out", str(tmp_path / "a.json")]) == status
    assert f"red in {2 * status} of {2 * SAME} comparisons" in capsys.readouterr().out


def test_a_control_that_is_not_compared_is_refused(capsys, tmp_path):
    assert main(["alarms", "--control", "unbound", "--out", str(tmp_path / "a.json")]) == 2
    assert "unbound: compared are planted" in capsys.readouterr().err


def test_what_is_compared_exists():
    registry = read_registry()
    assert {find(name, registry).kind for name in CONTROLS} == {"control"}
    assert alarms.WEAKENED_CONTROL == CONTROL
    assert len(set(list_asked(3, 2))) == 3 * len(CONTROLS) + 2
    for stage in STAGES:
        for left in LEFT:
            assert find(f"{CONTROL}:{stage}={left}", registry).weakened == f"{stage}={left}"


def test_the_claims_are_those_of_codes_heads_and_drawn_scenes():
    claims = choose_claims()
    sections = {c.id.split(".", 1)[1].rpartition(".")[0] for c in claims}
    assert sections == {"3.3", "3.4", "4.2"}
    assert len(claims) > 30
    assert all(np.isfinite(state_claim(c)["thresholds"]).all() for c in claims)


FEW = ("visual_symbols.3.4.id_selection", "visual_symbols.4.2.drawn_selection_over_rivals")


@pytest.mark.deep
def test_a_real_control_is_green_against_its_twin_and_red_without_selection(monkeypatch):
    def same(control, folder):
        yield "permuted", ALL_EXACT, f"{control}:{ALL_EXACT}", AS_USUAL
        yield "served", "halves", control, SERVINGS[0]

    monkeypatch.setattr(alarms, "_list_same", same)
    said = []
    found = compare_all(Asked("planted", 1, TRIALS, False), FEW, Countdown(3, said.append))
    assert [one["how"] for one in found] == [
        ALL_EXACT, "halves", f"halves against {ALL_EXACT}", "itself against halves"
    ]  # fmt: skip
    assert all(one["claims"] == one["held"] == len(FEW) for one in found)
    assert not any(one["lost"] for one in found), said
    weaker = [(WEAKENED, "selection=0", "planted:selection=0", AS_USUAL)]
    monkeypatch.setattr(alarms, "_list_weakened", lambda *_: weaker)
    [lost] = compare_all(Asked("planted", 1, TRIALS, True), FEW, Countdown(2, said.append))
    # So few trials leave the other claim inconclusive.
    assert FEW[0] in {row["claim"] for row in lost["lost"]}
