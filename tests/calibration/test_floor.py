"""A model is run against itself in every way that changes nothing of it, and what differs is written down."""

from __future__ import annotations

import json

import pytest
import torch
from cards import card, record
from hypothesis import given
from hypothesis import strategies as st
from scored import first, measured, side

from harness.calibration import floor as room
from harness.calibration.floor import (
    LOGIT_TRIALS,
    Asked,
    describe_difference,
    measure_floor,
    read_logits,
)
from harness.calibration.runs import AS_USUAL, Serving
from harness.cli.floor import choose_claims
from harness.cli.main import main
from harness.judging.claim import Claim, above
from harness.machine.files import write_json
from harness.measuring.batches import limit_rows
from harness.reporting.floor import find_floor_file, load_floor
from harness.subjects.registry import find, read_registry

PLANTED = find("planted", read_registry())
SHARES = {("half batches", 0): 0.85, ("as usual", 1): 0.7, ("bfloat16", 0): 0.5}
"""What the stubbed suite finds where it does not find 0.9."""


def stated(id):
    limit = above(0.4, unit="r", origin="stated in the paper")
    return Claim(id=id, statement="So it is.", source="Nobody 2026", threshold=limit)


@pytest.fixture
def stub(monkeypatch):
    """A suite that judges one claim at once, and logits that never differ; what was asked is listed."""
    asked = []

    def run(subjects, **how):
        asked.append(how)
        share = SHARES.get((how["serving"].name, how["seed"]), 0.9)
        return side(measured(first(share), subject=subjects[0]))

    monkeypatch.setattr(room, "run_side", run)
    monkeypatch.setattr(room, "read_logits", lambda entry, serving: torch.ones(3, 4))
    return asked


def test_a_subject_is_run_with_every_seed_and_every_way_to_serve_it(stub, tmp_path):
    said = []
    found = measure_floor(Asked("planted", repeats=2), tmp_path, tmp_path / "work", said.append)
    runs = [(how["serving"].name, how["seed"]) for how in stub]
    assert runs == [
        ("as usual", 0), ("as usual", 1), ("half batches", 0), ("eager attention", 0)
    ]  # fmt: skip
    [claim] = found["claims"].values()
    assert claim["estimate"] == 0.9
    assert claim["floor"] == pytest.approx(0.05)
    assert claim["spread"] == pytest.approx(0.2 / 2**0.5)
    assert found["logits"].keys() == {"half batches", "eager attention"}
    assert (found["subject"], found["repeats"], found["trials"]) == ("planted", 2, None)
    assert said[1:] == [
        "1 of 5: as usual, seed 0, 1 verdict; about 0 min left",
        "2 of 5: as usual, seed 1, 1 verdict; about 0 min left",
        "3 of 5: half batches, seed 0, 1 verdict; about 0 min left",
        "4 of 5: eager attention, seed 0, 1 verdict; about 0 min left",
        "5 of 5: logits; about 0 min left",
    ]


def test_another_precision_is_told_and_widens_no_margin(stub, tmp_path):
    asked = Asked(str(PLANTED.folder), repeats=1, other_dtype="bfloat16")
    found = measure_floor(asked, tmp_path, tmp_path / "work", lambda line: None)
    [claim] = found["claims"].values()
    assert claim["served"]["bfloat16"]["difference"] == pytest.approx(-0.4)
    assert claim["floor"] == pytest.approx(0.05)
    assert found["noise"] == ["half batches", "eager attention"]
    assert "bfloat16" in found["logits"]


def test_smaller_batches_have_a_store_of_their_own(stub, tmp_path):
    measure_floor(Asked("planted", repeats=1), tmp_path, tmp_path / "work", lambda line: None)
    stores = {how["serving"].name: how["store"] for how in stub}
    assert stores["half batches"] == tmp_path / "work" / "store"
    # Attention is part of a measurement's name, the size of batches is not.
    assert stores["as usual"] == stores["eager attention"] == tmp_path


def test_another_precision_is_tried_on_a_gpu_or_where_it_is_named():
    folder = str(PLANTED.folder)

    def names(**how):
        return [serving.name for serving in Asked(**how).list_servings()]

    usual = ["as usual", "half batches", "eager attention"]
    assert names(subject=folder) == usual
    assert names(subject=folder, gpu=True) == [*usual, "bfloat16"]
    assert names(subject=folder, gpu=True, dtype="bfloat16") == [*usual, "float32"]
    assert names(subject=folder, other_dtype="bfloat16") == [*usual, "bfloat16"]
    assert names(subject="planted", gpu=True) == usual
    for how in ({"dtype": "bfloat16"}, {"other_dtype": "bfloat16"}):
        with pytest.raises(ValueError, match="name its folder .fixtures/controls/planted"):
            names(subject="planted", **how)


def test_a_way_to_serve_is_spelled_as_the_options_of_pytest():
    assert AS_USUAL.spell() == ["--attention", "sdpa"]
    served = Serving("else", attention="eager", dtype="bfloat16", gpu=True)
    assert served.spell() == ["--attention", "eager", "--dtype", "bfloat16", "--gpu"]


@given(st.integers(1, 4), st.integers(2, 5), st.floats(0.1, 3))
def test_a_difference_of_logits_is_described_by_its_sizes(trials, words, moved):
    usual = torch.zeros(trials, words, dtype=torch.float64)
    usual[:, 0] = 1.0
    other = usual.clone()
    other[0, 1] += moved
    found = describe_difference(usual, other)
    assert found["largest"] == pytest.approx(moved)
    assert found["mean"] == pytest.approx(moved / (trials * words))
    assert found["answers"] == (moved > 1)
    same = describe_difference(usual, usual)
    assert (same["largest"], same["mean"], same["answers"]) == (0, 0, 0)


def test_logits_are_read_in_batches_of_the_size_that_was_asked(monkeypatch):
    from harness.tracing import capture

    rows, read = [], capture.read_last_logits

    def note(subject, batch):
        rows.append((len(batch), limit_rows(100), subject.model.config._attn_implementation))
        return read(subject, batch)

    monkeypatch.setattr(capture, "read_last_logits", note)
    whole = read_logits(PLANTED, AS_USUAL)
    halves = read_logits(PLANTED, Serving("halves", divisor=2, attention="eager"))
    half = LOGIT_TRIALS // 2
    assert rows == [(LOGIT_TRIALS, 100, "sdpa"), (half, 50, "eager"), (half, 50, "eager")]
    assert whole.shape == halves.shape
    assert describe_difference(whole, halves)["largest"] < 1e-4


def test_claims_are_chosen_by_section_and_by_their_ids():
    ids = ("paper.3.4.heads", "paper.3.4.sizes", "paper.3.41.heads", "paper.4.2.sizes")
    claims = [stated(id) for id in ids]
    assert choose_claims(claims, [], []) is None
    assert choose_claims(claims, ["3.4"], []) == set(ids[:2])
    assert choose_claims(claims, [], ["sizes"]) == {ids[1], ids[3]}
    assert choose_claims(claims, ["4.2"], ["41"]) == {ids[2], ids[3]}
    with pytest.raises(ValueError, match="no claim is of 5; there are the sections 3.4, 3.41, 4.2"):
        choose_claims(claims, ["5"], [])


def test_the_command_writes_what_the_gate_reads_and_prints_a_table(stub, tmp_path, capsys):
    assert main(["floor", "planted", "--section", "3.4", "--out", str(tmp_path)]) == 0
    found = load_floor(find_floor_file(tmp_path / "scorecard.json"))
    assert found["subject"] == "planted"
    assert all(claim.startswith("visual_symbols.3.4.") for claim in stub[0]["claims"])
    printed = capsys.readouterr().out
    assert (tmp_path / "floor.md").read_text() in printed
    assert "| half batches | 0 of 1 | 0 | 0 | 0 | 0 of 3 |" in printed


@pytest.mark.deep
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--repeats", "0"], "--repeats 0: at least one seed"),
        (["--section", "9.9"], "no claim is of 9.9"),
        (["--dtype", "bfloat16"], "ships with the project and keeps its precision"),
    ],
    ids=["repeats", "section", "dtype"],
)
def test_an_option_that_cannot_be_used_is_refused(stub, tmp_path, capsys, options, said):
    assert main(["floor", "planted", "--out", str(tmp_path), *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.deep
@pytest.mark.parametrize(
    ("subject", "options", "said"),
    [
        ("shortcut", (), "would be the noise floor of shortcut, which is not here"),
        ("planted", ("--seed", "3"), "with another seed (3) than the baseline (7)"),
        ("planted", ("--trials", "24"), "with another trials (24) than the baseline (None)"),
        ("planted", ("--no-gate",), "with another gate (False) than the baseline (True)"),
    ],
)
def test_a_floor_that_cannot_be_the_baselines_is_not_measured(
    stub, tmp_path, capsys, subject, options, said
):
    write_json(tmp_path / "scorecard.json", card(record(subject="planted")).to_json())
    asked = ["floor", subject, "--out", str(tmp_path), "--seed", "7", *options]
    assert main(asked) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert stub == [], "nothing was run"


@pytest.mark.deep
def test_the_floor_of_a_real_control_is_rounding_and_is_read_from_its_folder(tmp_path, capsys):
    options = ["--claim", "3.4.id_selection", "--trials", "24", "--repeats", "2", "--no-gate"]
    where = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    assert main(["floor", "planted", *options, *where]) == 0
    found = json.loads((tmp_path / "out" / "scorecard.floor").read_text())
    [claim] = found["claims"].values()
    assert claim["verdicts"] == {"supported": 2}
    assert claim["spread"] > 1e-3, "other seeds are other scenes"
    assert 0 <= claim["floor"] < 1e-2
    assert all(w["verdict"] == "supported" for w in claim["served"].values())
    assert all(logits["largest"] < 1e-3 for logits in found["logits"].values())
    first_store = sorted((tmp_path / "store").rglob("*.nc"))
    assert main(["floor", "planted", *options, *where]) == 0
    # The same command goes on from what is measured, which here is everything.
    assert sorted((tmp_path / "store").rglob("*.nc")) == first_store
    again = json.loads((tmp_path / "out" / "scorecard.floor").read_text())
    assert again == found
    capsys.readouterr()
