"""A folder of a run is whole: what the page shows is beside it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from urllib.parse import unquote

from cards import card, record
from measurements import components, mediation, similarity

from harness.reporting.writing import write_pages

KEPT = {
    "k1": similarity().assign_attrs(experiment="similarity"),
    "k2": mediation().assign_attrs(experiment="mediation"),
    "k3": components().assign_attrs(experiment="components"),
}


def test_every_image_of_the_page_is_there(tmp_path):
    made = card(
        record("p.1.a", "org/model", measurement="k1"),
        record("p.1.b", "org/model", measurement="k1"),
        record("p.1.c", "org/model", measurement="k2"),
        record("p.1.c", "other", measurement="k3"),
        record("p.1.d", "other", measurement="not kept"),
        record("p.1.e", "other"),
    )
    write_pages(made, KEPT, tmp_path)
    images = re.findall(r'<img src="([^"]+)"', (tmp_path / "index.html").read_text())
    assert len(images) == 3
    assert all((tmp_path / unquote(image)).is_file() for image in images)
    assert len(ET.parse(tmp_path / "scorecard.xml").findall(".//testcase")) == 6
