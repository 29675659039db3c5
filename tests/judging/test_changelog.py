"""A reason is an entry that is new, is not released yet, and names the claim or its family."""

from __future__ import annotations

import pytest

from harness.judging.changelog import (
    find_new_entries,
    find_reason,
    names_in,
    read_entries,
)

LOG = """# Changelog

`visual_symbols.0.preface` is no entry.

## Unreleased

A word on `3.1.words` before the lists,
on two lines.

### Changed

- `3.4.few_heads` is above 0.1: the old one
  let `shortcut` pass.
- All of `4.5.degraded_*`.

## 0.1.0 (2026-01-02)

- `3.3.old` was new.
"""

ID = "visual_symbols.4.5.degraded_ids_err"


def test_entries_are_read_by_version_and_over_line_breaks():
    assert read_entries(LOG) == {
        "Unreleased": [
            "A word on `3.1.words` before the lists, on two lines.",
            "- `3.4.few_heads` is above 0.1: the old one let `shortcut` pass.",
            "- All of `4.5.degraded_*`.",
        ],
        "0.1.0 (2026-01-02)": ["- `3.3.old` was new."],
    }


def test_an_entry_that_stood_there_before_is_no_reason_for_a_later_change():
    assert len(find_new_entries(LOG)) == 3
    assert find_new_entries(LOG, LOG) == []
    more = LOG.replace("## 0.1.0", "- `3.3.another` is gone.\n\n## 0.1.0")
    assert find_new_entries(more, LOG) == ["- `3.3.another` is gone."]


def test_a_release_between_two_revisions_keeps_its_reasons():
    released = LOG.replace("## Unreleased", "## Unreleased\n\n## 0.2.0")
    assert find_new_entries(released, LOG.partition("### Changed")[0]) == [
        "- `3.4.few_heads` is above 0.1: the old one let `shortcut` pass.",
        "- All of `4.5.degraded_*`.",
        "- `3.3.old` was new.",
    ]
    assert find_new_entries(released) == []


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        (f"`{ID}` is gone.", True),
        ("`4.5.degraded_ids_err` is gone.", True),
        ("`4.5.degraded_*` ask less.", True),
        ("`4.5.*_err`", True),
        ("`visual_symbols.4.5.*`", True),
        ("`4.*`", False),
        ("`visual_symbols.*`", False),
        ("`*`", False),
        ("`*.degraded_ids_err`", False),
        ("`degraded_ids_err`", False),
        ("`4.5.degraded`", False),
        ("`4x5.degraded_*`", False),
        ("4.5.degraded_ids_err is gone.", False),
        ("`visual_symbols.4.5.degraded_ids_err.more`", False),
        ("`reproduction.4.5.degraded_*`", False),
    ],
)
def test_a_claim_is_named_by_its_id_or_by_a_family_of_its_section(entry, named):
    assert names_in(entry, ID) is named


def test_every_claim_of_a_change_must_be_named_or_its_experiment():
    entries = ["`4.5.degraded_*` ask less.", "The experiment `keys` has 90 trials."]
    assert find_reason([ID], "", entries) == entries[0]
    assert find_reason([ID, "visual_symbols.4.3.keys"], "", entries) is None
    assert find_reason([ID, "visual_symbols.4.3.keys"], "keys", entries) == entries[1]
    assert find_reason([ID], "key", ["the experiment `keys`"]) is None
    assert find_reason(["ALPHA"], "", ["`ALPHA` is 0.05."]) == "`ALPHA` is 0.05."
    assert find_reason([], "", entries) is None
