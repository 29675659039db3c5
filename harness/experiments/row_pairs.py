"""What the experiments on rows share: which pairs are kept, where tokens are, and the wiring checks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from harness.experiments.answers import check_answers_right
from harness.measuring.experiment import Request
from harness.stimuli.row_tokens import NoRowTokens, Regions, RowTokens, find_row_tokens
from harness.stimuli.rows import (
    PairMaker,
    RowPair,
    RowQuestion,
    Setting,
    draw_row_pairs,
    draw_row_questions,
)
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject

LEAST_SCENES = 2
"""Kept pairs of fewer scenes than this cannot be dealt out to two halves."""

CLOSE = {torch.float32: 1e-3}
"""Difference of two probabilities that are equal by construction, at most (protocol, claims A0, C0 and E0)."""

ROUNDED = 0.02
"""The same in half precision, where the two are not rounded alike."""


class WiringFailed(RuntimeError):
    """An edit that must change nothing, or everything, does not: what was measured would mean nothing."""


def draw_kept_pairs(
    request: Request, setting: Setting, *makers: PairMaker
) -> list[tuple[RowPair, ...]]:
    """Draw pairs and keep those of which the subject answers every side right, as the paper does.

    Args:
        request: For as many pairs as `trials`.
        setting: Of the rows.
        makers: Each makes a pair of the same items.
    """
    subject, state = request.subject, request.rng.bit_generator.state
    drawn = []
    for make in makers:
        request.rng.bit_generator.state = state
        drawn.append(draw_row_pairs(make, subject.row_grid, setting, request.trials, request.rng))
    right = np.ones(request.trials, bool)
    for pairs in drawn:
        for side in ("clean", "counterfactual"):
            right &= check_answers_right(subject, [getattr(p, side).trial for p in pairs])
    return [kept for kept, good in zip(zip(*drawn, strict=True), right, strict=True) if good]


def explain_no_tokens(request: Request, setting: Setting) -> str:
    """Why a subject's image tokens cannot be told apart by items; "" if they can."""
    drawn = draw_row_questions(request.subject.row_grid, setting, 4, np.random.default_rng(0))
    batch = request.subject.encode([q.trial for q in drawn])
    try:
        for question in drawn:
            find_row_tokens(question, batch.image_grid)
    except NoRowTokens as error:
        return str(error)
    return ""


def find_all_tokens(questions: Sequence[RowQuestion], batch: Batch) -> list[RowTokens]:
    """Find for each question of a batch which image tokens its items, strips and background have."""
    return [find_row_tokens(q, batch.image_grid) for q in questions]


def exchange(regions: Sequence[Regions]) -> tuple[torch.Tensor, torch.Tensor]:
    """Where two regions are written, and which tokens go there, so that each is replaced by the other.

    Returns:
        Indices into the image tokens, int64 [B, C] each. A row with fewer tokens than others repeats its last
        one.
    """
    return (
        _stack([(*r.first, *r.last) for r in regions]),
        _stack([(*r.last, *r.first) for r in regions]),
    )


def _stack(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[row[-1]] * (longest - len(row))] for row in rows])


def check_wiring(
    subject: Subject, found: NDArray[np.float64], expected: NDArray[np.float64], what: str
) -> float:
    """The largest difference of two sets of probabilities that are equal by construction.

    Raises:
        WiringFailed: It is more than rounding.
    """
    worst = float(np.abs(found - expected).max(initial=0.0))
    most = CLOSE.get(subject.model.dtype, ROUNDED)
    if not worst <= most:
        raise WiringFailed(
            f"{subject.name}: {what}, and probabilities differ by {worst:.3g}, at most {most:g} expected: "
            "run claims check-subject on it"
        )
    return worst


def list_directions(pairs: Sequence[RowPair]) -> NDArray[np.str_]:
    """What each pair's clean question asks, [n]."""
    return np.array([p.direction for p in pairs], dtype="<U5")
