"""The page of a comparison: what was lost stands first, scene by scene, and nothing on it is run."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored import N, first, measured, side

from harness.reporting import comparison_page
from harness.reporting.compare import accept_losses, compare
from harness.reporting.comparison_page import compare_scenes, lay_out_difference
from harness.reporting.forest import LEFT, RIGHT
from harness.statistics.evidence import Evidence

CLAIMS = ("paper.1.lost", "paper.1.kept", "paper.1.gained", "paper.1.gone")


def sides(**how):
    """Two runs between which one claim is lost, one kept, one gained and one not asked again."""
    before = [
        measured(first(s), claim=c, **how)
        for c, s in zip(CLAIMS, (0.9, 0.9, 0.2, 0.9), strict=True)
    ]
    after = [
        measured(first(s), claim=c, **how) for c, s in zip(CLAIMS, (0.3, 0.9, 0.9), strict=False)
    ]
    return side(*before), side(*after)


def written(found, folder):
    comparison_page.write(found, folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def text_of(html):
    html = re.sub(r"<style>.*?</style>", " ", html, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def test_what_was_lost_comes_first_and_then_what_is_not_known(tmp_path):
    html = written(compare(*sides()), tmp_path)
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert titles[:4] == ["1 regressed", "1 missing", "1 improved", "1 unchanged"]
    assert "RED, 1 regressed, 1 missing" in text_of(html)


def test_a_loss_is_shown_scene_by_scene_with_what_would_have_been_found(tmp_path):
    found = compare(*sides())
    [lost] = [row for row in found.rows if row.claim == CLAIMS[0]]
    text = text_of(written(found, tmp_path))
    assert f"{round(0.6 * N)} lower, {N - round(0.6 * N)} same, 0 higher" in text
    assert f"-0.6 [{lost.difference.interval(0.95)[0]:+.3g}" in text
    assert f"{lost.detectable:.3g}" in text
    assert f"{lost.margin:.3g}" in text


def test_a_green_comparison_says_so_and_unchanged_claims_are_folded(tmp_path):
    one, _ = sides()
    html = written(compare(one, one), tmp_path)
    assert "GREEN" in html
    assert 'class="banner good"' in html
    assert "with the smallest change that would have been found" in html


def test_an_accepted_loss_has_its_reason(tmp_path):
    before, after = (side(measured(first(s))) for s in (0.9, 0.2))
    found = accept_losses(compare(before, after), {"paper.1.order": "meant so"})
    text = text_of(written(found, tmp_path))
    assert "1 accepted" in text
    assert "accepted: meant so" in text


def test_a_refused_comparison_replaces_an_older_page(tmp_path):
    written(compare(*sides()), tmp_path)
    comparison_page.write_refusal("other <scenes>", "a", "b", tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "b cannot be compared with a" in html
    assert "other &lt;scenes&gt;" in html
    assert "1 regressed" not in html


def test_hostile_names_are_shown_and_never_run(tmp_path):
    hostile = "<script>alert(1)</script>\x1b[31m\x00"
    html = written(compare(*sides(subject=hostile, statement=hostile, reason=hostile)), tmp_path)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "\x1b" not in html
    assert "script-src" not in html, "the page has no script, and its policy allows none"
    assert "default-src 'none'" in html


@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.booleans()), min_size=1, max_size=40)
)
def test_scenes_are_counted_once_each_and_worse_and_better_are_mirror_images(items):
    scenes = tuple(f"s{number}" for number, *_ in items)
    before, after = (
        Evidence(np.array([float(item[place]) for item in items]), scenes) for place in (1, 2)
    )
    found, back = compare_scenes(before, after), compare_scenes(after, before)
    assert found.lower + found.same + found.higher == len(set(scenes))
    assert (found.lower, found.same, found.higher) == (back.higher, back.same, back.lower)
    moves = [move for _, move in found.lowest]
    assert moves == sorted(moves)
    assert all(move < 0 for move in moves)


def test_bootstrap_draws_and_other_scenes_have_no_pairs():
    draws, one = Evidence(np.zeros(3)), Evidence(np.zeros(1), ("a",))
    assert compare_scenes(draws, one) is None
    assert compare_scenes(one, draws) is None
    assert compare_scenes(one, Evidence(np.zeros(1), ("b",))) is None


@pytest.mark.parametrize("direction", ["above", "below"])
def test_marks_of_a_difference_are_in_order_and_the_margin_is_on_the_losing_side(direction):
    shares = (0.9, 0.3) if direction == "above" else (0.1, 0.7)
    before, after = (
        side(measured(first(s), direction=direction, verdict="supported")) for s in shares
    )
    [row] = compare(before, after).rows
    marks = lay_out_difference(row)
    assert LEFT <= marks.low <= marks.estimate <= marks.high <= RIGHT
    losing = marks.margin < marks.zero if direction == "above" else marks.margin > marks.zero
    assert losing
    assert (marks.estimate < marks.zero) == (direction == "above")
