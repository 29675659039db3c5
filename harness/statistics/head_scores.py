"""Mean scores of all heads for one stage with their errors, by which two runs can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit


class Carried(StrEnum):
    """What is known of whether any head carries a stage."""

    by_heads = "by heads"
    by_none = "by no head"
    uncertain = "uncertain"
    unmeasured = "not measured"


@dataclass(frozen=True, eq=False)
class HeadScores:
    """The mediation score of every head of a subject for one stage, with its error.

    Attributes:
        carried: Whether any head carries the stage.
        reason: Why that is not known; "" where it is.
        means: Mean mediation score of every head, in logits, float64 [L, H]; [0, 0] if not measured.
        errors: Standard error of each, clustered by scene, in logits, float64 [L, H].
        clusters: Scenes that they rest on.

    Raises:
        ValueError: Means and errors have other shapes, one is not finite, heads carry a stage of which fewer
            than two scenes were seen, or nothing is known and no reason says why.
    """

    carried: Carried
    reason: str = ""
    means: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)), repr=False)
    errors: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)), repr=False)
    clusters: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "carried", Carried(self.carried))
        for name in ("means", "errors"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        if self.means.shape != self.errors.shape or self.means.ndim != 2:
            raise ValueError(
                f"scores {self.means.shape} with errors {self.errors.shape}: not [L, H]"
            )
        if not (np.isfinite(self.means).all() and np.isfinite(self.errors).all()):
            raise ValueError("scores of heads and their errors must be finite numbers")
        if self.carried is Carried.by_heads and not (self.means.size and self.clusters > 1):
            raise ValueError("heads that carry a stage need scores on two scenes at least")
        if self.carried in (Carried.uncertain, Carried.unmeasured) and not self.reason:
            raise ValueError(f"{self.carried} without a reason")

    def find_limit(self, level: float, heads: int = 1) -> float:
        """How many standard errors an interval of a score reaches to each side (Student's t).

        Args:
            level: Of the interval.
            heads: How many heads are looked at at once, all of which the intervals cover at that level
                (Bonferroni).
        """
        return float(stdtrit(self.clusters - 1, 1 - (1 - level) / 2 / heads))

    def to_json(self) -> dict[str, Any]:
        """The scores as plain values, to five significant digits."""
        return {
            "carried": str(self.carried),
            "reason": self.reason,
            "means": _shorten(self.means),
            "errors": _shorten(self.errors),
            "clusters": self.clusters,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> HeadScores:
        """The scores that `to_json` gave.

        Raises:
            ValueError: They are not such scores.
            KeyError: A key is missing.
        """
        means, errors = (np.array(row[n], np.float64) for n in ("means", "errors"))
        # An array without heads has lost its second axis.
        means, errors = (a if a.size else np.zeros((0, 0)) for a in (means, errors))
        return cls(Carried(row["carried"]), row["reason"], means, errors, int(row["clusters"]))


DIGITS = 5
"""Significant digits that are kept; rounding moves scores by less than counts as equal."""


def _shorten(numbers: NDArray[np.float64]) -> list[list[float]]:
    return [[float(f"{x:.{DIGITS}g}") for x in row] for row in numbers.tolist()]
