"""The page stands alone, escapes what it shows, and has every verdict on it."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from cards import card, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.reporting import page
from harness.reporting.wording import plain

VOID = {"meta", "img", "br", "line", "rect", "path", "circle"}


class Elements(HTMLParser):
    """Every element with its attributes; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def written(scorecard, folder, figures=()) -> str:
    page.write(scorecard, figures, folder / "index.html")
    return (folder / "index.html").read_text(encoding="utf-8")


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


FULL = card(
    record("paper.1.a", published=0.61, baseline="supported"),
    record("paper.1.a", "other", "refuted"),
    record("paper.1.b", verdict="refuted", baseline="supported", unit="layers"),
    record("paper.2.c", verdict="not_applicable"),
    missing=[("paper.2.c", "other")],
)


def test_the_page_needs_no_network(tmp_path):
    html = written(FULL, tmp_path, [("t", "c", "figures/a b.svg")])
    elements = Elements(html)
    assert not elements.named("script")
    assert not elements.named("link")
    assert elements.named("img") == [{"src": "figures/a%20b.svg", "alt": "t", "loading": "lazy"}]
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_links_inside_the_page_have_targets(tmp_path):
    elements = Elements(written(FULL, tmp_path))
    ids = [a["id"] for _, a in elements.found if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for a in elements.named("a")}
    assert targets
    assert {t.removeprefix("#") for t in targets} <= set(ids)


def test_every_pair_has_a_verdict_in_the_table(tmp_path):
    html = written(FULL, tmp_path)
    table = html[html.index("<table") : html.index("</table>")]
    chips = re.findall(r'class="chip (\w+)"', table)
    assert sorted(chips) == ["missing", "not_applicable", "refuted", "refuted", "supported"]
    assert "1 of 3" in text_of(table)
    assert "0 of 2" in text_of(table)


def test_the_page_says_what_differs_what_is_missing_and_what_it_cannot_tell(tmp_path):
    text = text_of(written(FULL, tmp_path))
    assert "regressed" in text
    assert "1 collected without a verdict" in text
    assert "above 0.4 r ; threshold stated in the paper" in text
    assert "because it is refuted" in text
    assert "40, 20" in text
    assert FULL.correction in text
    assert "What these verdicts cannot tell" in text


def test_what_was_not_measured_has_no_marks(tmp_path):
    html = written(card(record(), record(subject="other", verdict="blocked")), tmp_path)
    start = html.index('<svg class="forest"')
    plot = html[start : html.index("</svg>", start)]
    assert plot.count('class="dot"') == plot.count('class="whisker"') == 1
    assert plot.count('class="threshold"') == 2
    assert "None" not in html


def test_without_baseline_or_figures_their_sections_are_left_out(tmp_path):
    html = written(card(record()), tmp_path)
    assert 'id="changes"' not in html
    assert 'id="figures"' not in html
    assert "banner" not in html[html.index("</style>") :]


def test_a_partial_run_says_so(tmp_path):
    assert "Partial run." in written(card(record(), partial=True), tmp_path)


def test_a_subject_with_its_own_threshold_is_named(tmp_path):
    made = card(record(), record(subject="other", threshold=0.35))
    text = text_of(written(made, tmp_path))
    assert "above 0.4 r for tiny;" in text
    assert "above 0.35 r for other;" in text


@pytest.mark.parametrize("nothing", [card(), card(missing=[("paper.1.a", "tiny")])])
def test_a_run_without_records_has_a_page(tmp_path, nothing):
    Elements(written(nothing, tmp_path))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(st.text(st.characters() | st.sampled_from("<>&\"'{}%\x1b\x00\ud800"), max_size=40))
def test_any_text_is_shown_and_never_run(tmp_path, text):
    hostile = f"x<script>alert(1)</script>\"'{{{{7*7}}}}{text}"
    made = card(record(subject=hostile, verdict="refuted", reason=hostile, unit=hostile))
    html = written(made, tmp_path, [(hostile, hostile, "a.svg")])
    elements = Elements(html)
    assert not elements.named("script")
    assert plain(html) == html
    assert " ".join(plain(hostile).split()) in " ".join(unescape(html).split())


def test_the_page_is_the_same_bytes_twice(tmp_path):
    assert written(FULL, tmp_path) == written(FULL, tmp_path)
