"""Two scorecards, claim by claim: what was lost between a baseline and a run, and what could have been seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from harness.judging.claim import Pair
from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.reporting.scorecard import ALPHA
from harness.reporting.sides import (
    NotComparable,
    Side,
    notes,
    refuse_other_claim,
    refuse_other_settings,
    renamed,
)
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, adjust
from harness.statistics.evidence import Evidence
from harness.statistics.paired import change, detectable, from_intervals, mcnemar, trials_for

MARGIN = 0.25
"""Share of its distance to the threshold that a claim may lose before the loss counts."""


class Fate(StrEnum):
    """What became of a claim between the two scorecards."""

    regressed = "regressed"
    missing = "missing"
    new = "new"
    improved = "improved"
    unchanged = "unchanged"


RED = (Fate.regressed, Fate.missing, Fate.new)

HELD = (Verdict.supported, Verdict.inconclusive)
"""In the baseline: what was refuted cannot be lost; what was unclear can."""


@dataclass(frozen=True)
class Row:
    """One claim on one subject, before and after.

    Attributes:
        claim: Its id.
        subject: The run's subject; the baseline's may be called otherwise.
        before: The baseline's record, None if it has none.
        after: The run's record, None if it has none.
        fate: What became of it.
        reason: Why, in words.
        difference: After less before in the claim's unit, None where one of the two is no number.
        margin: The loss that counts, in the claim's unit, above zero.
        p: One-sided and adjusted, that no more than the margin was lost; None without a difference.
        exact: McNemar's exact p-value, for right or wrong answers on scenes of their own.
    """

    claim: str
    subject: str
    before: Record | None
    after: Record | None
    fate: Fate
    reason: str
    difference: Estimate | None = None
    margin: float = math.nan
    p: float | None = None
    exact: float | None = None

    @property
    def detectable(self) -> float | None:
        """The smallest change that would be found four times in five; None without a difference."""
        return None if self.difference is None else detectable(self.difference)

    @property
    def trials(self) -> int | None:
        """Trials that would make a loss of the margin detectable."""
        if self.difference is None or not self.margin > 0:
            return None
        return trials_for(self.difference, self.margin)


@dataclass(frozen=True)
class Comparison:
    """The whole of it. `notes` are differences of setting that do not forbid it, in words."""

    before: Side
    after: Side
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    share: float

    def of(self, fate: Fate) -> list[Row]:
        """The rows of one fate."""
        return [row for row in self.rows if row.fate == fate]

    @property
    def red(self) -> bool:
        """Whether a release must stop."""
        return any(row.fate in RED for row in self.rows)


def compare(before: Side, after: Side, share: float = MARGIN) -> Comparison:
    """Compare a run with its baseline.

    A claim that was supported has regressed if it is refuted, or can no longer be asked, or is inconclusive
    and either its estimate is no more on the claimed side or it alone surely lost more than the margin. One
    that was not refuted has regressed, too, if its estimate surely lost more than `share` of what lay between
    the baseline's estimate and the threshold (or of the reach of the baseline's interval, if that is more):
    one-sided p at most 0.025, adjusted (Benjamini and Hochberg) over the claims of a subject. A claim has
    improved if it surely gained as much, or is supported and was not.

    Args:
        before: The baseline.
        after: The run.
        share: Of the baseline's distance to the threshold.

    Raises:
        NotComparable: Other stimuli, seed or number of trials, another family of model, a claim that says
            something else now, a baseline that is not whole, or no claim at all.
    """
    if not 0 < share < 1:
        raise NotComparable(f"the margin is {share}; it must be above 0 and below 1")
    refuse_other_settings(before, after)
    names = renamed(before.card, after.card)
    old = {(r.claim, names.get(r.subject, r.subject)): r for r in before.card.records}
    new = after.card.by_pair
    back = {new_name: old_name for old_name, new_name in names.items()}
    rows = []
    for pair in dict.fromkeys([*new, *after.card.missing, *old]):
        row = _row(pair, old.get(pair), new.get(pair), share)
        if row.before and row.after:
            refuse_other_claim(row.before, row.after)
            theirs = (pair[0], back.get(pair[1], pair[1]))
            row = _with_difference(row, before.evidence.get(theirs), after.evidence.get(pair))
        rows.append(row)
    if not rows:
        raise NotComparable(f"{before.where} and {after.where} have no claim: nothing was compared")
    rows = [_slipped(row) for row in _judged(rows)]
    return Comparison(before, after, tuple(rows), notes(before, after), share)


def _row(pair: Pair, before: Record | None, after: Record | None, share: float) -> Row:
    claim, subject = pair
    if before and after and before.verdict == after.verdict == Verdict.not_run:
        # Its images are a folder of the user's, and were not given to either.
        told = f"not run on either side: {after.reason}"
        return Row(claim, subject, before, after, Fate.unchanged, told)
    if after is None or after.verdict in (Verdict.error, Verdict.not_run):
        told = "no verdict came back" if after is None else after.reason
        return Row(claim, subject, before, after, Fate.missing, told)
    if before is None or before.verdict in (Verdict.error, Verdict.not_run):
        told = "the baseline has no verdict on it: bless a run that has"
        return Row(claim, subject, before, after, Fate.new, told)
    fate, reason = Fate.unchanged, ""
    if before.verdict is Verdict.supported:
        # As many trials were asked: that few scenes are left is the subject's doing.
        few = after.verdict is Verdict.inconclusive and after.clusters < MINIMUM_CLUSTERS
        if after.verdict not in HELD or few or after.estimate is None:
            fate = Fate.regressed
            reason = f"was supported, is {after.verdict}: {after.reason}"
    elif after.verdict is Verdict.supported:
        fate, reason = Fate.improved, f"was {before.verdict}, is supported"
    return Row(claim, subject, before, after, fate, reason, margin=share * _distance(before))


def _distance(before: Record) -> float:
    """How far the baseline's estimate is from the threshold, and no less than its interval reaches."""
    if before.estimate is None or before.ci_low is None or before.ci_high is None:
        return math.nan
    return max(abs(before.estimate - before.threshold), (before.ci_high - before.ci_low) / 2)


def _with_difference(row: Row, before: Evidence | None, after: Evidence | None) -> Row:
    one, other = row.before, row.after
    bounds = [(r.estimate, r.ci_low, r.ci_high) for r in (one, other)]
    if any(x is None for b in bounds for x in b):
        return row
    n, clusters = min(one.n, other.n), min(one.clusters, other.clusters)
    values, p = (one.estimate, other.estimate), None
    try:
        if before is None or after is None:
            raise ValueError("no evidence")
        found = change(before, after, values, clusters)
        p = mcnemar(before, after)
    except ValueError:
        # Other numbers of draws, or no evidence: what is left are the two intervals.
        found = from_intervals(*bounds, n, clusters)
    # Evidence counts draws where it has no items; trials are what people can add.
    return replace(row, difference=replace(found, n=n), exact=p)


def _judged(rows: list[Row]) -> list[Row]:
    """The rows with adjusted p-values, and with the fate that those decide."""
    for worse in (True, False):
        asked: dict[str, list[int]] = {}
        for i, row in enumerate(rows):
            # What cannot be lost must not make what can harder to see.
            if row.difference is not None and row.margin > 0 and row.before.verdict in HELD:
                asked.setdefault(row.subject, []).append(i)
        for members in asked.values():
            adjusted = adjust([_p(rows[i], worse) for i in members])
            for i, p in zip(members, adjusted, strict=True):
                rows[i] = _decided(rows[i], float(p), worse)
    return rows


def _p(row: Row, worse: bool) -> float:
    up = row.after.direction == "above"
    # Worse is down for a claim that something lies above its threshold.
    side = "below" if up == worse else "above"
    return row.difference.p_value(row.margin if side == "above" else -row.margin, side)


def _decided(row: Row, p: float, worse: bool) -> Row:
    if worse:
        row = replace(row, p=p)
    if p > ALPHA or row.fate is not Fate.unchanged:
        return row
    fate = Fate.regressed if worse else Fate.improved
    told = "lost" if worse else "gained"
    return replace(row, fate=fate, reason=f"{told} more than {row.margin:.3g} {row.after.unit}")


def _slipped(row: Row) -> Row:
    """The row, regressed if a supported claim is inconclusive for more than a few trials' luck.

    Correction over the other claims is against chance, and a verdict that is lost as well is a second witness;
    an estimate beyond the threshold says that the claim is rather false, however wide its interval.
    """
    lost = row.fate is Fate.unchanged and row.before.verdict is Verdict.supported
    if not lost or row.after.verdict is not Verdict.inconclusive:
        return row
    after = row.after
    beyond = after.estimate - after.threshold
    if not (beyond > 0 if after.direction == "above" else beyond < 0):
        told = f"was supported, and is no more {after.direction} {after.threshold:.3g} {after.unit}"
    elif row.difference is not None and _p(row, worse=True) <= ALPHA:
        told = f"was supported, and lost more than {row.margin:.3g} {after.unit}"
    else:
        return row
    return replace(row, fate=Fate.regressed, reason=f"{told}: {after.reason}")
