"""What is not there, or of another batch, is refused before anything is run."""

from __future__ import annotations

import pytest
import torch
from hooked import unequal

from harness.tracing.edit import Edit
from harness.tracing.generate import generate
from harness.tracing.replay import replay


def at_last(rows, value=0):
    return torch.full((rows, 1), value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "0 steps; at least one"),
        ({"ablated": [(8, 0)]}, "no layer 8; it has 0 to 7"),
        ({"ablated": [(-1, 0)]}, "no layer -1"),
        ({"ablated": [(0, 8)]}, "no head 8; there are 0 to 7"),
        ({"edits": [Edit("residual", 8, at_last(2), 0.0)]}, "no layer 8"),
        ({"edits": [Edit("head", 0, at_last(2), 0.0, (9,))]}, "no head 9"),
        ({"edits": [Edit("head", 0, at_last(1), 0.0)]}, "are of 1 rows, the batch of 2"),
        ({"edits": [Edit("head", 0, at_last(2, 999), 0.0)]}, r"tokens that are not 0 to \d+"),
        ({"edits": [Edit("head", 0, at_last(2, -1), 0.0)]}, "tokens that are not 0"),
    ],
)
def test_nothing_is_written_with_what_is_not_there(subject, given, said):
    with pytest.raises(ValueError, match=said):
        generate(subject, unequal(subject, 2, 0), **{"steps": 1, **given})


@pytest.mark.parametrize(
    ("edit", "named", "said"),
    [
        (Edit("residual", 8, at_last(2), 0.0), {}, "no layer 8; it has 0 to 7"),
        (Edit("residual", 0, at_last(1), 0.0), {}, "tokens are of 1 rows, the batch of 2"),
        (Edit("residual", 0, at_last(2, 999), 0.0), {}, r"tokens 999 to 999; there are 0 to \d+"),
        (Edit("residual", 0, at_last(2, -1), 0.0), {}, "tokens -1 to -1"),
        (Edit("residual", 0, at_last(2), torch.ones(3, 1, 8)), {}, "values are of 3 rows"),
        (Edit("residual", 0, at_last(2), 0.0), {"read": at_last(1)}, "read is of 1 rows"),
        (Edit("residual", 0, at_last(2), 0.0), {"at": at_last(1)[0]}, "at is of 1 rows"),
    ],
)
def test_nothing_is_replayed_that_is_not_of_the_batch(subject, edit, named, said):
    with pytest.raises(ValueError, match=said):
        replay(subject, unequal(subject, 2, 0), [[edit]], **named)
