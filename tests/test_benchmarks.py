"""Every benchmark can be imported; that of mediation runs, and its file holds what it promises."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPT = FOLDER / "mediation.py"
NAMES = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem not in ("conftest", "test_mediation"))


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_can_be_imported(name, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    assert importlib.import_module(name).__doc__


def test_every_function_whose_time_is_counted_exists(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    for places in importlib.import_module("costs").PHASES.values():
        assert all(callable(getattr(owner, name)) for owner, name in places)


@pytest.mark.deep
def test_all_ways_agree_and_the_file_says_what_they_took(tmp_path):
    few = ["--trials", "2", "--sample", "1", "--repeats", "1"]
    out = tmp_path / "made" / "out.json"
    command = [sys.executable, str(SCRIPT), "--subject", "tiny-qwen2-vl", *few, "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert 0 < found["max_difference"] <= 1e-5
    seconds = found["seconds"]
    assert found["ratio_nnsight"] == seconds["nnsight"] / seconds["replay"]
    assert found["ratio_hooks"] == seconds["hooks"] / seconds["replay"]
    assert 0 < found["share_of_ceiling"] < 1
    # 64 heads and two unpatched runs, 8 layers, 3 conditions, 2 trials, of some 76 tokens.
    assert found["token_layers"]["naive"] % (66 * 8) == 0
    assert 66 * 8 * 6 * 70 < found["token_layers"]["naive"] < 66 * 8 * 6 * 80
    assert 20 * found["token_layers"]["replay"] < found["token_layers"]["naive"]
    assert (found["heads_timed"], found["heads"]) == (8, 64)


def test_operations_from_shapes_are_those_that_torch_counts(monkeypatch, checkpoints):
    """Where torch can count them: without grouped keys, and with attention in single products."""
    import torch
    from families import loaded
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from harness.experiments.patching import score_heads
    from harness.stimuli.contrast import draw_contrasts
    from harness.stimuli.design import HIGH_ENTROPY

    monkeypatch.syspath_prepend(str(FOLDER))
    counted = importlib.import_module("flops").counted
    subject = loaded(checkpoints["tiny-llava"])
    assert subject.key_heads == subject.heads
    rng = np.random.default_rng(0)
    pairs = draw_contrasts("id_retrieval", subject.grids[2], HIGH_ENTROPY[3], 2, rng)
    own = []
    for count in (1, 2):
        subject._images.clear()
        with counted(subject) as work, sdpa_kernel(SDPBackend.MATH):
            for _ in range(count):
                score_heads(subject, pairs)
        own.append(work)
    subject._images.clear()
    with FlopCounterMode(display=False) as theirs, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        score_heads(subject, pairs)
    # torch also counts the few logits that are read, which is all that shapes of layers leave out.
    assert own[0].done == pytest.approx(theirs.get_total_flops(), rel=0.01)
    # A second time everything is done again but the images; only what is edited is needed again.
    assert own[0].needed < own[0].done < own[1].done < 2 * own[0].done
    assert own[1].needed - own[0].needed < 0.5 * own[0].needed
    # Every head of the 8 layers at one or two tokens each, and both sides of both contrasts.
    assert own[0].token_layers < 8 * (4 * 80 + 2 * 64 * 8)


def test_what_must_be_done_for_one_edit_follows_from_the_layers_after_it(monkeypatch, checkpoints):
    import torch
    from families import loaded

    from harness.tracing.edit import Edit

    monkeypatch.syspath_prepend(str(FOLDER))
    flops = importlib.import_module("flops")
    subject = loaded(checkpoints["tiny-llava"])
    batch = OneTrial()
    at = torch.tensor([9])
    layer = sum(
        p.numel() for p in subject.model.model.language_model.layers[0].parameters() if p.ndim > 1
    )
    square = subject.model.config.text_config.hidden_size**2

    def count(kind, at_layer, tokens):
        needed = flops.Needed(subject, flops.Count())
        needed._add_variant(batch, [Edit(kind, at_layer, torch.tensor([tokens]), 0.0)], at)
        return needed.count.needed

    scores = 4 * subject.heads * subject.head_width * 10
    # The last layer's heads at the token that is read: o_proj and MLP of one token. Elsewhere: nothing.
    assert count("head", 7, [9]) == 2 * (layer - 3 * square)
    assert count("head", 7, [8]) == 0
    # One layer earlier: the whole last layer of one token as well.
    assert count("head", 6, [9]) == 2 * (layer - 3 * square) + 2 * layer + scores
    # The token before: its keys and values in the last layer, and that layer for the token that is read.
    assert count("head", 6, [8]) == 2 * (layer - 3 * square) + 2 * layer + 4 * square + scores
    assert count("key", 7, [9]) == 2 * layer + scores
    assert count("residual", 7, [9]) == 0


class OneTrial:
    """As much of a batch as is asked for how long it is."""

    trials = ("one",)
    last = 9

    def __len__(self):
        return 1


LINES = [
    "118 claims on tiny-llava",
    "  [  0/118] loaded tiny-llava: 8 layers, 8 heads, float32, cpu; hooks checked",
    "  [  0/118, 60 s left] measured behaviour on tiny-llava: 96 trials in 2.5 s",
    "  [ 10/118, 40 s left] gw1: measured keys on tiny-llava: 160 trials in 6.0 s",
    "4 failed, 100 passed, 2 skipped in 29.50s",
    "24 supported",
]


def test_where_the_time_of_a_run_went_is_read_off_its_lines(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    read = importlib.import_module("scorecard").read_lines
    found = read(LINES, 32.0)
    assert found["experiments"] == {"behaviour": 2.5, "keys": 6.0}
    assert list(found["phases"].values()) == [2.5, 8.5, 21.0]
    assert read(["===== 3 passed in 61.02s (0:01:01) ====="], 70.0)["phases"] == {
        "imports, start and end of the process": pytest.approx(8.98),
        "loading and measuring": 0,
        "collection, judging, scorecard and figures": 61.02,
    }
    assert sum(read([], 3.0)["phases"].values()) == 3.0


@pytest.mark.deep
def test_the_ledger_has_a_row_for_each_experiment_and_says_what_failed(tmp_path):
    out = tmp_path / "ledger.md"
    few = ["--trials", "24", "--experiment", "behaviour", "--experiment", "counting"]
    command = [sys.executable, str(FOLDER / "ledger.py"), "--subject", "planted", *few]
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.with_suffix(".json").read_text())
    # What counting builds on is measured before it.
    assert {"behaviour", "counting", "mediation"} <= set(found["experiments"])
    for row in found["experiments"].values():
        assert 0 < row["needed"] <= row["done"] * 1.01
        assert 0 < row["share"] < 1


@pytest.mark.deep
def test_an_unknown_subject_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--subject", "nobody"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "unknown subject 'nobody'" in done.stderr


def test_seconds_of_a_gpu_are_written_as_they_are_read(monkeypatch, tmp_path):
    from harness.calibration import power

    monkeypatch.syspath_prepend(str(FOLDER))
    written = importlib.import_module("gpu_seconds").write_toml(
        {
            "subject": "a model",
            "parameters": 8.29,
            "machine": {"device": "a GPU", "dtype": "float32", "torch": "2", "date": "2026-11-26"},
            "experiments": {"keys": [{"trials": 48, "seconds": 1.5}]},
        }
    )
    monkeypatch.setattr(power, "SECONDS", tmp_path / "gpu_seconds.toml")
    power.SECONDS.write_text(written)
    found = power.read_gpu_seconds.__wrapped__()
    assert (found.subject, found.parameters) == ("a model", 8.29)
    assert found.points == {"keys": [(48, 1.5)]}


def test_the_second_measurement_fits_into_the_limit_and_has_more_trials_or_is_none(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    choose = importlib.import_module("gpu_seconds").choose_trials
    assert choose(48, 2.0, 160, 25.0) == 160
    assert choose(48, 10.0, 160, 25.0) == 120
    assert choose(48, 20.0, 160, 25.0) is None
    assert choose(48, 1.0, 50, 25.0) is None


@pytest.mark.deep
def test_every_experiment_is_timed_with_random_weights(tmp_path):
    out = tmp_path / "seconds.json"
    script = [sys.executable, str(FOLDER / "gpu_seconds.py"), "--tiny", "--limit", "0.1"]
    names = ["--experiment", "keys", "--experiment", "repair", "--experiment", "listing"]
    done = subprocess.run([*script, *names, "--json", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert set(found["experiments"]) == {"mediation", "keys", "repair", "listing"}
    assert all(p["seconds"] > 0 for points in found["experiments"].values() for p in points)
