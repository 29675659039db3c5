"""Reasons for changes of claims, as a changelog gives them: entries that name claims by id or by family.

An id may stand without its paper (`4.3.keys`), and a star for any letters (`4.5.degraded_*`) once the section
is written out: `4.*` names nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

UNRELEASED = "Unreleased"

_NAME = re.compile(r"`([^`]+)`")


def read_entries(text: str) -> dict[str, list[str]]:
    """The entries of a changelog by the headings of its versions; line breaks are spaces in them."""
    found: dict[str, list[str]] = {}
    entries: list[str] | None = None
    fresh = True
    for line in text.splitlines():
        if line.startswith("## "):
            entries, fresh = found.setdefault(line[3:].strip(" []"), []), True
        elif entries is not None and (not line.strip() or line.startswith("#")):
            fresh = True
        elif entries is not None:
            if fresh or re.match(r"\s*[-*] ", line):
                entries.append("")
            entries[-1] = f"{entries[-1]} {' '.join(line.split())}".strip()
            fresh = False
    return found


def find_new_entries(text: str, before: str = "") -> list[str]:
    """Entries under "Unreleased", or of versions since, that an earlier changelog does not have.

    What stood there before was written for an earlier change, and is no reason for a later one.

    Args:
        text: The changelog.
        before: The earlier one; "" if there is none.
    """
    old = read_entries(before)
    written = {entry for entries in old.values() for entry in entries}
    return [
        entry
        for heading, entries in read_entries(text).items()
        if heading == UNRELEASED or (before and heading not in old)
        for entry in entries
        if entry not in written
    ]


def find_reason(names: Iterable[str], experiment: str, entries: Sequence[str]) -> str | None:
    """The first entry that explains a change; None unless every name stands in some entry.

    Args:
        names: Ids of claims, or the name of a rule or an option.
        experiment: Explains the change in their stead if an entry says "experiment `NAME`"; "" for none.
        entries: From `find_new_entries`.
    """
    if experiment:
        for entry in entries:
            if f"experiment `{experiment}`" in entry:
                return entry
    found = [next((e for e in entries if names_in(e, name)), None) for name in names]
    return found[0] if found and all(found) else None


def names_in(entry: str, name: str) -> bool:
    """Whether an entry names a claim, a rule or an option, in backticks."""
    return any(_matches(written, name) for written in _NAME.findall(entry))


def _matches(written: str, name: str) -> bool:
    section, _, _ = name.rpartition(".")
    paper, _, short = section.partition(".")
    for whole, prefix in ((name, section), (name.removeprefix(f"{paper}."), short)):
        if written == whole:
            return True
        if prefix and written.startswith(f"{prefix}.") and "*" in written:
            pattern = ".*".join(map(re.escape, written.split("*")))
            if re.fullmatch(pattern, whole):
                return True
    return False
