"""Power at the published effects, and that trials by default give it to subjects of the paper's size."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from harness.calibration.effects import EFFECTS, LOST, draw_gain, draw_judged
from harness.calibration.power import (
    UNREACHED,
    GpuSeconds,
    list_cells,
    make_rows,
    read_gpu_seconds,
)
from harness.calibration.runs import collect_claims
from harness.cli.main import main
from harness.experiments.catalogue import EXPERIMENTS
from harness.machine.files import ROOT
from harness.statistics.estimate import proportion
from harness.statistics.power import WANTED

PUBLISHED = {
    "qwen2-vl-7b",
    "qwen2.5-vl-3b",
    "qwen2.5-vl-7b",
    "qwen2.5-vl-32b",
    "llava-1.5-7b",
    "llava-1.5-13b",
    "llava-onevision-7b",
}


SMALLEST = {
    "similarity": ("features_at_last", "llava-1.5-7b"),
    "mediation": ("3.4.retrieval_size", "qwen2.5-vl-32b"),
    "blocks": ("relative_over_absolute", "qwen2-vl-7b"),
    "transplant": ("transplant_relative", "llava-1.5-13b"),
    "steering": ("4.2.steer_features", "qwen2.5-vl-32b"),
    "keys": ("4.3.keys", "llava-1.5-7b"),
    "reuse": ("4.4.reuse", "llava-1.5-13b"),
    "entropy": ("less_than_half_is_left", "qwen2-vl-7b"),
    "listing": ("repeats_first", "llava-1.5-7b"),
    "counting": ("bottom_heads_not_needed", "qwen2.5-vl-32b"),
    "repair": ("d.repair", "qwen2.5-vl-3b"),
}
"""Of each experiment the claim and subject that need most trials of those that reach their power by default."""


@pytest.fixture(scope="module")
def claims():
    return collect_claims()


@pytest.fixture(scope="module")
def cells(claims):
    return list_cells(claims)


@pytest.fixture(scope="module")
def find(claims):
    """Find the one cell of a part of a claim's id and a subject."""

    def find_one(claim, subject):
        (cell,) = list_cells(claims, only=[claim], subjects=[subject])
        return cell

    return find_one


def test_every_claim_with_a_published_value_has_a_row_for_each_model(claims, cells):
    listed = {(c.claim.id, c.entry.name) for c in cells}
    for claim in claims:
        assert listed >= {(claim.id, s) for s in claim.published if s in PUBLISHED}
    assert {subject for _, subject in listed} >= PUBLISHED
    assert {c.id for c in claims if c.published} == set(EFFECTS)
    assert {c.experiment.name for c in cells} == set(SMALLEST)


def test_an_effect_is_measured_by_the_experiment_that_its_claim_asks_for():
    for path in (ROOT / "claims" / "visual_symbols").glob("test_*.py"):
        for part in path.read_text().split("@claim(")[1:]:
            claim = part.partition('id="')[2].partition('"')[0]
            if claim in EFFECTS:
                asked = part.partition("\ndef test_")[2].partition("(")[2].partition(",")[0]
                assert EFFECTS[claim].experiment == asked, claim


def test_the_power_of_a_share_is_the_exact_binomial_one(find):
    cell = find("repeats_first", "llava-1.5-7b")
    n = len(cell.effect.draw_judged(240).items)
    assert n == 60
    found = [
        k
        for k in range(n + 1)
        if proportion([1] * k + [0] * (n - k), range(n)).interval(0.95)[0] > cell.threshold
    ]
    wanted = binom.pmf(found, n, cell.published).sum()
    assert cell.compute_power(240) == pytest.approx(wanted)


def test_a_simulated_share_has_nearly_the_power_of_independent_trials(find):
    """Transplants show hardly any scene twice, so simulation and binomial sum must agree."""
    cell = find("transplant_relative", "llava-1.5-13b")
    judged = cell.effect.draw_judged(180)
    n = len(judged.items)
    assert len(np.unique(judged.scenes)) > 0.95 * n
    needed = min(
        k
        for k in range(n + 1)
        if proportion([1] * k + [0] * (n - k), range(n)).interval(0.95)[0] > cell.threshold
    )
    exact = binom.sf(needed - 1, n, cell.published)
    assert cell.compute_power(180) == pytest.approx(exact, abs=0.08)


@pytest.mark.parametrize(
    ("claim", "subject", "trials", "low", "high"),
    [
        ("4.5.accuracy_falls", "qwen2.5-vl-32b", 160, 0.05, 0.15),
        ("4.1.transplant_relative", "llava-1.5-13b", 180, 0.38, 0.50),
        ("4.2.steer_features", "qwen2.5-vl-32b", 200, 0.50, 0.62),
        ("3.4.id_retrieval", "qwen2.5-vl-32b", 50, 0.85, 1.0),
        ("d.repair", "llava-1.5-7b", 144, 0.03, 0.12),
    ],
)
def test_the_trials_of_embedded_subjects_were_too_few_for_published_ones(
    find, claim, subject, trials, low, high
):
    cell = find(claim, subject)
    assert low <= cell.compute_power(trials) <= high


@pytest.mark.parametrize(("claim", "subject"), SMALLEST.values())
def test_the_smallest_effect_of_an_experiment_has_the_wanted_power(find, claim, subject):
    cell = find(claim, subject)
    assert (cell.claim.id, cell.entry.name) not in UNREACHED
    assert cell.compute_power(cell.trials) >= WANTED


@pytest.mark.deep
def test_every_published_effect_has_the_wanted_power_or_a_reason_why_not(cells):
    """Where this fails, `claims power` says what to type into the catalogue; UNREACHED holds the reasons."""
    wrong = {}
    for cell in cells:
        name, found = (cell.claim.id, cell.entry.name), cell.compute_power(cell.trials)
        if (found >= WANTED) == (name in UNREACHED or cell.within):
            wrong[name] = found
    assert wrong == {}


def test_what_is_listed_as_not_reached_is_a_published_effect(cells):
    assert set(UNREACHED) <= {(c.claim.id, c.entry.name) for c in cells}


@pytest.mark.parametrize(("claim", "subject"), SMALLEST.values())
def test_more_trials_find_more(find, claim, subject):
    cell = find(claim, subject)
    powers = [cell.compute_power(n) for n in (60, 240, 960)]
    assert powers[0] <= powers[1] + 0.05 <= powers[2] + 0.1
    assert powers[2] > 0.5 or cell.experiment.name == "repair"


def test_a_value_within_its_threshold_is_never_found_and_says_so(find):
    (row,) = make_rows([find("4.4.reuse", "qwen2-vl-7b")])
    assert row.power < 0.05
    assert row.needed is None
    assert row.note == "the published value is not above the threshold: it cannot be supported"


def test_a_simulated_gain_is_the_published_one_and_loses_some_right_answers():
    judged, rng = draw_judged("repair", 10_000), np.random.default_rng(0)
    found = draw_gain(0.1, 0.6, judged, rng)
    assert found.value == pytest.approx(0.1, abs=0.02)
    lost = (found.evidence.values < 0).mean()
    assert lost == pytest.approx(LOST * 0.6, abs=0.01)


def test_the_same_prompt_on_the_same_image_is_answered_alike():
    judged, rng = draw_judged("keys", 2000), np.random.default_rng(0)
    answers = judged.answer(0.5, rng)
    assert len(np.unique(judged.items)) < len(judged.items)
    for item in np.unique(judged.items):
        assert len(set(answers[judged.items == item])) == 1


def test_of_every_published_claim_it_is_known_which_trials_judge(cells):
    for cell in cells:
        judged = cell.effect.draw_judged(100)
        assert len(judged.items) == len(judged.scenes) > 0
    with pytest.raises(LookupError, match="'juggling'"):
        draw_judged("juggling", 100)


def test_a_filter_that_chooses_nothing_is_refused_with_what_there_is(claims):
    with pytest.raises(ValueError, match="no claim with published values has 'nothing'"):
        list_cells(claims, only=["nothing"])
    with pytest.raises(
        ValueError, match="publishes no value of 'tiny-llava'; it does of: qwen2-vl"
    ):
        list_cells(claims, subjects=["tiny-llava"])


def test_seconds_lie_on_the_line_through_what_was_measured_and_grow_with_parameters(find):
    known = GpuSeconds(
        "a model", "a GPU", 8.0, {"keys": [(50, 10.0), (150, 20.0)], "one": [(32, 16)]}
    )
    entry = find("4.3.keys", "qwen2-vl-7b").entry
    small, large = (replace(entry, parameters=p) for p in (8.0, 32.0))
    assert known.estimate("keys", small, 250) == pytest.approx(30)
    assert known.estimate("keys", large, 250) == pytest.approx(120)
    assert known.estimate("one", small, 64) == pytest.approx(32)
    assert known.estimate("unknown", small, 64) is None
    assert known.estimate("keys", replace(entry, parameters=0.0), 64) is None


def test_measured_seconds_are_of_experiments_that_exist():
    assert set(read_gpu_seconds().points) <= {e.name for e in EXPERIMENTS}


def test_the_command_prints_a_row_for_each_model_and_writes_the_same(capsys, tmp_path):
    file = tmp_path / "power.json"
    assert main(["power", "--claim", "b.repeats_first", "--json", str(file)]) == 0
    out = capsys.readouterr().out
    written = json.loads(file.read_text())
    assert len(written["rows"]) == 5
    for row in written["rows"]:
        (line,) = [x for x in out.splitlines() if x.split()[:1] == [row["subject"]]]
        assert f"{row['published']:.3f}" in line
        assert f"{row['power']:.2f}" in line
    assert "turns 5% of the right ones wrong" in " ".join(out.split())


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_computed(capsys, tmp_path):
    below_a_file = tmp_path / "file" / "power.json"
    (tmp_path / "file").write_text("")
    for file in (tmp_path, below_a_file):
        assert main(["power", "--json", str(file)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith(f"claims power: {file} cannot be written: ")
        assert told.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_without_published_values_is_an_error_of_one_line(capsys):
    assert main(["power", "--subject", "tiny-llava"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("claims power: the paper publishes no value of 'tiny-llava'")
    assert err.count("\n") == 1


def test_no_transplant_is_asked_to_move_more_answers_than_published_ones_can(claims):
    by_id = {c.id: c for c in claims}
    share, moves = (by_id[f"visual_symbols.4.1.transplant_{n}"] for n in ("relative", "moves"))
    # Of two objects either can follow without a transplant: half of the answers are its own.
    assert all(moves.threshold.for_subject(n) < s - 0.5 for n, s in share.published.items())
