"""The printed scorecard is aligned, complete, and loud about what is missing."""

from __future__ import annotations

import re

import pytest
from cards import card, record
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.judging.verdict import Verdict
from harness.reporting.terminal import render
from harness.reporting.wording import WORDS, plain

NAMES = [
    "tiny-qwen2-vl",
    "tiny-llava",
    "qwen2.5-vl-7b",
    "llava-1.5-7b",
    "gemma-3-4b",
    "idefics2-8b",
]
NAMES += ["untrained", "planted", "llava-1.5-13b"]
VERDICTS = [str(v) for v in Verdict]


def many(subjects: int, **changes):
    claims = ["paper.1.retrieval_before_selection", "paper.1.b", "paper.2.c"]
    return card(
        *(
            record(c, s, VERDICTS[(i + j) % len(VERDICTS)], **changes)
            for i, c in enumerate(claims)
            for j, s in enumerate(NAMES[:subjects])
        )
    )


def row(lines: list[str], label: str) -> list[str]:
    return next(x for x in lines if x.startswith(f"  {label} ")).removeprefix(f"  {label}").split()


@pytest.mark.parametrize("subjects", [1, 2, 5, 8, 9])
@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(subjects, width):
    assert max(map(len, render(many(subjects), width=width))) <= width


@pytest.mark.parametrize("subjects", [2, 5, 8])
def test_up_to_eight_subjects_stand_in_one_table_with_aligned_columns(subjects):
    lines = render(many(subjects), width=100)
    table = [x for x in lines[: lines.index("")] + lines if x.startswith("  retrieval before")]
    assert len(table) == 1
    assert len(row(lines, "retrieval before selection")) == subjects
    starts = [
        [m.start() for m in re.finditer(r"\S+", line[29:])]
        for line in lines
        if re.match(r"  (retrieval before selection|b|c) +\S", line)
    ]
    assert len(starts) == 3
    assert starts[0] == starts[1] == starts[2]


def test_few_subjects_get_the_full_words_and_many_get_short_ones_with_a_key():
    assert row(render(many(2)), "b") == ["refuted", "inconclusive"]
    lines = render(many(8))
    assert row(lines, "b")[:2] == ["refuted", "unclear"]
    assert any(re.match(r" +\d+ holds +supported: the whole interval", x) for x in lines)


def test_more_subjects_than_fit_are_printed_below():
    lines = render(many(9), width=100)
    assert sum(x.startswith("  retrieval before") for x in lines) == 2
    assert any("1.5-13b" in x for x in lines)


def test_the_legend_counts_every_verdict():
    lines = render(card(record("p.1.a"), record("p.1.b"), record("p.1.c", verdict="blocked")))
    assert any(re.match(r"   2 supported +the whole interval", x) for x in lines)
    assert any(re.match(r"   1 blocked +a precondition", x) for x in lines)


def test_without_a_baseline_the_unsupported_claims_are_explained():
    one = record("p.1.bad", verdict="refuted", published=0.61)
    text = " ".join(" ".join(render(card(record("p.1.good"), one))).split())
    assert "Not supported" in text
    assert (
        "p.1.bad 0.2 [0.1, 0.3] r, claimed above 0.4 r (stated in the paper); published 0.61; "
        "40 trials, 20 scenes; adjusted p 0.99 because it is refuted"
    ) in text
    assert "p.1.good" not in text


def test_a_reason_that_has_the_numbers_is_not_preceded_by_them():
    reason = "0.2 [0.1, 0.3] r is not above 0.4"
    text = "\n".join(render(card(record(verdict="refuted", reason=reason))))
    assert text.count("0.2 [0.1, 0.3]") == 1
    assert f"{reason} (stated in the paper)" in text


def test_with_a_baseline_only_differences_are_explained():
    known = record("p.1.known", verdict="refuted", baseline="refuted")
    lost = record("p.1.lost", verdict="refuted", baseline="supported")
    before = {("p.1.lost", "tiny"): record("p.1.lost")}
    text = "\n".join(render(card(known, lost), before))
    assert "Differs from the baseline" in text
    assert "p.1.lost (was supported at 0.6 [0.5, 0.7])" in text
    assert "p.1.known" not in text
    assert re.search(r"known +refuted=", text)
    assert re.search(r"lost +refuted!", text)


def test_claims_that_only_the_baseline_has_are_named():
    before = {("p.1.gone", "tiny"): record("p.1.gone"), ("p.1.x", "other"): record()}
    made = card(record("p.1.a", baseline="supported"), record("p.1.b", baseline="supported"))
    text = "\n".join(render(made, before))
    assert "In the baseline of tiny but not in this run: 1 claim: p.1.gone" in text
    assert "other" not in text


def test_a_scorecard_with_no_surprises_says_so():
    assert "Every claim is supported." in render(card(record()))
    same = card(record(verdict="refuted", baseline="refuted"))
    assert "Nothing differs from the baseline." in render(same)


def test_missing_claims_come_last_and_are_in_the_table():
    lines = render(card(record("p.1.a"), missing=[("p.1.b", "tiny")]))
    assert lines[-2:] == ["MISSING: 1 claim collected without a verdict", "  tiny p.1.b"]
    assert row(lines, "b") == ["MISSING"]
    assert "Every claim is supported." not in lines


def test_methods_and_correction_are_named():
    text = " ".join(render(card(record(p_value=0.001))))
    assert "clustered by scene (Wilson)" in text
    assert "Benjamini-Hochberg within each subject over 1 claim of paper" in text


def test_color_changes_nothing_else():
    made = many(3)
    painted = render(made, paint=lambda text, role: f"\x1b[1m{text}\x1b[0m")
    assert [re.sub(r"\x1b\[\dm", "", line) for line in painted] == render(made)
    assert any("\x1b" in line for line in painted)


@settings(max_examples=50)
@given(st.text(st.characters(), min_size=1, max_size=60))
def test_no_text_can_drive_the_terminal(text):
    made = card(record(subject=f"s{text}", verdict="refuted", reason=f"r{text}"))
    for line in render(made):
        assert plain(line) == line
        assert "\n" not in line
        assert "\t" not in line


def test_every_verdict_has_a_word():
    assert set(VERDICTS) < set(WORDS)


def test_a_brief_text_has_one_line_for_each_section_with_its_counts_and_what_differs():
    made = card(
        record("p.1.a", baseline="supported"),
        record("p.1.b", verdict="refuted", baseline="supported"),
        record("p.2.c", verdict="refuted", baseline="refuted"),
        missing=[("p.2.d", "tiny")],
    )
    lines = render(made, brief=True)
    assert [x.split() for x in lines if x.startswith("  p.")] == [
        ["p.1", "1", "supported,", "1", "refuted;", "1", "differ"],
        ["p.2", "1", "refuted,", "1", "MISSING"],
    ]
    # The claim that is as before is in its section's count alone.
    text = "\n".join(lines)
    assert "p.1.b" in text
    assert "p.2.c" not in text


@pytest.mark.parametrize("width", [48, 60, 100, 140])
def test_no_line_of_a_brief_text_is_wider_than_the_terminal(width):
    made = card(
        *(
            record(f"a_paper_with_a_name.{'s' * i}.{v}", verdict=v)
            for i, v in enumerate(VERDICTS, 1)
        )
    )
    assert max(map(len, render(made, width=width, brief=True))) <= width


def test_a_quiet_text_has_the_counts_and_what_fails_the_run_and_no_more():
    made = card(record("p.1.a"), record("p.2.b", verdict="refuted"))
    quiet = render(made, brief=True, quiet=True)
    assert "1 supported, 1 refuted" in quiet
    assert any("p.2.b" in line for line in quiet)
    assert not any(line.startswith("  p.1 ") for line in quiet)
    good = render(card(record()), brief=True, quiet=True)
    assert len(good) == 3, "a title, and the counts"
