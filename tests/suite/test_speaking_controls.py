"""Claims of sections 3 and 4 give a control the verdicts that they give the plain one, however it speaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from harness.machine.files import ROOT

pytestmark = pytest.mark.deep

CLAIMS = "test_3_1 or test_3_4 or test_4_2 or test_4_3"
"""Sections that ask for answers, logits and edits of each kind; all of sections 3 and 4 take half an hour."""

COMMAND = [sys.executable, "-m", "pytest", "claims/visual_symbols", "-k", CLAIMS]

SPOKEN = ("chat", "pieces")
"""What changes tokens and prompts; answers in other words have the same measurements, to the bit
(`tests/subjects/test_speaking.py`)."""

LONGEST = 1800.0
"""Seconds after which a run is given up."""

AT_THE_EDGE = {
    # Shortcut: 0.09 of 34 in plain and 0.11 of 37 in pieces and in a chat, whose upper bound is another.
    "visual_symbols.4.2.drawn_selection_specific",
}
"""Claims that rest on so few answers of these controls that one more changes the verdict."""


@pytest.mark.parametrize("control", ["planted", "shortcut"])
def test_no_verdict_depends_on_how_answers_are_written(control, tmp_path):
    subjects = [control, *(f"{control}:{how}" for how in SPOKEN)]
    named = [option for subject in subjects for option in ("--subject", subject)]
    folders = ["--store", str(tmp_path / "store"), "--scorecard", str(tmp_path / "out")]
    finished = subprocess.run(
        [*COMMAND, *named, *folders],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST")},
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    records = json.loads((tmp_path / "out" / "scorecard.json").read_text())["records"]
    verdicts = {(r["claim"], r["subject"]): r["verdict"] for r in records}
    claims = {claim for claim, _ in verdicts}
    assert len(verdicts) == len(claims) * len(subjects), finished.stdout[-2000:]
    other = {
        f"{claim} on {subject}: {verdicts[claim, subject]}, plain {verdicts[claim, control]}"
        for claim in claims - AT_THE_EDGE
        for subject in subjects
        if verdicts[claim, subject] != verdicts[claim, control]
    }
    assert not other, "\n".join(sorted(other))
    for claim in claims:
        found = {verdicts[claim, subject] for subject in subjects}
        assert not {"supported", "refuted"} <= found, claim
