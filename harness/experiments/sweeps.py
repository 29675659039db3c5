"""What is swept: numbers of heads, strengths of edits, arrangements of prompts.

To sweep another number of heads, another strength or another arrangement, add it here.
"""

from __future__ import annotations

from harness.subjects.arrangement import Arrangement
from harness.subjects.subject import Subject

ARRANGEMENTS: tuple[Arrangement, ...] = ("plain", "chat", "prefilled")
"""Plain, and two with a chat template; at a tie the first of these is chosen, as in the public reproduction."""

HEAD_COUNTS = (1, 2, 3, 5, 10, 12, 15, 20, 30, 40, 50, 60, 100, 200)
"""K of Figures 37 to 43, over all subjects, and 1: one head can be a stage."""

FEW_HEAD_COUNTS = (1, 2, 5, 10)
"""K for subjects with less than 200 heads, where a quarter of all heads is few."""

SMALLEST = 576
"""Heads of Qwen2.5-VL-3B, the fewest of the paper's models."""

ALPHAS = {
    "id_retrieval": (1, 2, 3, 5, 10, 20, 50, 100, 200),
    "id_selection": (1, 2, 3, 5, 10, 15, 20),
    "feature_retrieval": (1, 2, 3, 5, 10, 20, 50),
}
"""Strengths of Figures 37 to 43, thinned where the published curves are flat."""


def list_head_counts(subject: Subject, found: int) -> tuple[int, ...]:
    """Numbers of heads that are swept for one subject: at most a quarter of its heads.

    Args:
        subject: The model.
        found: How many heads have a positive score; no more are swept.
    """
    whole = subject.layers * subject.heads
    return tuple(
        k for k in (HEAD_COUNTS if whole >= 200 else FEW_HEAD_COUNTS) if k <= min(found, whole // 4)
    )


def scale_head_count(subject: Subject, published: int, of: int) -> int:
    """The paper's number of heads, or for a subject smaller than all of the paper's the same share, at least 1.

    The paper edits the same numbers of heads in all its models of `SMALLEST` to 2560 heads (sections 4.4 and
    appendix B), so there the number is what was published, and a share would be another experiment.

    Args:
        subject: The model.
        published: Heads edited in the paper.
        of: All heads of a model of the paper, of which they are a share for smaller subjects.
    """
    small = subject.layers * subject.heads < SMALLEST
    return scale_head_share(subject, published, of) if small else published


def scale_head_share(subject: Subject, published: int, of: int) -> int:
    """The same share of all heads as in the paper, at least 1; for what it asked one model alone (appendix C).

    There 250 of 2560 heads stand for a tenth: of the 784 heads of a smaller model they would be a third.

    Args:
        subject: The model.
        published: Heads edited in the paper.
        of: All heads of the paper's model.
    """
    return max(1, round(subject.layers * subject.heads * published / of))
