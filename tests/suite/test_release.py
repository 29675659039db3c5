"""A release of a subject whose mechanism is known passes unharmed, and fails without its selection heads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.machine.files import ROOT
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.twins import save_twin

pytestmark = pytest.mark.deep

PLANTED = ROOT / "fixtures" / "controls" / "planted"
SECTIONS = [
    f"claims/visual_symbols/test_{name}.py"
    for name in ("3_1_scene_description", "3_3_similarity", "3_4_mediation")
]
DEPEND_ON_SELECTION = {
    *(
        f"visual_symbols.3.1.{c}"
        for c in ("two_objects", "four_objects", "six_objects", "not_by_elimination")
    ),
    *(
        f"visual_symbols.3.3.{c}"
        for c in (
            "position_at_last",
            "features_at_last",
            "position_fades",
            "retrieval_before_selection",
            "selection_before_features",
        )
    ),
    *(
        # Eq. 1 reads every stage off the logits, and those depend on the selected ID.
        f"visual_symbols.3.4.{c}"
        for c in (
            "id_retrieval",
            "id_selection",
            "feature_retrieval",
            "retrieval_size",
            "selection_size",
            "features_size",
            "retrieval_share",
            "selection_share",
            "retrieval_before_selection",
            "selection_before_features",
            "separate_heads",
            "few_heads",
        )
    ),
}


def release(folder, name, change):
    """A copy of the planted control that was changed, in the form of a user's checkpoint."""
    out = shutil.copytree(PLANTED, folder / name)
    change(out)
    return out


def changed(change):
    """A function that changes the weights in a folder."""

    def go(folder):
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return go


def twin(how):
    """A function that puts a model with the same function and other weights into a folder."""
    return lambda folder: save_twin(load(find(f"planted:{how}", read_registry())), folder)


@changed
def noise(weights):
    generator = torch.Generator().manual_seed(0)
    for tensor in weights.values():
        tensor *= 1 + 1e-4 * torch.randn(tensor.shape, generator=generator)


@changed
def without_selection(weights):
    truth = json.loads((PLANTED / "truth.json").read_text())
    width = json.loads((PLANTED / "config.json").read_text())["text_config"]["head_dim"]
    for layer, head in truth["heads"]["id_selection"]:
        name = f"language_model.model.layers.{layer}.self_attn.o_proj.weight"
        weights[name][:, head * width : (head + 1) * width] = 0


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A function that judges a release against a baseline, and returns status, output and folder."""
    folder = tmp_path_factory.mktemp("release")

    def go(name, change, baseline):
        out = folder / f"{name}-out"
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", *SECTIONS, "--trials", "96", "--no-gate", "--partial",
                "--subject", str(release(folder, name, change)), "--baseline", baseline,
                "--store", str(folder / "store"), "--scorecard", str(out),
            ],
            cwd=ROOT, env=os.environ, text=True, capture_output=True, timeout=1800,
        )  # fmt: skip
        return done.returncode, done.stdout, out

    return go


@pytest.fixture(scope="module")
def baseline(judged):
    status, printed, out = judged("planted-before", lambda folder: None, "none")
    assert status == 0, printed
    return str(out)


def test_a_release_with_rounding_noise_is_green(judged, baseline):
    status, printed, _ = judged("planted-noise", noise, baseline)
    assert status == 0, printed
    assert "0 regressed" in printed


@pytest.mark.parametrize("how", ["heads", "twin"])
def test_a_release_of_the_same_function_in_other_weights_is_green(judged, baseline, how):
    status, printed, _ = judged(f"planted-{how}", twin(how), baseline)
    assert status == 0, printed
    assert "0 regressed" in printed


def test_a_release_without_selection_heads_is_red_and_says_what_it_lost(judged, baseline):
    status, printed, out = judged("planted-lost", without_selection, baseline)
    assert status == 1
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli.main", "compare", baseline, str(out), "--partial",
         "--json", str(out / "c.json")],
        cwd=ROOT, env=os.environ, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    rows = {r["claim"]: r for r in json.loads((out / "c.json").read_text())["rows"]}
    lost = {claim for claim, row in rows.items() if row["fate"] == "regressed"}
    assert lost == DEPEND_ON_SELECTION
    chosen = rows["visual_symbols.3.4.id_selection"]
    # Where no head is surely there any more, there is no size to subtract; the answers say how much was lost.
    assert "no head surely mediates ID selection" in chosen["reason"]
    answers = rows["visual_symbols.3.1.two_objects"]
    assert answers["difference"] < -0.5
    assert answers["ci_high"] < -answers["margin"]
    assert "REGRESSED visual_symbols.3.4.id_selection" in printed
    # What image tokens tell at the mentions comes before any selection.
    kept = rows["visual_symbols.3.3.position_at_mentions"]
    assert (kept["fate"], kept["difference"]) == ("unchanged", 0)
