"""Put parts of other documents into pages of the site, and let links lead to where these parts are.

A document is read in two places: as a file of the repository, and on the site. So nothing is copied. A page
has a comment where a part belongs, beside a link to it for whoever reads the file:

    <!-- part: ../../README.md#see-it-work -->    that heading, and what stands under it down to the next one
    <!-- part: ../../README.md -->                what stands under the title
    <!-- claims: visual_symbols -->               every claim of a paper (see claim_pages.py)
    <!-- contents -->                             the lists of links above it are the contents of the site
    <!-- contents: 0* -->                         so are all files beside it of these names

Links of all documents are those of files. One that leads to a file of the repository outside docs/ leads on the
site to the page that holds the part, or else to a copy of the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from claim_pages import describe_claims

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent

PART = re.compile(r"^<!-- part: (?P<file>[^\s#]+)(?:#(?P<anchor>[\w-]+))? -->$", re.M)
CLAIMS = re.compile(r"^<!-- claims: (?P<paper>\w+) -->$", re.M)
CONTENTS = re.compile(r"^<!-- contents(?:: (?P<names>\S+))? -->$", re.M)
HEADING = re.compile(r"^(?P<level>#+) +(?P<text>.+)$")
LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s#:]*)(?P<anchor>#[\w-]+)?(?=\))")
FENCE = re.compile(r"^ *```")


class Held(NamedTuple):
    """A part of a file that a page holds: the file, the anchors of the part's headings, and the page."""

    file: Path
    anchors: frozenset[str]
    page: Path


def setup(app: Any) -> dict[str, Any]:
    """Tell Sphinx to fill every page when it is read."""
    app.connect("source-read", _fill)
    return {"version": "1", "parallel_read_safe": True}


def _fill(app: Any, name: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(name))
    if page.suffix == ".md":
        source[0] = fill_page(source[0], page, Path(app.srcdir) / "drawn")


def fill_page(text: str, page: Path, drawn: Path) -> str:
    """The text of a page with its parts, and with links that lead to where something is on the site.

    Args:
        text: As it stands in the file.
        page: The file.
        drawn: Folder for figures.

    Raises:
        ValueError: A part is not there; the message names it and the page.
    """

    def take(found: re.Match[str]) -> str:
        file = (page.parent / found["file"]).resolve()
        return point_links(cut_part(file, found["anchor"]), file, page)

    text = PART.sub(take, point_links(text, page, page))
    text = CLAIMS.sub(lambda found: describe_claims(found["paper"], page, drawn), text)
    return CONTENTS.sub(lambda found: write_contents(found["names"], text), text)


def write_contents(names: str | None, text: str) -> str:
    """Contents for the site's margin, which the page itself does not show.

    Args:
        names: Pattern of the names of files beside the page; None for the links of its lists, by heading.
        text: The page.
    """
    if names:
        return f"```{{toctree}}\n:hidden:\n:glob:\n\n{names}\n```"
    blocks = []
    for part in re.split(r"^## +", text, flags=re.M)[1:]:
        title, _, rest = part.partition("\n")
        links = re.findall(r"^- \[[^\]]+\]\(([^)\s#:]+)\.md\)", rest, re.M)
        if links:
            lines = "\n".join(links)
            blocks.append(f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{lines}\n```")
    return "\n\n".join(blocks)


def cut_part(file: Path, anchor: str | None) -> str:
    """A heading of a file with what stands under it, down to the next; or what stands under the title.

    Raises:
        ValueError: There is no such file or heading.
    """
    if not file.is_file():
        raise ValueError(f"{file} is not there")
    lines = file.read_text(encoding="utf-8").splitlines()
    starts = {slug(h["text"]): number for number, h in find_headings(lines)}
    if anchor is not None and anchor not in starts:
        raise ValueError(f"{file} has no heading {anchor}; it has {', '.join(starts)}")
    title = next(iter(starts.values()))
    start = title + 1 if anchor is None else starts[anchor]
    after = [number for number in starts.values() if number > max(start, title)]
    part = lines[start : after[0] if after else None]
    if anchor is not None:
        # Whatever stood above it there, here it stands under the page's title.
        part[0] = re.sub(r"^#+", "##", part[0])
    return "\n".join(part)


def find_headings(lines: list[str]) -> Iterator[tuple[int, re.Match[str]]]:
    """The headings of a document by their lines; what stands between fences is none."""
    inside = False
    for number, line in enumerate(lines):
        inside ^= bool(FENCE.match(line))
        if not inside and (found := HEADING.match(line)):
            yield number, found


def slug(heading: str) -> str:
    """The anchor that a heading has where the repository is shown, and on the site."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def point_links(text: str, file: Path, page: Path) -> str:
    """Let the links of a file lead from a page to the same places.

    Args:
        text: A part of the file.
        file: The file that it was written in, to which its links are relative.
        page: The page that shows it.
    """

    def point(found: re.Match[str]) -> str:
        path, anchor = found["path"], found["anchor"] or ""
        target = (file.parent / path).resolve() if path else file
        holder = find_page(target, anchor)
        if holder is None and not path:
            return found[0]
        if holder == page:
            return anchor or page.name
        led = os.path.relpath(holder or target, page.parent).replace(os.sep, "/")
        if holder is None and target.suffix == ".md" and not target.is_relative_to(DOCS):
            # MyST would look for a page of that name; this makes it a copy of the file.
            return f"path:{led}"
        return led + anchor

    lines, inside = text.split("\n"), False
    for number, line in enumerate(lines):
        inside ^= bool(FENCE.match(line))
        if not inside:
            lines[number] = LINK.sub(point, line)
    return "\n".join(lines)


def find_page(file: Path, anchor: str = "") -> Path | None:
    """The page that holds a file, or the part of it with an anchor; None if there is none."""
    if file.is_relative_to(DOCS):
        return None
    holding = [held for held in list_held() if held.file == file]
    if anchor:
        holding = [held for held in holding if anchor.removeprefix("#") in held.anchors]
    return holding[0].page if holding else None


@cache
def list_held() -> tuple[Held, ...]:
    """Every part that a page holds, the index first."""
    pages = sorted(DOCS.rglob("*.md"), key=lambda p: (p.parent != DOCS, p.name != "index.md", p))
    found = []
    for page in pages:
        for part in PART.finditer(page.read_text(encoding="utf-8")):
            file = (page.parent / part["file"]).resolve()
            lines = cut_part(file, part["anchor"]).splitlines()
            anchors = frozenset(slug(h["text"]) for _, h in find_headings(lines))
            found.append(Held(file, anchors, page))
    return tuple(found)
