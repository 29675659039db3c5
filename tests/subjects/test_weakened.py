"""A stage of a control is turned down where its truth says that it is, and nowhere else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.runs.options import Options
from harness.runs.run import Run
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.subjects.contents import take_fingerprint
from harness.subjects.loading import load
from harness.subjects.registry import UnknownSubject, find, read_registry
from harness.subjects.truth import STAGES, find_heads, read_known_heads
from harness.subjects.weakened import weaken
from harness.tracing.capture import read_last_logits
from harness.tracing.selfcheck import selfcheck
from harness.training.architectures import Untrained
from harness.training.taught.truth import measure_stages

REGISTRY = read_registry()
PLANTED = REGISTRY["planted"]
HEADS = read_known_heads(PLANTED.folder)
SHARES = (1.0, 0.5, 0.1, 0.05, 0.0)


@pytest.fixture(scope="module")
def planted():
    return load(PLANTED)


def weights(subject):
    return subject.model.state_dict()


@pytest.mark.parametrize("stage", STAGES)
def test_with_a_share_of_one_the_weights_are_the_same(planted, stage):
    whole = load(find(f"planted:{stage}=1", REGISTRY))
    for key, value in weights(planted).items():
        assert torch.equal(value, weights(whole)[key]), key


@settings(max_examples=10, deadline=None)
@given(
    heads=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=4),
    share=st.floats(0, 1, width=32),
)
def test_only_what_the_heads_write_is_multiplied(planted, heads, share):
    before = {key: value.clone() for key, value in weights(planted).items()}
    made, width = weights(weaken(planted, heads, share)), planted.head_width
    for key, value in before.items():
        expected = value.clone()
        for layer, head in heads:
            if key.endswith(f"layers.{layer}.self_attn.o_proj.weight") and "vision" not in key:
                expected[:, head * width : (head + 1) * width] *= share
        assert torch.equal(made[key], expected), key
        assert torch.equal(weights(planted)[key], value), "the given subject stays as it is"


@pytest.mark.parametrize("name", ["taught-spread", "planted-elsewhere"])
def test_what_is_named_is_what_is_loaded(name):
    entry = find(f"{name}:selection=0.25", REGISTRY)
    named, whole = load(entry), load(REGISTRY[name])
    made = weaken(whole, find_heads(entry.folder, "selection"), 0.25)
    for key, value in weights(named).items():
        assert torch.equal(value, weights(made)[key]), key
    assert any(not torch.equal(value, weights(whole)[key]) for key, value in weights(named).items())
    selfcheck(named)


@pytest.mark.deep
@pytest.mark.parametrize("stage", STAGES)
def test_with_nothing_left_the_truths_own_check_finds_no_stage(planted, stage):
    """Patched heads that give nothing change no answer, by hooks that know nothing of the suite."""
    code = STAGES[stage]
    gone = weaken(planted, HEADS[code], 0)
    check = {
        share: measure_stages(Untrained(s.model, s.tokenizer, s.image_processor), HEADS, trials=30)[
            code
        ]
        for share, s in ((1, planted), (0, gone))
    }
    assert check[1]["follow"] > 0.9
    assert check[1]["right_without"] < check[1]["clean_right"]
    # What follows a patch is what was said before, of whichever heads it is, and so is what is right.
    assert {check[0]["follow"]} == set(check[0]["follow_alone"])
    assert check[0]["right_without"] == check[0]["clean_right"] < check[1]["clean_right"]


def test_a_stage_that_is_turned_down_leaves_the_heads_of_the_others_known():
    assert list(HEADS) == list(CONDITIONS) == list(STAGES.values())


def measure_lead(subject):
    """By how many logits the right color leads the best other color of the scene, on average."""
    trials = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[3], 48, np.random.default_rng(3))
    logits, leads = read_last_logits(subject, subject.encode(trials)), []
    for trial, row in zip(trials, logits, strict=True):
        wrong = [o.color for o in trial.scene.objects if o.color != trial.answer]
        others = row[[subject.answer_id(trial.prompt, color) for color in wrong]]
        leads.append(float(row[subject.answer_id(trial.prompt, trial.answer)] - others.max()))
    return float(np.mean(leads))


@pytest.mark.parametrize("stage", STAGES)
def test_the_less_is_left_of_a_stage_the_less_the_right_answer_leads(planted, stage):
    leads = [measure_lead(weaken(planted, HEADS[STAGES[stage]], share)) for share in SHARES]
    assert all(more > less for more, less in pairwise(leads)), leads
    assert leads[0] > 5
    assert leads[-1] < 0


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("shortcut:selection=0.5", "shortcut: selection cannot be weakened.*only of: features"),
        ("unbound:features=0", "unbound: features cannot be weakened.*controls that have one"),
        ("untrained:retrieval=0.1", "untrained: retrieval cannot be weakened.*written down"),
        ("tiny-llava:features=0.5", "tiny-llava: features cannot be weakened"),
        ("qwen2-vl-7b:features=0.5", "qwen2-vl-7b: features cannot be weakened"),
    ],
)
def test_a_stage_whose_heads_nobody_knows_is_refused(name, told):
    with pytest.raises(UnknownSubject, match=told):
        find(name, REGISTRY)


@pytest.mark.parametrize("share", ["0.50", "1.0", "1.5", "-1", ".5", "0.", "nan", "1e-1", ""])
def test_a_share_spelled_another_way_is_an_unknown_variant(share):
    with pytest.raises(
        UnknownSubject,
        match=r"there are: .*planted:STAGE=SHARE, planted:bfloat16, planted:int8, planted:nf4$",
    ):
        find(f"planted:selection={share}", REGISTRY)


def test_each_stage_and_share_has_a_fingerprint_of_its_own():
    names = ["planted", *(f"planted:{s}={x}" for s in STAGES for x in ("0", "0.5", "1"))]
    assert len({take_fingerprint(find(name, REGISTRY)) for name in names}) == len(names)


def test_a_weakened_control_is_another_one_if_its_truth_names_other_heads(tmp_path):
    folder = shutil.copytree(PLANTED.folder, tmp_path / "planted")
    whole = replace(PLANTED, source=str(folder))
    half = replace(whole, weakened="selection=0.5")
    before = (take_fingerprint(whole), take_fingerprint(half))
    truth = json.loads((folder / "truth.json").read_text())
    truth["heads"]["id_selection"] = [[4, 0]]
    (folder / "truth.json").write_text(json.dumps(truth))
    assert take_fingerprint(whole) == before[0]
    assert take_fingerprint(half) != before[1]


@pytest.mark.parametrize(
    ("name", "exact"),
    [("planted", True), ("planted:heads", True), ("planted:selection=0.5", False)],
)
def test_only_of_a_whole_control_every_verdict_is_known(tmp_path, name, exact):
    options = Options(subjects=(name,), store=tmp_path / "s", records=tmp_path / "r")
    run = Run(options, lambda line: None)
    [entry] = run.entries
    assert run.is_exact(entry) is exact
