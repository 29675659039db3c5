"""A folder of a run is whole: the page shows every measurement that is there."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from cards import card, record
from measurements import components, mediation, similarity

from harness.reporting.writing import write_pages

KEPT = {
    "k1": similarity().assign_attrs(experiment="similarity"),
    "k2": mediation().assign_attrs(experiment="mediation"),
    "k3": components().assign_attrs(experiment="components"),
}


def test_the_page_has_a_figure_of_every_measurement_that_is_drawn(tmp_path):
    made = card(
        record("p.1.a", "org/model", measurement="k1"),
        record("p.1.b", "org/model", measurement="k1"),
        record("p.1.c", "org/model", measurement="k2"),
        record("p.1.c", "other", measurement="k3"),
        record("p.1.d", "other", measurement="not kept"),
        record("p.1.e", "other"),
    )
    write_pages(made, KEPT, tmp_path)
    page = (tmp_path / "index.html").read_text()
    # Three measurements, and the story of the one subject of which it was measured.
    drawn = r'<noscript class="lazy">(<figure>)?<img src="data:image/svg\+xml;base64,'
    assert len(re.findall(drawn, page)) == 4
    assert len(list((tmp_path / "figures").glob("*.svg"))) == 4
    assert re.findall(r'data-shows="(m\d)"', page) == ["m0", "m0", "m1", "m2"]
    assert page.count("No measurement of this claim is in the store") == 2
    assert len(ET.parse(tmp_path / "scorecard.xml").findall(".//testcase")) == 6


def test_pages_written_again_from_what_is_kept_are_the_same(tmp_path):
    made = card(record("p.1.a", "m", measurement="k1"), record("p.1.b", "m", measurement="k2"))
    write_pages(made, KEPT, tmp_path / "a", cache=tmp_path / "kept")
    write_pages(made, {}, tmp_path / "b", cache=tmp_path / "kept")
    pages = [(tmp_path / name / "index.html").read_bytes() for name in "ab"]
    assert pages[0] == pages[1]
