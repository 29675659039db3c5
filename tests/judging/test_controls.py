"""The table of what every claim must say of every control has every cell, once and with a reason."""

from __future__ import annotations

import pytest

from harness.calibration.runs import collect_claims
from harness.judging.controls import read_expected
from harness.judging.verdict import Verdict
from harness.subjects.registry import read_registry

CONTROLS = [n for n, e in read_registry().items() if e.kind == "control"]


@pytest.fixture(scope="module")
def claims():
    return [claim.id for claim in collect_claims()]


def test_every_claim_has_a_cell_for_every_control(claims):
    assert set(read_expected()) == {(claim, control) for claim in claims for control in CONTROLS}


def test_every_claim_holds_where_it_is_planted_and_is_told_from_a_control_that_lacks_it(claims):
    never = set()
    for claim in claims:
        found = {control: read_expected()[claim, control].verdict for control in CONTROLS}
        if Verdict.supported not in found.values():
            never.add(claim)
        # A claim that also holds where nothing is bound would say nothing about binding or the task.
        assert {found["shortcut"], found["unbound"]} != {Verdict.supported}
        assert found["untrained"] is not Verdict.supported
    assert {c for c in never if not c.startswith("reproduction.")} == SHOWN_ONLY_TO_SAY_NO


SHOWN_ONLY_TO_SAY_NO = {
    "visual_symbols.3.3.published_curve",
    *(f"visual_symbols.3.4.same_{stage}_heads" for stage in ("retrieval", "selection", "feature")),
    *(f"visual_symbols.3.4.{stage}_depth" for stage in ("retrieval", "selection", "feature")),
    *(f"visual_symbols.4.2.steer_{stage}" for stage in ("retrieval", "selection", "features")),
    *(
        f"visual_symbols.4.2.steer_{stage}_specific"
        for stage in ("retrieval", "selection", "features")
    ),
    "visual_symbols.4.4.no_relation_suffers",
    "visual_symbols.4.4.wrong_position_pulls",
    "visual_symbols.4.4.wrong_position_over_rivals",
    "visual_symbols.b.repeats_first",
    "visual_symbols.b.repeats_first_exactly",
    "visual_symbols.b.repeats_first_specific",
    "visual_symbols.c.top_heads_needed",
    "visual_symbols.c.more_heads_more_errors",
    "visual_symbols.c.bottom_heads_not_needed",
    "visual_symbols.c.smallest_heads_not_needed",
    "visual_symbols.c.gap",
    "visual_symbols.c.worse_than_random",
    "visual_symbols.c.still_a_number",
}
"""Claims that no control supports: what they would need is planted nowhere yet."""


GROUP = """
[[cells]]
controls = ["planted"]
verdict = "supported"
reason = "it is there"
claims = ["p.1.a", "p.1.b"]
"""


def test_a_group_is_a_cell_for_each_claim_on_each_control(tmp_path):
    path = tmp_path / "table.toml"
    path.write_text(GROUP.replace('["planted"]', '["planted", "moved"]'))
    assert set(read_expected(path)) == {
        (c, n) for c in ("p.1.a", "p.1.b") for n in ("planted", "moved")
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GROUP + GROUP, "p.1.a on planted stands there twice"),
        (GROUP.replace("it is there", " "), "group 1 has no reason"),
        (GROUP.replace("supported", "perhaps"), "group 1: 'perhaps' is not a valid Verdict"),
        (GROUP.replace("verdict =", "verdicts ="), "group 1: unknown key 'verdicts'"),
        (GROUP.replace("reason =", "also = []  #"), "group 1: 'reason'"),
    ],
)
def test_a_faulty_table_is_refused(tmp_path, text, complaint):
    path = tmp_path / "table.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_expected(path)


def test_other_seeds_may_give_the_verdicts_that_the_table_names(tmp_path):
    path = tmp_path / "controls.toml"
    path.write_text(GROUP.replace('claims = ["p', 'also = ["inconclusive"]\nclaims = ["p'))
    assert read_expected(path)["p.1.a", "planted"].also == {Verdict.inconclusive}


def test_a_key_that_no_group_has_is_refused(tmp_path):
    path = tmp_path / "controls.toml"
    path.write_text(GROUP.replace('claims = ["p', 'margin = 0.1\nclaims = ["p'))
    with pytest.raises(ValueError, match="group 1: unknown key 'margin'"):
        read_expected(path)
