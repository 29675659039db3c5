"""The grids of every sweep, in one place: how many heads are edited, how strongly, how prompts are arranged.

To sweep another number of heads, another strength or another arrangement, add it here.
"""

from __future__ import annotations

from harness.subjects.arrangement import Arrangement
from harness.subjects.subject import Subject

ARRANGEMENTS: tuple[Arrangement, ...] = ("plain", "chat", "prefilled")
"""Plain, and those of a chat template; of these the first wins a tie: the public reproduction used it."""

HEADS = (1, 2, 3, 5, 10, 12, 15, 20, 30, 40, 50, 60, 100, 200)
"""K of Figures 37 to 43, over all subjects, and 1: one head can be a stage."""

FEW_HEADS = (1, 2, 5, 10)
"""K for subjects with less than 200 heads, where a quarter of all heads is few."""

ALPHAS = {
    "id_retrieval": (1, 2, 3, 5, 10, 20, 50, 100, 200),
    "id_selection": (1, 2, 3, 5, 10, 15, 20),
    "feature_retrieval": (1, 2, 3, 5, 10, 20, 50),
}
"""Strengths of Figures 37 to 43, thinned where the published curves are flat."""


def heads_swept(subject: Subject, found: int) -> tuple[int, ...]:
    """K for one subject: at most a quarter of its heads, and no more than have a positive score."""
    whole = subject.layers * subject.heads
    return tuple(k for k in (HEADS if whole >= 200 else FEW_HEADS) if k <= min(found, whole // 4))


def share_of_heads(subject: Subject, published: int, of: int) -> int:
    """As large a part of this subject's heads as a published K is of the heads of the model it stands for."""
    return max(1, round(subject.layers * subject.heads * published / of))
