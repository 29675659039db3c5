"""The story of a subject says which stages it has, and its picture shows them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from cards import card, record
from measurements import LAYERS, mediation, similarity

from harness.reporting.story import ORDERS, STAGES, draw_story, tell_story

HEADS = [s.carried for s in STAGES]
CODES = [s.seen for s in STAGES]


def tell(**verdicts):
    """The story of a subject with these verdicts, by the ends of claims' ids; others are supported."""
    ends = [*HEADS, *CODES, *ORDERS]
    made = [
        record(f"visual_symbols.{end}", "x", verdicts.get(end.replace(".", "_"), "supported"))
        for end in ends
    ]
    return tell_story(card(*made), "x")


def test_a_subject_with_all_stages_is_told_in_one_sentence():
    assert tell() == (
        "In x, heads carry ID retrieval, ID selection and feature retrieval; they come one after the other, as "
        "in the paper; its states follow position at the mentions, position at the last token and features at "
        "the last token."
    )


def test_what_is_refuted_or_unclear_is_told_apart():
    told = tell(**{"3_4_id_retrieval": "refuted", "3_4_id_selection": "inconclusive"})
    assert (
        "heads carry feature retrieval, no head carries ID retrieval, unclear: ID selection" in told
    )


def test_an_order_that_fails_is_counted():
    told = tell(**{"3_3_retrieval_before_selection": "refuted"})
    assert "of 4 claims on their order 3 are supported and 1 refuted" in told


def test_a_subject_that_fails_the_task_has_no_stages():
    made = [record(f"visual_symbols.{end}", "x", "blocked") for end in (*HEADS, *CODES)]
    told = tell_story(card(*made), "x")
    assert told == "x does not do the task, so that its stages could not be asked about."


def test_nothing_is_told_of_a_subject_that_was_not_asked():
    assert tell_story(card(record("other.1.a", "x")), "x") == ""
    assert tell_story(card(), "x") == ""


@pytest.mark.parametrize(
    "parts", [(True, True), (True, False), (False, True)], ids=["both", "codes", "heads"]
)
def test_the_picture_has_what_was_measured_and_depends_on_it(tmp_path, parts):
    made = [
        data() if wanted else None
        for data, wanted in zip((similarity, mediation), parts, strict=True)
    ]
    first = draw_story(*made, "x", tmp_path / "a")
    again = draw_story(*made, "x", tmp_path / "b")
    assert first == again
    drawn = (tmp_path / "a" / first.filename).read_bytes()
    assert drawn == (tmp_path / "b" / first.filename).read_bytes()
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert ("RSA" in first.caption, "heads" in first.caption) == parts
    if made[0] is not None:
        made[0]["r"] = made[0].r * 0.5
    else:
        made[1]["score"] = made[1].score * np.arange(1, LAYERS + 1)[:, None]
    other = draw_story(*made, "x", tmp_path / "c")
    assert (tmp_path / "c" / other.filename).read_bytes() != drawn


def test_published_curves_are_drawn_and_named(tmp_path):
    told = draw_story(similarity(), mediation(), "x", tmp_path, {"position@last": [0.1, 0.5]})
    assert "hollow: published" in told.caption


def test_there_is_no_picture_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="neither similarity nor mediation"):
        draw_story(None, None, "x", tmp_path)
