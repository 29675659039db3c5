"""What claims say of subjects whose answers cannot be read: one line that names it, and never "refuted"."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import scorecard
from speakers import VOICES, Voice

from harness.machine.files import ROOT
from harness.runs.subject_holder import SubjectHolder

CLAIMS = ROOT / "claims" / "visual_symbols"


@pytest.fixture
def judged(run, pytester, monkeypatch, speaker):
    """The records of the claims of sections 3.1 and 4.3 on an oracle, by the end of their names."""
    files = {
        name: (CLAIMS / f"{name}.py").read_text().replace("visual_symbols.", "made_up.")
        for name in ("test_3_1_scene_description", "test_4_3_keys")
    }

    def go(voice, how="plain", template=None):
        subject = speaker("bytes", voice, how)
        if template:
            monkeypatch.setattr(subject.tokenizer, "chat_template", template)
        monkeypatch.setattr(SubjectHolder, "_load", lambda self, entry: subject)
        (pytester.path / "test_made_up.py").unlink()
        for name, text in files.items():
            (pytester.path / f"{name}.py").write_text(text)
        run("--baseline", "none", "--trials", "24")
        records = scorecard(pytester)["records"]
        assert {r["claim"].split(".")[1] for r in records} == {"3", "4"}
        assert all("\n" not in r["reason"] for r in records)
        return records

    return go


def list_verdicts(records, section):
    return {r["verdict"] for r in records if r["claim"].split(".")[1] == section}


@pytest.mark.deep
def test_capitals_after_a_new_line_are_read(judged):
    records = judged(VOICES["new line, Red"])
    right = [r for r in records if r["claim"].startswith("made_up.3.1")]
    assert {(r["estimate"], r["n"]) for r in right} == {(1.0, 24)}
    assert not {"blocked", "error"} & list_verdicts(records, "4")


@pytest.mark.parametrize("text", ["rojo", ""], ids=["another language", "nothing"])
def test_answers_in_no_known_word_are_not_judged(judged, text):
    records = judged(Voice(instead=text))
    accuracies = {"made_up.3.1.two_objects", "made_up.3.1.four_objects", "made_up.3.1.six_objects"}
    for record in records:
        wanted = "not_applicable" if record["claim"] in accuracies else "blocked"
        assert record["verdict"] == wanted, record["claim"]
    assert all(f"as in '{text and ' ' + text}" in r["reason"] for r in records)


def test_colors_that_begin_alike_are_named(judged):
    records = judged(VOICES["RED"])
    assert {r["verdict"] for r in records} == {"blocked"}
    assert all("gray ('G')" in r["reason"] and "green ('G')" in r["reason"] for r in records)


def test_a_template_that_hides_the_image_is_named(judged):
    hides = "{% for turn in messages %}{{ turn.content[-1].text }}{% endfor %}"
    records = judged(VOICES["red"], "chat", hides)
    assert {r["verdict"] for r in records} == {"blocked"}
    assert all("the image (<|image_pad|>) is missing" in r["reason"] for r in records)


@pytest.mark.deep
def test_answers_of_which_half_begin_otherwise_are_read(judged):
    records = judged(replace(VOICES["The red"], of=lambda row: row % 2 == 0))
    assert {r["estimate"] for r in records if r["claim"].startswith("made_up.3.1")} == {1.0}
