"""Names and reasons that somebody chose to do harm do none, in whatever a scorecard is written as."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from io import StringIO
from pathlib import PurePosixPath

import numpy as np
import pytest
import yaml
from cards import card, record
from eee_schema import find_faults
from hypothesis import given, settings
from hypothesis import strategies as st
from measurements import similarity

from harness.reporting import badge, eee, frames, hub, junit, markdown, notebook
from harness.reporting.terminal import render
from harness.reporting.wording import plain
from harness.statistics.evidence import Evidence

TABLE = ("thead", "tbody", "tr", "th", "td", "p")

HOSTILE = {
    "tag": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "section": "]]>&xxe;<!-- ",
    "control": "a\x00\x1b[2Jb\x07\x9b31m\u202ec\ud800",
    "lines": "one\r\n\ntwo | three\n| --- | --- |",
    "markdown": "[x](javascript:alert(1)) **b** `c` ![i](http://e.org/i.png) #12 @everybody \\| <details>",
    "address": "see www.example.org and https://example.org/a_b",
    "marker": "<!-- binding-claims: scorecard -->",
    "attachment": "[[ATTACHMENT|/etc/passwd]]",
    "path": "../../etc/passwd",
    "dots": "..",
    "device": "CON",
    "sum": "=1+cmd|' /C calc'!A0",
    "plus": "+1",
    "minus": "-2+3",
    "at": "@SUM(A1:A9)",
    "tab": "\t=1+1",
    "space": "  =1+1",
    "wide": "＝1+1",
    "long": "why " * 2_500,
}


def poison(text):
    """A scorecard that has a text wherever one may stand, and its evidence."""
    made = card(
        record(f"p.1.{text}", text, "refuted", statement=text, source=text, reason=text, unit=text or "r"),
        record("p.1.b", text, "error", reason=text),
        missing=[("p.1.lost", text)],
        partial=True,
        partial_because=text,
    )  # fmt: skip
    return made, {(f"p.1.{text}", text): Evidence(np.array([1.0, 0.0]), ("s1", text))}


@pytest.fixture(params=list(HOSTILE))
def hostile(request):
    return HOSTILE[request.param], *poison(HOSTILE[request.param])


def test_no_cell_of_a_csv_file_is_computed_and_no_row_is_torn(hostile):
    text, made, evidence = hostile
    for table in (made.frame(), frames.frame_evidence(evidence)):
        written = frames.to_csv(table)
        written.encode()
        assert plain(written) == written
        rows = list(csv.DictReader(StringIO(written, newline="")))
        assert len(rows) == len(table)
        texts = set(table.select_dtypes("str"))
        for row in rows:
            assert not any(row[name].startswith(frames.FORMULA) for name in texts)
            assert not any(row[name].lstrip().startswith(frames.FORMULA) for name in texts)
        # Whoever takes the apostrophe away has the text again.
        assert rows[0]["subject"].removeprefix("'") == plain(text)


def test_a_negative_number_is_no_formula():
    written = frames.to_csv(card(record(estimate=-0.5, ci_low=-0.6, ci_high=-0.4)).frame())
    assert ",-0.5,-0.6,-0.4," in written


def test_typed_tables_hold_texts_as_they_are(hostile):
    text, made, _ = hostile
    assert json.loads(frames.to_json(made.frame()))["data"][0]["subject"] == plain(text)
    assert frames.to_parquet(made.frame())[:4] == b"PAR1"


def test_no_text_leaves_its_place_in_markdown(hostile):
    _, made, _ = hostile
    written = markdown.write(made)
    assert plain(written) == written
    assert len(written) <= markdown.LONGEST
    assert written.count(markdown.MARKER) == 1
    allowed = r"</?(code|details|summary)>|" + re.escape(markdown.MARKER)
    assert "<" not in re.sub(allowed, "", written)
    for cell in re.findall(r"<code>(.*?)</code>", written):
        assert not re.search(r"[|`*_\[\]@#<>\\~!:]", re.sub(r"&#\d+;", "", cell))
        assert "www." not in cell
    # A table keeps its columns, whatever stands in them.
    for row in [line for line in written.splitlines() if line.startswith("|")]:
        assert row.count("|") in (3, 4, 5)


def test_a_mention_or_an_address_stands_only_where_servers_do_not_look(hostile):
    _, made, _ = hostile
    outside = re.sub(r"<code>.*?</code>", "", markdown.write(made))
    assert "@" not in outside
    assert "http" not in outside
    assert "&#64;" not in outside


def test_a_badge_is_one_image_without_anything_in_it(hostile):
    text, made, _ = hostile
    root = ET.fromstring(badge.draw(made, text))
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "title", "rect", "text"}


@pytest.mark.parametrize("flavour", junit.FLAVOURS)
def test_junit_is_read_and_names_no_file_but_the_figures(hostile, tmp_path, flavour):
    _, made, _ = hostile
    pair = next(iter(made.by_pair))
    junit.write(made, tmp_path / "x.xml", flavour, {pair: ["out/figures/a b.svg"]})
    root = ET.parse(tmp_path / "x.xml").getroot()
    assert len(root.findall(".//testcase")) == 3
    said = "\n".join(e.text or "" for e in root.iter("system-out"))
    assert "[[ATTACHMENT|out/figures/a b.svg]]" in said
    assert said.count("[[ATTACHMENT|") == 1


def test_files_of_every_eval_ever_stay_below_their_folder(hostile):
    text, made, evidence = hostile
    for models in ({}, {text: text}, {text: f"org/{text}"}):
        files = eee.write(made, evidence, models)
        assert find_faults(files) == []
        for path in files:
            assert ".." not in PurePosixPath(path).parts
            assert all(len(part.encode()) < 200 for part in PurePosixPath(path).parts)
            assert not re.search(r'[<>:"\\|?*\x00-\x1f]', path)


def test_files_for_the_hub_stay_below_their_folder_and_are_data(hostile):
    _, made, _ = hostile
    for path, text in hub.write(made, {}, "org/bench").items():
        assert ".." not in PurePosixPath(path).parts
        assert yaml.safe_load(text)


def test_no_line_drives_the_terminal_or_fills_it(hostile):
    _, made, _ = hostile
    for brief in (False, True):
        lines = render(made, width=80, brief=brief)
        assert all(plain(line) == line and "\n" not in line for line in lines)
        assert len(lines) < 120


@settings(max_examples=150)
@given(st.text(st.characters(), max_size=120))
def test_whatever_a_text_holds_a_formula_is_no_cell_and_code_is_one_span(text):
    assert not frames.defuse(text).startswith(frames.FORMULA)
    span = markdown.escape(text)
    inner = span.removeprefix("<code>").removesuffix("</code>")
    assert not re.search(r"[<>|`\n@\\\[\]*_]", inner)


def test_a_notebook_shows_texts_and_no_tags_of_others(hostile):
    _, made, _ = hostile
    told = notebook.describe_record(made.records[0])
    for shown in (made._repr_html_(), notebook.to_html(made.records[0].claim, told)):
        assert set(re.findall(r"</?(\w+)", shown)) <= {"div", "strong", "table", *TABLE}
        assert "onerror=" not in re.sub(r"&[#\w]+;", "", re.sub(r">[^<]*<", "><", shown))
    for line in notebook.to_text(made.records[0].claim, told).splitlines():
        assert plain(line) == line
        assert len(line) < 700
    assert repr(made) == "Scorecard of 3 claims on 1 subject: 1 refuted, 1 ERROR, 1 MISSING"


def test_a_drawing_for_a_notebook_is_well_formed_whatever_the_subject_is_called(tmp_path):
    data = similarity().assign_attrs(experiment="similarity")
    drawing = notebook.draw(data, HOSTILE["tag"])
    assert ET.fromstring(drawing._repr_svg_()).tag.endswith("svg")
    drawing.save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == drawing.svg
    with pytest.raises(
        LookupError, match="no figure is made of listing; there are some of .*similarity"
    ):
        notebook.draw(data.assign_attrs(experiment="listing"), "tiny")
