"""The page is one file, escapes what it shows, and has every verdict on it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest
from cards import card, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from large import examples

from harness.judging.controls import read_expected
from harness.reporting import page
from harness.reporting.claim_rows import sort_claims
from harness.reporting.drawing import RivalScores, Shown
from harness.reporting.figures import Picture
from harness.reporting.scenes import read_trials
from harness.reporting.wording import WORDS, plain

VOID = {"meta", "img", "br", "line", "rect", "path", "circle", "input"}


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


def written(scorecard, folder, **parts) -> str:
    page.write(scorecard, folder / "index.html", figures=folder, **parts)
    return (folder / "index.html").read_text(encoding="utf-8")


def text_of(html: str) -> str:
    html = re.sub(r"<(style|script)>.*?</\1>", " ", html, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def show(folder, *, title="a figure", examples="") -> page.Measured:
    (folder / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    shown = Shown(
        "keys",
        Picture(title, "What it shows.", "a.svg"),
        examples,
        [RivalScores("", [("relative", "0.9 of 40 trials")])],
        [("trials", "40")],
    )
    return page.Measured(0, "tiny", "k1", shown, read_trials(examples))


FULL = card(
    record("paper.1.a", published=0.61, baseline="supported", measurement="k1"),
    record("paper.1.a", "other", "refuted"),
    record("paper.1.b", verdict="refuted", baseline="supported", unit="layers"),
    record("paper.2.c", verdict="not_applicable"),
    missing=[("paper.2.c", "other")],
)


def test_the_page_is_one_file_and_asks_for_nothing(tmp_path):
    html = written(FULL, tmp_path, measurements=[show(tmp_path, examples=json.dumps(examples()))])
    elements = Elements(html)
    assert not elements.named("link")
    images = elements.named("img")
    assert len(images) == 7
    assert all(image["src"].startswith("data:image/") for image in images)
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_only_the_script_of_the_page_may_run(tmp_path):
    html = written(FULL, tmp_path)
    [script] = re.findall(r"<script>(.*?)</script>", html, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = [m["content"] for m in Elements(html).named("meta") if "http-equiv" in m]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_links_and_controls_inside_the_page_have_targets(tmp_path):
    elements = Elements(written(FULL, tmp_path, measurements=[show(tmp_path)]))
    ids = [a["id"] for _, a in elements.found if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"].removeprefix("#") for a in elements.named("a")}
    targets |= {b["aria-controls"] for b in elements.named("button") if "aria-controls" in b}
    targets |= {d["data-shows"] for d in elements.named("details") if "data-shows" in d}
    assert "m0" in targets
    assert "paper.1.b" in targets
    assert targets <= set(ids)


def test_every_pair_has_a_verdict_in_the_table(tmp_path):
    html = written(FULL, tmp_path)
    roles = re.findall(r'<td data-verdict="(\w*)', html)
    assert sorted(roles) == ["", "missing", "not_applicable", "refuted", "refuted", "supported"]


def test_verdicts_differ_by_sign_and_word_and_not_by_color_alone(tmp_path):
    html = written(FULL, tmp_path)
    assert len(set(page.SIGNS.values())) == len(page.SIGNS) == len(WORDS)
    for verdict in ("supported", "refuted", "missing"):
        sign, word = page.SIGNS[verdict], WORDS[verdict]
        assert re.search(
            f'<span class="chip {verdict}"><span class="sign"[^>]*>{re.escape(sign)}</span><span>{word}<',
            html,
        )


def test_the_page_says_what_differs_what_is_missing_and_what_it_cannot_tell(tmp_path):
    text = text_of(written(FULL, tmp_path))
    assert "Against the baseline: 1 regressed" in text
    assert "1 collected without a verdict" in text
    assert "above 0.4 r ; threshold stated in the paper" in text
    assert "refuted by a whole 95% interval at or below 0.4 r" in text
    assert "because it is refuted" in text
    assert "40, 20" in text
    assert FULL.correction in text
    assert "What these verdicts cannot tell" in text
    assert "Again: pytest claims -k paper.1.a --subject tiny --subject other --seed 7" in text


def test_a_claim_shows_the_controls_that_must_refute_it(tmp_path):
    made = card(record("visual_symbols.4.3.keys"))
    text = text_of(written(made, tmp_path))
    known = {
        c: e.verdict for (of, c), e in read_expected().items() if of == "visual_symbols.4.3.keys"
    }
    assert known["planted"] == "supported"
    assert known["shortcut"] == "refuted"
    assert re.search("must hold on planted,.* and be refuted on shortcut", text)


def test_trials_rivals_and_figures_of_a_measurement_are_shown(tmp_path):
    html = written(FULL, tmp_path, measurements=[show(tmp_path, examples=json.dumps(examples()))])
    text = text_of(html)
    assert "In this image there is a red square and a" in text
    assert "right blue as it is blue keys exchanged red" in text
    assert "relative 0.9 of 40 trials" in text
    assert 'alt="red square in row 1, column 1, blue circle in row 2, column 2"' in html
    assert 'data-shows="m0"' in html


def test_what_was_not_measured_has_no_marks(tmp_path):
    html = written(card(record(), record(subject="other", verdict="blocked")), tmp_path)
    assert html.count('class="dot"') == html.count('class="whisker"') == 1
    assert html.count('class="threshold"') == 2
    assert "None" not in html


def test_without_a_baseline_its_section_is_left_out(tmp_path):
    html = written(card(record()), tmp_path)
    assert 'id="changes"' not in html
    assert 'id="measurements"' not in html
    assert 'class="banner"' not in html
    assert "Against the baseline: none was used." in text_of(html)


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
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
@given(st.text(st.characters() | st.sampled_from("<>&\"'{}%\x1b\x00\ud800"), max_size=40))
def test_any_text_is_shown_and_never_run(tmp_path, text):
    hostile = f"x<script>alert(1)</script></noscript>\"'{{{{7*7}}}}{text}"
    trial = examples()[0] | {"prompt": hostile, "right": hostile, "answers": {hostile: hostile}}
    made = card(
        record(subject=hostile, verdict="refuted", reason=hostile, unit=hostile, measurement="k1")
    )
    one = show(tmp_path, title=hostile, examples=json.dumps([trial]))._replace(subject=hostile)
    story = page.Story(hostile, hostile, one.shown.picture)
    html = written(made, tmp_path, measurements=[one], stories=[story])
    elements = Elements(html)
    assert len(elements.named("script")) == 1
    assert plain(html) == html
    assert " ".join(plain(hostile).split()) in " ".join(unescape(html).split())


def test_a_reason_of_ten_thousand_characters_is_folded_and_whole(tmp_path):
    reason = "x" * 10_000
    html = written(card(record(verdict="refuted", reason=reason)), tmp_path)
    assert reason in html
    [before] = re.findall(rf"(<details[^>]*><summary>[^<]*</summary>)\s*{reason}", html)
    assert len(before) < 1000


def test_deviations_of_the_reproduction_come_last_and_sections_as_in_the_paper():
    mixed = ["reproduction.keys.a", "p.b.x", "p.4.10.x", "p.4.2.x", "p.3.3.y", "p.3.3.x", "q.1.x"]
    wanted = ["p.3.3.y", "p.3.3.x", "p.4.2.x", "p.4.10.x", "p.b.x", "q.1.x", "reproduction.keys.a"]
    assert sort_claims(mixed) == wanted


def test_sections_are_titled_by_their_source(tmp_path):
    made = card(
        record("p.3.3.a", source="Some paper 2026, section 3.3"),
        record("p.b.a", source="Some paper 2026, appendix B"),
        record("reproduction.keys.a", source="Deviation 1 of the reproduction; discrepancy: x"),
    )
    text = text_of(written(made, tmp_path))
    for title in (
        "Some paper 2026, section 3.3",
        "Some paper 2026, appendix B",
        "Deviations of the reproduction: keys",
    ):
        assert title in text


def test_the_page_is_the_same_bytes_twice(tmp_path):
    assert written(FULL, tmp_path) == written(FULL, tmp_path)
