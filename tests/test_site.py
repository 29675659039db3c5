"""The site shows parts of other files where their comments stand, and its links lead to where they are."""

from __future__ import annotations

import re
import sys

import pytest

from harness.machine.files import ROOT

DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "extensions"))

import claim_pages  # noqa: E402
import parts  # noqa: E402

PAGES = sorted(
    p for p in DOCS.rglob("*.md") if p.relative_to(DOCS).parts[0] not in ("api", "drawn")
)


@pytest.fixture
def filled(monkeypatch, tmp_path):
    """A function that gives a page as the site shows it, without figures."""
    monkeypatch.setattr(
        claim_pages, "draw_claim", lambda claim, records, folder: _Picture(claim.id)
    )
    return lambda page: parts.fill_page(page.read_text(encoding="utf-8"), page, DOCS / "drawn")


class _Picture:
    def __init__(self, claim: str) -> None:
        self.caption, self.filename = claim, f"{claim}.svg"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_every_link_of_the_site_leads_to_a_file_and_an_anchor_there(page, filled):
    text = filled(page)
    inside = False
    for line in text.split("\n"):
        inside ^= bool(parts.FENCE.match(line))
        for found in [] if inside else parts.LINK.finditer(line):
            path, anchor = found["path"], (found["anchor"] or "").removeprefix("#")
            aim = (page.parent / path).resolve() if path else page
            if aim.parent == DOCS / "drawn":
                continue
            assert aim.exists(), f"{page}: {found[0]}"
            if anchor and aim.suffix == ".md":
                shown = filled(aim) if aim.is_relative_to(DOCS) else aim.read_text()
                slugs = {parts.slug(h["text"]) for _, h in parts.find_headings(shown.split("\n"))}
                assert anchor in slugs, f"{page}: {found[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_no_page_leaves_a_comment_for_the_site_unread(page, filled):
    assert not re.search(r"<!-- (part|claims|contents)\b", filled(page))
    headings = [len(h["level"]) for _, h in parts.find_headings(filled(page).split("\n"))]
    assert headings[0] == 1
    assert headings.count(1) == 1


def test_a_link_into_the_readme_leads_to_the_page_that_has_the_section():
    page, readme = DOCS / "gate.md", ROOT / "README.md"
    assert parts.point_links("[x](../README.md#use-it)", page, page) == "[x](site/start.md#use-it)"
    assert (
        parts.point_links("[x](docs/gate.md#exit-status)", readme, page)
        == "[x](gate.md#exit-status)"
    )
    assert parts.point_links("[x](CHANGELOG.md)", readme, page) == "[x](path:../CHANGELOG.md)"
    assert parts.point_links("[x](https://e.org/a#b)", readme, page) == "[x](https://e.org/a#b)"
    fence = "```\n[x](docs/gate.md)\n```"
    assert parts.point_links(fence, readme, page) == fence


def test_a_part_ends_before_the_next_heading_and_a_missing_one_is_named(tmp_path):
    file = tmp_path / "a.md"
    file.write_text("# T\n\nintro\n\n### One\n\n```\n## no heading\n```\n\n## Two\n\nb\n")
    assert parts.cut_part(file, None) == "\nintro\n"
    assert parts.cut_part(file, "one") == "## One\n\n```\n## no heading\n```\n"
    assert parts.cut_part(file, "two") == "## Two\n\nb"
    with pytest.raises(ValueError, match="has no heading three; it has t, one, two"):
        parts.cut_part(file, "three")


def test_every_section_of_the_readme_and_of_contributing_is_on_the_site():
    held = {(h.file.name, anchor) for h in parts.list_held() for anchor in h.anchors}
    for name in ("README.md", "CONTRIBUTING.md"):
        lines = (ROOT / name).read_text().splitlines()
        sections = {
            parts.slug(h["text"]) for _, h in parts.find_headings(lines) if len(h["level"]) > 1
        }
        missing = sections - {anchor for file, anchor in held if file == name}
        # The shortest way to a claim is told at more length in CONTRIBUTING.
        assert missing <= {"add-a-claim"}, f"{name}: give these a place in docs/site/: {missing}"


def test_every_document_is_in_the_contents():
    listed = set()
    for page in (DOCS / "index.md", DOCS / "decisions" / "README.md"):
        text = page.read_text()
        listed |= {
            (page.parent / link["path"]).resolve()
            for link in parts.LINK.finditer(text)
            if link["path"]
        }
    assert set(PAGES) - {DOCS / "index.md"} <= listed


def test_the_page_of_a_paper_has_every_claim_with_its_source_and_threshold(filled):
    from harness.runs.claim_functions import load_claims

    text = filled(DOCS / "site/claims/visual_symbols.md") + filled(
        DOCS / "site/claims/reproduction.md"
    )
    for claim, _ in load_claims().values():
        assert f"- id: `{claim.id}`\n- source: {claim.source}\n" in text
        assert claim.statement in text
        assert (
            f"{claim.threshold.direction} {claim.threshold.value:g} {claim.threshold.unit}" in text
        )


def test_a_claim_is_drawn_with_its_threshold_and_what_is_published(tmp_path):
    from harness.reporting.claim_figure import draw_claim
    from harness.runs.claim_functions import load_claims

    records = claim_pages._read_baselines()
    claim = next(c for c, _ in load_claims().values() if c.published and c.id in records)
    shown = [r for r in records[claim.id] if r.estimate is not None]
    picture = draw_claim(claim, shown, tmp_path)
    assert (tmp_path / picture.filename).read_text().count("<svg") == 1
    assert all(r.subject in picture.caption for r in shown)
    assert "published" in picture.caption
    again = (tmp_path / picture.filename).read_bytes()
    draw_claim(claim, shown, tmp_path)
    assert (tmp_path / picture.filename).read_bytes() == again
