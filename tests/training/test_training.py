"""The recipe is really run, in smoke mode, resumed and repeated."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from harness.cli.main import main
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.tracing.capture import read_last_logits
from harness.training.architectures import build
from harness.training.packing import pack, supervised_logits
from harness.training.tasks import TRAINING_TASKS, draw_prompts, draw_scene, is_held_out
from harness.training.trainer import Recipe, learning_rate, train
from harness.training.vocabulary import words

SHORT = replace(Recipe("tiny-llava").smoke(), steps=4, further=2, images=2, prompts=2, warmup=2)


def quiet(line):
    pass


@pytest.mark.deep
def test_smoke_mode_makes_a_subject_that_loads(tmp_path, capsys):
    out = tmp_path / "subject"
    arguments = [
        "train",
        "tiny-qwen2-vl",
        "--smoke",
        "--out",
        str(out),
        "--work",
        str(tmp_path / "w"),
    ]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "tiny-qwen2-vl 70/70 loss" in printed
    first, last = (float(printed.split(f"{n}/70 loss ")[1].split()[0]) for n in (10, 60))
    assert last < first
    card = json.loads((out / "card.json").read_text())
    assert set(TRAINING_TASKS) < set(card["held_out_accuracy"])
    assert "What it does not do" in (out / "README.md").read_text()
    subject = load(find(str(out), read_registry()))
    assert subject.heads == 8


@pytest.mark.deep
def test_an_interrupted_training_ends_like_an_uninterrupted_one(tmp_path):
    whole = train(SHORT, tmp_path / "whole", say=quiet, every=100)

    class Stop(Exception):
        pass

    def interrupt(line):
        raise Stop

    with pytest.raises(Stop):
        train(SHORT, tmp_path / "cut", say=interrupt, every=4, keep_every=2)
    lines = []
    resumed = train(SHORT, tmp_path / "cut", say=lines.append, every=100)
    assert lines[0] == "tiny-llava: goes on from step 2 of 6"
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    a = train(SHORT, tmp_path / "a", say=quiet).model.state_dict()
    b = train(SHORT, tmp_path / "b", say=quiet).model.state_dict()
    c = train(replace(SHORT, seed=2), tmp_path / "c", say=quiet).model.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["lm_head.weight"], c["lm_head.weight"])


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    train(replace(SHORT, steps=2), tmp_path, say=quiet)
    with pytest.raises(ValueError, match="another recipe"):
        train(SHORT, tmp_path, say=quiet)


def test_checkpoints_are_safetensors(tmp_path):
    train(replace(SHORT, steps=2), tmp_path, say=quiet)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.safetensors"]
    assert any(
        k.startswith("optimiser.exp_avg.") for k in load_file(tmp_path / "checkpoint.safetensors")
    )


@pytest.mark.parametrize("name", ["tiny-llava", "tiny-qwen2-vl"])
def test_packed_prompts_are_blind_to_each_other(name, checkpoints):
    """A row of packed prompts gives the logits of as many separate sequences."""
    untrained = build(name, seed=3)
    untrained.model.eval()
    subject = load(find(str(checkpoints[name]), read_registry()))
    from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials

    trials = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[2], 4, np.random.default_rng(0))
    asked = [
        [
            ("counting", TRAINING_TASKS["counting"].draw(t.scene, None)),
            ("scene description", t.prompt),
        ]
        for t in trials
    ]
    batch = pack([t.scene for t in trials], asked, untrained)
    with torch.no_grad():
        packed = supervised_logits(untrained, batch)
    owned = [np.flatnonzero((batch.owners == 2 * i + 1) & batch.completes)[0] for i in range(4)]
    assert torch.allclose(
        packed[owned], read_last_logits(subject, subject.encode(trials)), atol=1e-4
    )


def test_held_out_scenes_are_never_trained_on():
    rng = np.random.default_rng(0)
    assert not any(is_held_out(draw_scene(rng)) for _ in range(200))
    assert all(is_held_out(draw_scene(rng, evaluation=True)) for _ in range(5))


def test_every_word_of_every_task_is_in_the_vocabulary():
    tokenizer = build("tiny-llava", 0).tokenizer
    rng = np.random.default_rng(0)
    drawn = set()
    for _ in range(150):
        for task, prompt in draw_prompts(draw_scene(rng), 4, 200, rng):
            drawn.add(task)
            assert (
                tokenizer.unk_token_id
                not in tokenizer(prompt.text + prompt.completion)["input_ids"]
            )
    assert drawn == set(TRAINING_TASKS)
    assert "red" in words()


def test_the_learning_rate_warms_up_and_then_decays_to_a_tenth():
    recipe = Recipe("tiny-llava")
    rates = [learning_rate(recipe, step) for step in range(recipe.steps)]
    assert max(rates) == pytest.approx(recipe.rate)
    assert rates.index(max(rates)) == recipe.warmup - 1
    assert rates[-1] == pytest.approx(recipe.rate / 10, rel=1e-3)


def test_smoke_mode_without_a_folder_is_refused(capsys):
    assert main(["train", "tiny-llava", "--smoke"]) == 2
    assert "--out" in capsys.readouterr().err


def test_an_unknown_recipe_lists_what_there_is(tmp_path, capsys):
    assert main(["train", "huge-llava", "--out", str(tmp_path), "--work", str(tmp_path / "w")]) == 2
    said = capsys.readouterr().err
    assert "tiny-llava, tiny-qwen2-vl" in said
    assert re.search(r"controls are .*\bplanted\b", said)
