"""What became of each claim between two scorecards, and what all claims together say of a release."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from harness.judging.record import Record
from harness.reporting.moved import StageMove
from harness.reporting.sides import Side
from harness.reporting.wording import tell_partial
from harness.statistics.estimate import Estimate
from harness.statistics.paired import count_trials_for, find_detectable_change


class Fate(StrEnum):
    """What became of a claim between the two scorecards."""

    regressed = "regressed"
    missing = "missing"
    new = "new"
    accepted = "accepted"
    improved = "improved"
    unchanged = "unchanged"


RED = (Fate.regressed, Fate.missing, Fate.new)
"""Any claim with one of these stops a release; one that is accepted has regressed and does not."""


@dataclass(frozen=True)
class Row:
    """What became of one claim on one subject between the two scorecards.

    Attributes:
        claim: The claim's id.
        subject: The subject's name in the run; the baseline may know it by another.
        before: The baseline's record, None if it has none.
        after: The run's record, None if it has none.
        fate: What became of it.
        reason: Why, in words.
        margin: The loss that counts, in the claim's unit, above zero; NaN where the baseline has no estimate.
        floor: How far the claim was seen to move though the model is the same, below which no margin is; 0
            where that was not measured.
        difference: After less before in the claim's unit; None unless both have an estimate.
        p: One-sided, adjusted p-value for a loss of more than the margin; None without a difference.
        exact: McNemar's exact p-value, where each answer is right or wrong on a scene of its own.
        accepted: Why a loss stops no release all the same, as it was typed; "" if nobody accepted it.
    """

    claim: str
    subject: str
    before: Record | None
    after: Record | None
    fate: Fate
    reason: str
    margin: float = math.nan
    floor: float = 0.0
    difference: Estimate | None = None
    p: float | None = None
    exact: float | None = None
    accepted: str = ""

    @property
    def told(self) -> str:
        """The reason, after that for which a loss is accepted."""
        return f"accepted: {self.accepted}; {self.reason}" if self.accepted else self.reason


@dataclass(frozen=True, kw_only=True)
class RowWithDifference(Row):
    """A row with an estimate on both sides, so that their difference is known."""

    before: Record
    after: Record
    difference: Estimate

    @property
    def detectable(self) -> float:
        """The smallest change that would be found four times in five, in the claim's unit."""
        return find_detectable_change(self.difference)

    @property
    def trials(self) -> int | None:
        """Trials that would make a loss of the margin detectable; None if no number of trials would."""
        return count_trials_for(self.difference, self.margin) if self.margin > 0 else None


@dataclass(frozen=True)
class Comparison:
    """A run compared with its baseline.

    Attributes:
        before: The baseline.
        after: The run.
        rows: One for each claim and subject of either side.
        notes: Differences of setting that do not forbid the comparison, in words.
        share: The margin, as a share of the baseline's distance to the threshold.
        own: Whether only the run's own claims were compared, because that was asked for by name.
        stages: What became of the heads of each stage, for each subject that both sides have.
        strict: Whether a stage that is carried by other heads stops a release.
    """

    before: Side
    after: Side
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    share: float
    own: bool = False
    stages: tuple[StageMove, ...] = ()
    strict: bool = False

    def of(self, fate: Fate) -> list[Row]:
        """The rows that have one fate."""
        return [row for row in self.rows if row.fate == fate]

    @property
    def floored(self) -> list[Row]:
        """The rows whose margin is the noise floor, since their own would be smaller."""
        return [row for row in self.rows if row.margin == row.floor > 0]

    @property
    def lost(self) -> bool:
        """Whether any claim stops a release."""
        return any(row.fate in RED for row in self.rows)

    @property
    def partial(self) -> str:
        """That one of the two sides is partial, and why; "" if both are whole."""
        return tell_partial(self.after.card.run) or tell_partial(self.before.card.run)

    @property
    def moved(self) -> list[StageMove]:
        """The stages that other heads carry, or none; if strict, also those of which that is not known."""
        return [s for s in self.stages if s.changed or (self.strict and s.unknown)]

    @property
    def red(self) -> bool:
        """Whether a release must stop, also because not all claims were asked and nobody allowed that."""
        unasked = bool(self.partial) and not self.own
        return self.lost or unasked or (self.strict and bool(self.moved))
