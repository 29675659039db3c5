"""Compare two scorecards claim by claim: what a run lost against its baseline, and what it could have shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.judging.claim import Pair
from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.reporting.fates import Comparison, Fate, Row, RowWithDifference
from harness.reporting.floor import find_floor
from harness.reporting.moved import Move, StageMove, compare_heads
from harness.reporting.notes import list_notes
from harness.reporting.scorecard import ALPHA
from harness.reporting.sides import (
    NotComparable,
    Side,
    keep_own,
    match_subjects,
    refuse_other_claim,
    refuse_other_settings,
)
from harness.statistics.estimate import MINIMUM_CLUSTERS, Direction, adjust_p_values
from harness.statistics.evidence import Evidence
from harness.statistics.paired import (
    Bounds,
    estimate_change,
    from_intervals,
    mcnemar,
)
from harness.stimuli.contrast import CONDITIONS

MARGIN = 0.25
"""Share of its distance to the threshold that a claim may lose before the loss counts."""


HELD = (Verdict.supported, Verdict.inconclusive)
"""Verdicts of the baseline that a run can lose: a refuted claim cannot get worse, an unclear one can."""


def compare(
    before: Side,
    after: Side,
    share: float = MARGIN,
    *,
    partial: bool = False,
    strict: bool = False,
) -> Comparison:
    """Compare a run with its baseline.

    The margin is `share` of the distance between the baseline's estimate and the threshold, or of half the
    width of the baseline's interval if that is more; it is never below the noise floor of the baseline's model,
    where that was measured. A claim that was supported has regressed if it is
    refuted, if it can no longer be asked, or if it is inconclusive and either its estimate has left the
    claimed side or its loss exceeds the margin (one-sided p at most 0.025, not adjusted). A claim that was
    supported or inconclusive has also regressed if its loss exceeds the margin at a one-sided p of at most
    0.025 adjusted (Benjamini and Hochberg) over the claims of a subject. A claim has improved if it gained
    more than the margin at that level, or if it is supported and was not.

    Args:
        before: The baseline.
        after: The run.
        share: Margin as a share of the baseline's distance to the threshold, above 0 and below 1.
        partial: Whether a partial run may pass, for its own claims alone.
        strict: Whether a stage that is carried by other heads, or of which that is not known, is red.

    Raises:
        NotComparable: The stimuli, the seed, the number of trials, the family of model or the text of a
            claim differ; the baseline is not complete; or there is no claim at all.
        ValueError: `share` is out of range.
    """
    if not 0 < share < 1:
        raise ValueError(f"margin is {share}; it must be above 0 and below 1")
    refuse_other_settings(before, after, partial=partial)
    own = partial and (after.card.run.partial or before.card.run.partial)
    if own:
        before = keep_own(before, after)
    names = match_subjects(before.card, after.card)
    old = {(r.claim, names.get(r.subject, r.subject)): r for r in before.card.records}
    new = after.card.by_pair
    back = {new_name: old_name for old_name, new_name in names.items()}
    rows: list[Row] = []
    for pair in dict.fromkeys([*new, *after.card.missing, *old]):
        one, other = old.get(pair), new.get(pair)
        theirs = (pair[0], back.get(pair[1], pair[1]))
        row = _compare_verdicts(pair, one, other, share, find_floor(before.floor, *theirs))
        if one is not None and other is not None:
            refuse_other_claim(one, other)
            evidence = (before.evidence.get(theirs), after.evidence.get(pair))
            row = _add_difference(row, one, other, *evidence)
        rows.append(row)
    if not rows:
        raise NotComparable(f"{before.where} and {after.where} have no claim: nothing was compared")
    rows = [_judge_slip(row) for row in _judge_differences(rows)]
    stages = tuple(_compare_stages(before, after, names, own=own))
    told = list_notes(before, after)
    return Comparison(before, after, tuple(rows), told, share, own, stages, strict)


def accept_losses(found: Comparison, reasons: Mapping[str, str]) -> Comparison:
    """Accept the loss of some claims, so that they stop no release; everything else stays as it was found.

    They stay in the comparison, with the reason, wherever it is shown or written. A claim that one side did
    not judge cannot be accepted, since nobody knows what is lost.

    Args:
        found: What was lost.
        reasons: Why each is accepted, by the claim's id; it counts for every subject that lost the claim.

    Raises:
        ValueError: A claim did not regress.
    """
    lost = sorted({row.claim for row in found.of(Fate.regressed)})
    for claim in reasons:
        if claim not in lost:
            fates = sorted({str(row.fate) for row in found.rows if row.claim == claim})
            told = f"it is {' and '.join(fates)}" if fates else "there is no such claim"
            rest = f"what regressed is {', '.join(lost)}" if lost else "nothing regressed"
            raise ValueError(
                f"--accept {claim}: {told}, and only a claim that regressed can be accepted; {rest}"
            )

    def accept(row: Row) -> Row:
        if row.fate is not Fate.regressed or row.claim not in reasons:
            return row
        return replace(row, fate=Fate.accepted, accepted=reasons[row.claim].strip())

    return replace(found, rows=tuple(map(accept, found.rows)))


def _compare_stages(
    before: Side, after: Side, names: Mapping[str, str], *, own: bool
) -> Iterator[StageMove]:
    """What became of the heads of each stage, for each subject of both sides."""
    for old, new in names.items():
        if new not in after.card.subjects:
            continue
        for stage in CONDITIONS:
            one, other = before.heads.get((old, stage)), after.heads.get((new, stage))
            found = compare_heads(new, stage, one, other)
            # A run of some claims may have been told to leave out those that measure heads.
            yield replace(found, held=False) if own and found.move is Move.unmeasured else found


def _compare_verdicts(
    pair: Pair, before: Record | None, after: Record | None, share: float, floor: float
) -> Row:
    """The row of a claim, as far as its two verdicts decide its fate."""
    claim, subject = pair
    if before and after and before.verdict == after.verdict == Verdict.not_run:
        # The claim needs a folder of the user's images, which neither run was given.
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
        # Both runs asked as many trials, so that it is the subject's doing if few scenes are left.
        few = after.verdict is Verdict.inconclusive and after.clusters < MINIMUM_CLUSTERS
        if after.verdict not in HELD or few or after.estimate is None:
            fate = Fate.regressed
            reason = f"was supported, is {after.verdict}: {after.reason}"
    elif after.verdict is Verdict.supported:
        fate, reason = Fate.improved, f"was {before.verdict}, is supported"
    margin = max(share * _distance(before), floor)
    return Row(claim, subject, before, after, fate, reason, margin=margin, floor=floor)


def _distance(before: Record) -> float:
    """Distance of the baseline's estimate from the threshold, at least half the width of its interval."""
    bounds = _bounds(before)
    if bounds is None:
        return math.nan
    value, low, high = bounds
    return max(abs(value - before.threshold), (high - low) / 2)


def _bounds(record: Record) -> Bounds | None:
    """The estimate with the ends of its interval; None if the record lacks one of the three."""
    if record.estimate is None or record.ci_low is None or record.ci_high is None:
        return None
    return record.estimate, record.ci_low, record.ci_high


def _add_difference(
    row: Row,
    before: Record,
    after: Record,
    evidence_before: Evidence | None,
    evidence_after: Evidence | None,
) -> Row:
    """The row with the difference of its estimates; the row as it is if one side has no estimate."""
    one, other = _bounds(before), _bounds(after)
    if one is None or other is None:
        return row
    n, clusters = min(before.n, after.n), min(before.clusters, after.clusters)
    exact = None
    try:
        if evidence_before is None or evidence_after is None:
            raise ValueError("no evidence")
        found = estimate_change(evidence_before, evidence_after, (one[0], other[0]), clusters)
        exact = mcnemar(evidence_before, evidence_after)
    except ValueError:
        # Without evidence, or with other numbers of draws, only the two intervals can be compared.
        found = from_intervals(one, other, n, clusters)
    return RowWithDifference(
        claim=row.claim,
        subject=row.subject,
        before=before,
        after=after,
        fate=row.fate,
        reason=row.reason,
        margin=row.margin,
        floor=row.floor,
        # Evidence counts draws where it has no items; people can only add trials.
        difference=replace(found, n=n),
        exact=exact,
    )


def _judge_differences(rows: Sequence[Row]) -> list[Row]:
    """The rows with adjusted p-values, and with the fate that these decide."""
    judged = list(rows)
    for worse in (True, False):
        asked: dict[str, list[tuple[int, RowWithDifference]]] = {}
        for i, row in enumerate(judged):
            # Claims that cannot be lost must not widen the correction for those that can.
            if isinstance(row, RowWithDifference) and row.margin > 0 and row.before.verdict in HELD:
                asked.setdefault(row.subject, []).append((i, row))
        for members in asked.values():
            adjusted = adjust_p_values([_p_value(row, worse) for _, row in members])
            for (i, row), p in zip(members, adjusted, strict=True):
                judged[i] = _decide_fate(row, float(p), worse)
    return judged


def _p_value(row: RowWithDifference, worse: bool) -> float:
    """One-sided p-value for a change of more than the margin, to the worse or to the better."""
    up = row.after.direction == "above"
    # Where the claim is that something lies above its threshold, worse is down.
    side: Direction = "below" if up == worse else "above"
    return row.difference.p_value(row.margin if side == "above" else -row.margin, side)


def _decide_fate(row: RowWithDifference, p: float, worse: bool) -> RowWithDifference:
    if worse:
        row = replace(row, p=p)
    if p > ALPHA or row.fate is not Fate.unchanged:
        return row
    fate = Fate.regressed if worse else Fate.improved
    told = "lost" if worse else "gained"
    return replace(row, fate=fate, reason=f"{told} more than {row.margin:.3g} {row.after.unit}")


def _judge_slip(row: Row) -> Row:
    """The row, regressed if a supported claim became inconclusive by more than chance would do.

    The correction over other claims guards against chance; a verdict that is lost as well is a second sign, so
    that here the p-value counts without correction. An estimate beyond the threshold says that the claim is
    rather false, however wide its interval.
    """
    before, after = row.before, row.after
    if before is None or after is None or row.fate is not Fate.unchanged:
        return row
    if before.verdict is not Verdict.supported or after.verdict is not Verdict.inconclusive:
        return row
    if after.estimate is None:
        return row
    beyond = after.estimate - after.threshold
    if not (beyond > 0 if after.direction == "above" else beyond < 0):
        told = f"was supported, and is no more {after.direction} {after.threshold:.3g} {after.unit}"
    elif isinstance(row, RowWithDifference) and _p_value(row, worse=True) <= ALPHA:
        told = f"was supported, and lost more than {row.margin:.3g} {after.unit}"
    else:
        return row
    return replace(row, fate=Fate.regressed, reason=f"{told}: {after.reason}")
