"""Experiments on a user's images, asked of an oracle that is always right, at the paper's size."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from speakers import VOICES, Speaker

from harness.experiments.catalogue import find_experiment
from harness.measuring.experiment import Request
from harness.readings.visual_symbols.listing import Listing
from harness.readings.visual_symbols.steering import Steering
from harness.stimuli.contrast import CONDITIONS
from harness.subjects.registry import SharedFirstPiece


@pytest.fixture
def ask(speaker):
    """A function that asks an oracle about the images in a folder; one made-up head of each stage is ranked."""

    def go(name, folder):
        oracle = speaker("bytes", VOICES["red"], "chat")
        oracle.entry = replace(oracle.entry, scale="paper")
        score = np.zeros((len(CONDITIONS), 20, oracle.layers, oracle.heads))
        score[..., 1, 0] = 1
        keys = np.tile([f"scene {i}" for i in range(20)], (len(CONDITIONS), 1))
        mediation = xr.Dataset(
            {
                "score": (("condition", "trial", "layer", "head"), score),
                "written": (("condition", "layer", "head"), np.ones_like(score[:, 0])),
                "scene": (("condition", "trial"), keys),
                "counterfactual_scene": (("condition", "trial"), keys),
                "kept": (("condition",), [20] * len(CONDITIONS)),
            },
            {"condition": list(CONDITIONS)},
        )
        experiment = find_experiment(name).on_images(folder)
        needed, rng = {"mediation": mediation}, np.random.default_rng(0)
        asked = Request(oracle, experiment.trials, rng, needed=needed)
        return experiment.load_measure()(asked)

    return go


def save(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def write_photographs(folder, colors):
    rows = ["file,left,right,background"]
    for number in range(24):
        left, right = (colors[(number + i) % len(colors)] for i in (0, 1))
        save(folder / f"{number}.png", number)
        rows.append(f"{number}.png,{left} dolphin,{right} camel,beach")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_colors_that_only_photographs_have_are_read(ask, tmp_path):
    data = ask("steering", write_photographs(tmp_path, ["red", "white", "brown"]))
    assert Steering(data).task_accuracy().value == 1.0
    assert Steering(data).unedited().value == 0.0


def test_colors_of_photographs_that_begin_alike_are_refused(ask, tmp_path):
    with pytest.raises(SharedFirstPiece, match="'bxx' and 'blue' start with the same token"):
        ask("steering", write_photographs(tmp_path, ["bxx", "byy"]))


@pytest.mark.deep
def test_lists_of_photographs_are_written_and_gone_on_with(ask, tmp_path, monkeypatch):
    for number in range(200):
        save(tmp_path / "val2017" / f"{number}.jpg", number)
    notes = tmp_path / "annotations" / "instances_val2017.json"
    notes.parent.mkdir()
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 16, "height": 16} for n in range(200)]
    found = [
        {"id": 3 * n + k, "image_id": n, "category_id": k, "area": 50, "bbox": [0, 0, 9, 9]}
        for n in range(200)
        for k in range(3)
    ]
    kinds = [{"id": k, "name": name} for k, name in enumerate(("dog", "cat", "car"))]
    notes.write_text(json.dumps({"images": images, "annotations": found, "categories": kinds}))

    def name_next(oracle, trial):
        return "brown dog 2. a cat" if trial.prompt.text.endswith(" 1. a") else "cat 3. a car"

    monkeypatch.setattr(Speaker, "_answer", name_next)
    data = ask("listing", tmp_path)
    assert int(data.listed) == 200
    assert Listing(data).task_accuracy().value == 1.0
    # Edits of an oracle that looks at nothing change no answer.
    assert Listing(data).repeats().value == 0.0
