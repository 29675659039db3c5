"""Controls give the verdicts that they must also as twins, and a twin's heads are those of the original."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from harness.experiments.catalogue import MEDIATION
from harness.judging.controls import read_expected
from harness.machine.files import ROOT
from harness.measures.mediation import ROUNDING
from harness.measuring.experiment import measure_alone
from harness.readings.visual_symbols.mediation import Mediation
from harness.stimuli.contrast import CONDITIONS
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.twins import ALL_EXACT, EXCHANGED, draw_head_order

pytestmark = pytest.mark.deep

CLAIMS = "test_3_1 or test_3_3_similarity or test_3_4 or test_4_3"
"""Sections that ask for answers, codes, heads and edits of keys; all of them take half an hour."""

TWINS = [
    *(
        f"{control}:{ALL_EXACT}"
        for control in (
            "planted",
            "planted-elsewhere",
            "planted-absolute",
            "taught",
            "taught-content",
            "taught-spread",
            "shortcut",
            "unbound",
            "untrained",
        )
    ),
    *(f"{control}:{how}" for control in ("planted", "shortcut") for how in EXCHANGED),
]
"""All changes of weights together, and each exchange of what is shown and said."""

NEAR = 5e-4
"""Of the highest score, which scores of a twin may be off."""

LONGEST = 900.0
"""Seconds after which a run is given up."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("twin", TWINS)
def test_a_twin_of_a_control_gives_what_the_control_must_give(twin, store, tmp_path):
    finished = subprocess.run(
        [
            sys.executable, "-m", "pytest", "claims/visual_symbols", "-k", CLAIMS, "-q",
            "--subject", twin, "--store", str(store), "--scorecard", str(tmp_path / "out"),
        ],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST")},
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )  # fmt: skip
    records = json.loads((tmp_path / "out" / "scorecard.json").read_text())["records"]
    expected, (control, _, how) = read_expected(), twin.partition(":")
    other, near = set(), set()
    for record in records:
        cell = expected[record["claim"], control]
        # What is shown otherwise is judged as with another seed; other weights are shown the same.
        allowed = {cell.verdict, *(cell.also if how in EXCHANGED else ())}
        if record["verdict"] not in allowed:
            other.add(f"{record['claim']}: {record['verdict']}, not {cell.verdict}")
        elif record["verdict"] != cell.verdict:
            near.add(record["claim"])
    assert not other, "\n".join(sorted(other))
    assert len(records) > 20, finished.stdout[-2000:]
    # A run says so where a cell near its threshold came out otherwise.
    assert finished.returncode == bool(near), finished.stdout[-2000:]


@pytest.mark.parametrize("name", ["planted", "shortcut", "tiny-llava", "tiny-qwen2-vl"])
def test_the_heads_of_a_twin_are_those_of_the_original(name):
    registry = read_registry()
    subject, twin = (load(find(n, registry)) for n in (name, f"{name}:{ALL_EXACT}"))
    own, other = (Mediation(measure_alone(MEDIATION, s, trials=24)) for s in (subject, twin))
    order = draw_head_order(subject.layers, subject.heads, subject.key_heads)
    for stage in CONDITIONS:
        scores, moved = own.mean_scores(stage), other.mean_scores(stage)
        mapped = np.take_along_axis(scores, order, axis=1)
        # A sharp head rounds differently where sums are taken in another order.
        assert np.allclose(moved, mapped, atol=max(NEAR * abs(scores).max(), ROUNDING)), stage
        found = {(layer, int(order[layer, head])) for layer, head in other.heads(stage)}
        # Where nothing mediates a stage, heads are listed by their rounding, which is the twin's own.
        assert found == set(own.heads(stage)) or scores.max() < ROUNDING, stage
