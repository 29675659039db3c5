"""scorecard.xml is well-formed whatever a reason holds, and says what a build server needs."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from cards import CLAIM, card, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from junit2htmlreport.parser import Junit
from junit_schemas import find_faults_for_ant, find_faults_for_jenkins
from junitparser import JUnitXml, Properties

from harness.reporting import junit
from harness.reporting.wording import plain

CONTRACT = [
    *("claim", "statement", "source", "subject", "family", "verdict", "estimate", "ci_low"),
    *("ci_high", "unit", "threshold", "direction", "n", "clusters", "seed", "published"),
    *("baseline", "reason", "measurement", "seconds"),
]


def written(scorecard, folder) -> ET.Element:
    junit.write(scorecard, folder / "scorecard.xml")
    return ET.parse(folder / "scorecard.xml").getroot()


def properties(element) -> dict[str, str]:
    return {p.get("name"): p.get("value") for p in element.find("properties")}


def test_a_case_has_the_properties_of_the_contract_in_order(tmp_path):
    case = written(card(record(seconds=1.25, published=0.61)), tmp_path).find(".//testcase")
    assert (case.get("classname"), case.get("name"), case.get("time")) == ("tiny", CLAIM, "1.250")
    found = properties(case)
    assert list(found)[: len(CONTRACT)] == CONTRACT
    assert found["estimate"] == "0.6"
    assert found["published"] == "0.61"
    assert found["baseline"] == ""
    assert found["p_adjusted"] == "0.001"


@pytest.mark.parametrize(
    ("verdict", "baseline", "kind", "said"),
    [
        ("supported", None, None, ""),
        ("supported", "refuted", None, ""),
        ("refuted", None, "failure", "refuted: because"),
        ("refuted", "supported", "failure", "(baseline: supported)"),
        ("refuted", "refuted", "skipped", "as in the baseline"),
        ("inconclusive", None, "failure", "inconclusive: because"),
        ("inconclusive", "inconclusive", "skipped", "as in the baseline"),
        ("inconclusive", "refuted", "skipped", "no better in the baseline"),
        ("blocked", None, "skipped", "blocked: because"),
        ("not_applicable", None, "skipped", "n/a: because"),
        ("not_applicable", "supported", "failure", "(baseline: supported)"),
        ("error", "error", "error", "because"),
    ],
)
def test_the_baseline_decides_the_outcome_of_a_verdict(tmp_path, verdict, baseline, kind, said):
    root = written(card(record(verdict=verdict, baseline=baseline)), tmp_path)
    results = [child for child in root.find(".//testcase") if child.tag != "properties"]
    assert [r.tag for r in results] == ([kind] if kind else [])
    if kind:
        assert said in results[0].get("message")
        assert results[0].get("type") == verdict
    suite = root.find("testsuite")
    counted = {"failure": suite.get("failures"), "error": suite.get("errors")}
    counted["skipped"] = suite.get("skipped")
    assert counted == {k: str(int(k == kind)) for k in counted}


def test_a_missing_verdict_is_an_error(tmp_path):
    root = written(card(record(), missing=[("paper.1.lost", "tiny")]), tmp_path)
    suite = root.find("testsuite")
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")
    lost = suite.findall("testcase")[1]
    assert lost.get("name") == "paper.1.lost"
    assert "no verdict" in lost.find("error").get("message")


def test_run_facts_are_properties_of_the_suite(tmp_path):
    found = properties(written(card(record()), tmp_path).find("testsuite"))
    assert found["claims_hash"] == "0f" * 32
    assert found["torch"] == ""
    assert "Benjamini-Hochberg" in found["correction"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(st.characters(), max_size=80))
def test_any_text_gives_xml_that_parses_to_its_plain_form(tmp_path, text):
    reason = f"x{text}"
    root = written(card(record(verdict="refuted", subject=reason, reason=reason)), tmp_path)
    case = root.find(".//testcase")
    assert properties(case)["reason"] == plain(reason)
    assert case.get("classname") == plain(reason)
    assert case.find("failure").text.endswith(plain(reason))


@pytest.mark.parametrize(
    "character", ["\x00", "\x1b", "\x7f", "\x9b", "\ud800", "\ufffe", "\u202e"]
)
def test_characters_that_damage_xml_or_a_terminal_are_removed(tmp_path, character):
    root = written(card(record(verdict="refuted", reason=f'a{character}<b>&"')), tmp_path)
    assert properties(root.find(".//testcase"))["reason"] == 'a<b>&"'


def test_a_partial_run_says_so_in_the_output_of_the_suite(tmp_path):
    root = written(card(record(), partial=True, partial_because="3 claims <left> out"), tmp_path)
    assert root.find("testsuite/system-out").text == "PARTIAL RUN (3 claims <left> out)"
    assert properties(root.find("testsuite"))["partial_because"] == "3 claims <left> out"
    assert written(card(record()), tmp_path).find("testsuite/system-out").text is None


VERDICTS = ("supported", "refuted", "inconclusive", "blocked", "not_applicable", "error")


@pytest.mark.parametrize("partial", [False, True])
def test_the_flavour_of_jenkins_is_valid_by_both_schemas(tmp_path, partial):
    records = [record(claim=f"paper.1.{v}", verdict=v) for v in VERDICTS]
    made = card(*records, missing=[("paper.1.lost", "tiny")], partial=partial)
    junit.write(made, tmp_path / "x.xml", "jenkins")
    root = ET.parse(tmp_path / "x.xml").getroot()
    assert find_faults_for_jenkins(root) == []
    assert find_faults_for_ant(root) == []
    # What was measured is not lost.
    told = properties(root.find("testsuite"))["tiny paper.1.supported"]
    assert told.startswith("supported: 0.6 [0.5, 0.7]"), told


def test_in_all_but_the_properties_of_cases_the_other_flavour_is_valid_too(tmp_path):
    root = written(card(*(record(claim=f"paper.1.{v}", verdict=v) for v in VERDICTS)), tmp_path)
    assert find_faults_for_jenkins(root) == ["properties in testcase"] * len(VERDICTS)
    for case in root.iter("testcase"):
        case.remove(case.find("properties"))
    assert find_faults_for_jenkins(root) == find_faults_for_ant(root) == []


def test_a_run_that_has_not_finished_is_valid_by_both_schemas(tmp_path):
    junit.write_unfinished("not finished", "2026-01-02T03:04:05+02:00", tmp_path / "x.xml")
    root = ET.parse(tmp_path / "x.xml").getroot()
    assert find_faults_for_jenkins(root) == find_faults_for_ant(root) == []
    assert root.find("testsuite").get("timestamp") == "2026-01-02T01:04:05", "in UTC"


def test_what_gitlab_shows_of_a_case_is_its_subject_claim_and_what_was_found(tmp_path):
    """GitLab takes classname, name and time, and the text of a failure; cases of one name would be dropped."""
    records = [record(subject=s, verdict="refuted") for s in ("tiny", "other")]
    cases = written(card(*records), tmp_path).findall(".//testcase")
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == 2
    assert all("measured: 0.2" in case.find("failure").text for case in cases)


def test_a_run_that_has_not_finished_is_one_error(tmp_path):
    junit.write_unfinished(
        "not finished\x1b: `a < b`", "2026-01-02T03:04:05+00:00", tmp_path / "x.xml"
    )
    suite = ET.parse(tmp_path / "x.xml").getroot().find("testsuite")
    assert [suite.get(k) for k in ("tests", "failures", "errors", "skipped")] == [
        "1",
        "0",
        "1",
        "0",
    ]
    [case] = suite.iter("testcase")
    assert case.find("error").get("message") == "not finished: `a < b`"


FIGURE = "out/figures/similarity--tiny.svg"


@pytest.fixture
def attached(tmp_path):
    """A function that writes a failed and a supported claim, both with a figure, and returns the file."""

    def go(flavour):
        made = card(record("p.1.a", verdict="refuted"), record("p.1.b"), partial=True)
        figures = {("p.1.a", "tiny"): [FIGURE], ("p.1.b", "tiny"): ["out/figures/other.svg"]}
        junit.write(made, tmp_path / "x.xml", flavour, figures)
        return tmp_path / "x.xml"

    return go


def test_a_failure_names_its_figures_where_gitlab_looks(attached):
    failed, passed = ET.parse(attached("pytest")).getroot().iter("testcase")
    assert failed.find("system-out").text == f"[[ATTACHMENT|{FIGURE}]]"
    assert passed.find("system-out") is None


def test_figures_leave_the_other_flavour_valid_by_both_schemas(attached):
    root = ET.parse(attached("jenkins")).getroot()
    assert find_faults_for_jenkins(root) == find_faults_for_ant(root) == []
    said = root.find("testsuite/system-out").text
    assert said == f"PARTIAL RUN (it was interrupted)\n[[ATTACHMENT|{FIGURE}]]"


@pytest.mark.parametrize("flavour", junit.FLAVOURS)
def test_two_readers_of_junit_find_every_verdict(attached, flavour):
    path = attached(flavour)
    [suite] = JUnitXml.fromfile(str(path))
    assert (suite.tests, suite.failures, suite.errors) == (2, 1, 0)
    results = {case.name: [type(r).__name__ for r in case.result] for case in suite}
    assert results == {"p.1.a": ["Failure"], "p.1.b": []}
    if flavour == "pytest":
        [failed, _] = suite
        told = {p.name: p.value for p in failed.child(Properties)}
        assert told["verdict"] == "refuted"
    page = Junit(str(path)).html()
    assert "p.1.a" in page
    assert "because it is refuted" in page
