"""To which seal a run was held, on the scorecard and in a comparison."""

from __future__ import annotations

import pytest
from cards import card, record, run
from scored import first, measured, side

from harness.judging.record import RunFacts
from harness.reporting.compare import compare
from harness.reporting.gate import markdown, render
from harness.reporting.sealed import tell_seal
from harness.reporting.terminal import render as render_card

DIGEST = "0123456789ab" + "c" * 52
SEAL = {"digest": DIGEST, "written": "2026-01-02T03:04:05+00:00"}
CHANGED = {**SEAL, "changed": "the code that measures"}


def test_a_run_says_to_which_seal_it_was_held_and_what_changed_since():
    assert tell_seal(run()) == ""
    assert tell_seal(run(seal=SEAL)) == "sealed 0123456789ab"
    assert (
        tell_seal(run(seal=CHANGED)) == "sealed 0123456789ab, the code that measures changed since"
    )


def test_the_scorecard_names_it_in_its_title():
    title = " ".join(render_card(card(record(), seal=CHANGED))[:3])
    assert "sealed 0123456789ab, the code that measures changed since" in title
    assert "sealed" not in " ".join(render_card(card(record())))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {}, []),
        (SEAL, SEAL, [f"both runs were held to one seal: sealed {DIGEST}"]),
        (
            {},
            SEAL,
            [
                f"the run was held to a seal: sealed {DIGEST}",
                "the baseline was held to no seal",
            ],
        ),
        (
            SEAL,
            {**CHANGED, "digest": "d" * 64},
            [
                f"the run was held to a seal: sealed {'d' * 64}, the code that measures changed since",
                f"the baseline was held to a seal: sealed {DIGEST}",
            ],
        ),
    ],
)
def test_a_comparison_notes_the_seals_of_both_sides(before, after, said):
    one = measured(first(0.9))
    found = compare(side(one, seal=before), side(one, seal=after))
    assert list(found.notes) == said
    assert all(text in markdown(found) for text in said)
    assert all(text in " ".join(render(found)) for text in said)


def test_a_scorecard_from_before_there_were_seals_was_held_to_none():
    row = run().to_json()
    del row["seal"]
    assert RunFacts.from_json(row) == run()
