"""A loss that is accepted by name, with a reason: it stops no release, and nothing hides it."""

from __future__ import annotations

import pytest
from scored import first, measured, side

from harness.cli.compare import _read_reasons
from harness.reporting.compare import accept_losses, compare
from harness.reporting.gate import markdown, render, to_json


def test_an_accepted_loss_is_green_and_is_named_with_its_reason_wherever_it_is_told():
    other = measured(first(0.9), claim="paper.1.other")
    lost = measured(first(0.2), claim="paper.1.other")
    before = side(measured(first(0.9)), other)
    found = compare(before, side(measured(first(0.2)), other))
    accepted = accept_losses(found, {"paper.1.order": "order is not | sold"})
    assert (found.red, accepted.red) == (True, False)
    text = render(accepted, width=200)
    assert text[0].endswith("0 regressed, 1 accepted, 1 unchanged")
    assert "ACCEPTED paper.1.order tiny" in text
    assert (
        "    accepted: order is not | sold; was supported, is refuted: because it is refuted"
        in text
    )
    assert text[-1] == "GREEN. ACCEPTED, though lost: paper.1.order"
    row = to_json(accepted)["rows"][0]
    assert (row["fate"], row["before"], row["after"]) == ("accepted", "supported", "refuted")
    assert row["accepted"] == "order is not | sold"
    assert row["reason"].startswith("was supported")
    assert to_json(accepted)["red"] is False
    table = markdown(accepted)
    assert table.index("GREEN. ACCEPTED, though lost: paper.1.order") < table.index("| fate |")
    [line] = [
        line for line in table.splitlines() if line.startswith("| accepted | paper.1.order |")
    ]
    assert "accepted: order is not \\| sold; was supported" in line
    assert "-0.7 [" in line
    # What is lost besides is red all the same.
    both = compare(before, side(measured(first(0.2)), lost))
    rest = accept_losses(both, {"paper.1.order": "order is not sold"})
    assert rest.red
    assert render(rest, width=200)[-1].startswith("RED, 1 regressed: ")
    assert render(rest, width=200)[-1].endswith(". ACCEPTED, though lost: paper.1.order")


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("paper.1.kept", "it is unchanged, and only .*; what regressed is paper.1.order"),
        ("paper.1.gone", "it is missing, and only"),
        ("paper.1.ordr", "there is no such claim, and only"),
    ],
)
def test_only_a_claim_that_regressed_can_be_accepted(claim, said):
    kept, gone = (measured(first(0.9), claim=f"paper.1.{name}") for name in ("kept", "gone"))
    before = side(measured(first(0.9)), kept, gone)
    found = compare(before, side(measured(first(0.2)), kept))
    with pytest.raises(ValueError, match=said):
        accept_losses(found, {claim: "why"})


@pytest.mark.parametrize(
    "accepted", [["a.1.b="], ["a.1.b=  "], ["a.1.b"], ["a.1.b=why", "a.1.b=also"]]
)
def test_a_loss_is_accepted_with_one_reason_or_refused_before_anything_is_judged(accepted):
    assert _read_reasons(["a.1.b=why=so"]) == {"a.1.b": "why=so"}
    with pytest.raises(ValueError, match="--accept a.1.b: (no reason; say why|named twice)"):
        _read_reasons(accepted)
