"""Edits and tensors that do not fit the model or the batch are refused before anything is run."""

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
        ({"edits": [Edit("head", 0, at_last(1), 0.0)]}, "have 1 rows, the batch has 2"),
        ({"edits": [Edit("head", 0, at_last(2, 999), 0.0)]}, r"a token outside 0 to \d+"),
        ({"edits": [Edit("head", 0, at_last(2, -1), 0.0)]}, "a token outside 0"),
    ],
)
def test_generate_refuses_what_does_not_fit_model_and_batch(subject, given, said):
    with pytest.raises(ValueError, match=said):
        generate(subject, unequal(subject, 2, 0), **{"steps": 1, **given})


@pytest.mark.parametrize(
    ("edit", "named", "said"),
    [
        (Edit("residual", 8, at_last(2), 0.0), {}, "no layer 8; it has 0 to 7"),
        (Edit("residual", 0, at_last(1), 0.0), {}, "tokens have 1 rows, the batch has 2"),
        (Edit("residual", 0, at_last(2, 999), 0.0), {}, r"tokens 999 to 999; there are 0 to \d+"),
        (Edit("residual", 0, at_last(2, -1), 0.0), {}, "tokens -1 to -1"),
        (Edit("residual", 0, at_last(2), torch.ones(3, 1, 8)), {}, "values have 3 rows"),
        (Edit("residual", 0, at_last(2), 0.0), {"read": at_last(1)}, "read has 1 rows"),
        (Edit("residual", 0, at_last(2), 0.0), {"at": at_last(1)[0]}, "at has 1 rows"),
    ],
)
def test_replay_refuses_what_does_not_fit_model_and_batch(subject, edit, named, said):
    with pytest.raises(ValueError, match=said):
        replay(subject, unequal(subject, 2, 0), [[edit]], **named)
