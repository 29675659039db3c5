"""The whole calibration, small: every part runs, goes on where it stopped, and contradicts nothing."""

from __future__ import annotations

import json

import pytest

from harness.calibration import calibrate as room
from harness.calibration.runs import choose_files, collect_claims
from harness.calibration.summary import find_faults
from harness.cli.main import main
from harness.judging.claim import list_asked
from harness.judging.controls import read_expected
from harness.machine.files import ROOT
from harness.reporting.error_rates import read_calibration, render, summarize_error_rates
from harness.runs.conclusion import CALIBRATION


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration")
    lines = []
    content = room.calibrate(room.SHORT, folder, jobs=2, say=lines.append)
    return folder, content, lines


@pytest.mark.deep
def test_a_short_calibration_contradicts_nothing(short):
    _, content, _ = short
    # Cells of the interventions that lie near a threshold, or near the gate, are not settled by 24 trials; what
    # must never hold may not hold with few trials either.
    cells = {(row["claim"], row["control"]) for row in content["table"]}
    near = {f"{c} on {control}" for c, control in cells if not c.startswith("visual_symbols.3.")}
    assert [f for f in find_faults(content) if f.split(":")[0] not in near] == []
    never = [r for r in content["table"] if r["expected"] in ("refuted", "blocked")]
    assert [(r["claim"], r["control"]) for r in never if r["verdict"] == "supported"] == []
    assert cells == {pair for pair in read_expected() if pair[1] in room.SHORT.controls}
    told = {row["verdict"] for row in content["table"] if row["expected"] == "supported"}
    assert "supported" in told
    stated = {
        row["verdict"]
        for row in content["table"]
        if row["expected"] == "supported" and row["claim"].startswith("visual_symbols.3.")
    }
    assert stated <= {"supported", "inconclusive"}
    for stages in content["auroc"].values():
        assert min(stages.values()) >= 0.99
    json.dumps(content, allow_nan=False)


@pytest.mark.deep
def test_the_same_command_goes_on_where_it_stopped(short):
    folder, content, first = short
    lines = []
    again = room.calibrate(room.SHORT, folder, jobs=1, say=lines.append)
    parts = int(first[0].split()[0])
    assert lines == [f"{parts} parts, {parts} of them done before; 1 at a time"]
    assert again["table"] == content["table"]


@pytest.mark.deep
def test_lines_say_what_the_numbers_say(short):
    _, content, _ = short
    text = "\n".join(render(content))
    assert f"false passes, untrained subjects: 0 of {content['false_pass']['n']} decided" in text
    assert "AUROC id_retrieval 1.000" in text


def test_a_short_calibration_does_not_replace_the_published_one(capsys):
    assert main(["calibrate", "--short"]) == 2
    assert "--out" in capsys.readouterr().err


def test_the_committed_calibration_is_right_and_says_if_claims_have_changed_since():
    content = read_calibration(CALIBRATION)
    assert content is not None
    cells = {(r["claim"], r["control"]): r["expected"] for r in content["table"]}
    if content["claims"] == list_asked(collect_claims()):
        assert find_faults(content) == []
        assert cells == {pair: str(cell.verdict) for pair, cell in read_expected().items()}
    else:
        # Of other claims: every scorecard then says of how many, and the cells must at least be known ones.
        assert cells.keys() <= read_expected().keys()
    assert content["false_pass"]["subjects"] >= 100
    assert content["false_pass"]["upper"] <= 0.03


def test_a_missing_calibration_is_mentioned(tmp_path):
    assert read_calibration(tmp_path / "none.json") is None
    (tmp_path / "broken.json").write_text("{")
    assert read_calibration(tmp_path / "broken.json") is None
    assert summarize_error_rates(None, None).startswith("Not calibrated")


def test_over_a_rotation_every_file_is_asked_and_section_3_always():
    files = {str(p.relative_to(ROOT)) for p in (ROOT / "claims").rglob("test_*.py")}
    parts = [choose_files(seed, 3) for seed in (4, 5, 6)]
    assert set().union(*parts) == files
    core = set.intersection(*map(set, parts))
    assert core == {f for f in files if "/test_3_" in f}
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert set(choose_files(1, 1)) == files
