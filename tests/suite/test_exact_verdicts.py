"""Runs in exact mode give the verdicts of runs in float32."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from harness.machine.files import FIXTURES

ROOT = Path(__file__).parents[2]

SPLITTING = """
from pathlib import Path

from harness.subjects import exact

exact.SPLIT_ON = {"cpu"}
usual, mark = exact.multiply, Path(__file__).with_name("split")


def multiply(*given):
    if not mark.exists():
        mark.touch()
    return usual(*given)


exact.multiply = multiply
"""
"""A plugin with which layers split their inputs here, as they do on a GPU, and that leaves a mark of it."""

CLAIMS = ["claims", "-q", "-k", "test_3_1 or test_3_4"]
"""Those on behaviour and on mediation: a whole run takes minutes in each precision."""


@pytest.mark.deep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["tiny-qwen2-vl"])
def test_a_subject_in_bfloat16_has_the_verdicts_that_it_has_in_float32(name, tmp_path):
    folder = shutil.copytree(FIXTURES / name, tmp_path / "half")
    stored = load_file(folder / "model.safetensors")
    halves = {key: value.bfloat16() for key, value in stored.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "splitting.py").write_text(SPLITTING)
    found = {}
    for dtype, plugin in (("float32", []), ("exact", ["-p", "splitting"])):
        out = tmp_path / dtype
        how = ["--subject", str(folder), "--dtype", dtype, "--trials", "24", "--baseline", "none"]
        how += ["--store", str(tmp_path / "store"), "--scorecard", str(out)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *CLAIMS, *plugin, *how],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert (out / "scorecard.json").is_file(), done.stdout + done.stderr
        card = json.loads((out / "scorecard.json").read_text())
        assert card["run"]["dtype"] == dtype
        found[dtype] = {r["claim"]: (r["verdict"], r["estimate"]) for r in card["records"]}
    usual, ours = found["float32"], found["exact"]
    assert len(usual) > 20
    assert {v for v, _ in usual.values()} >= {"supported", "refuted"}
    assert {claim: verdict for claim, (verdict, _) in ours.items()} == {
        claim: verdict for claim, (verdict, _) in usual.items()
    }
    numbers = [(usual[c][1], ours[c][1]) for c in usual if usual[c][1] is not None]
    assert all(a == pytest.approx(b, abs=1e-4) for a, b in numbers)
    assert (tmp_path / "split").exists()
