"""Decides a verdict by estimate and threshold, and an outcome by verdict and baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from harness.judging.claim import Threshold
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate
from harness.statistics.looks import ALL_TRIALS, Look


class Verdict(StrEnum):
    """What a run says about one claim for one subject."""

    supported = "supported"
    refuted = "refuted"
    inconclusive = "inconclusive"
    not_applicable = "not_applicable"
    blocked = "blocked"
    not_run = "not_run"
    error = "error"


class Outcome(StrEnum):
    """The result that a test runner reports."""

    passed = "passed"
    failed = "failed"
    xfailed = "xfailed"
    skipped = "skipped"
    error = "error"


Change = Literal["", "new", "same", "improved", "regressed", "changed", "wrong"]


@dataclass(frozen=True)
class Judgement:
    """A verdict and the plain sentence that explains it."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Standing:
    """How a verdict compares with the baseline's.

    Attributes:
        outcome: The result that the test runner reports.
        change: How the verdict differs from the baseline's; empty when none is in use.
    """

    outcome: Outcome
    change: Change


def decide(
    estimate: Estimate, threshold: Threshold, subject: str, look: Look = ALL_TRIALS
) -> Judgement:
    """Judge an estimate: the only place where a number becomes a verdict.

    What has no meaning for the subject is not applicable, a quantity that is absent is refuted, NaN is an
    error, too few clusters are inconclusive; else the 95% interval decides, or a wider one at one look of
    several. The threshold itself is not on the claimed side, so an interval that only touches it from the other
    side refutes.

    Args:
        estimate: What was measured.
        threshold: What the claim says.
        subject: Its name, since a threshold may have another value for named subjects.
        look: The look at which it was measured; the interval that decides has its level.
    """
    scenes = "1 scene" if estimate.clusters == 1 else f"{estimate.clusters} scenes"
    few = f"only {scenes}; at least {MINIMUM_CLUSTERS} are needed: raise --trials"
    if not estimate.applies:
        return Judgement(Verdict.not_applicable, estimate.reason)
    if estimate.value is None and not estimate.settled:
        return Judgement(Verdict.inconclusive, estimate.reason)
    if estimate.value is None:
        # Absence in a handful of scenes is no better founded than a number would be.
        if 0 < estimate.clusters < MINIMUM_CLUSTERS:
            return Judgement(Verdict.inconclusive, f"{estimate.reason} ({few})")
        return Judgement(Verdict.refuted, estimate.reason)
    value, (low, high) = estimate.value, estimate.interval(look.level)
    limit, side = threshold.for_subject(subject), threshold.direction
    broken = f"not a finite number with an interval: {value} [{low}, {high}] {threshold.unit}"
    if not math.isfinite(value) or math.isnan(low) or math.isnan(high) or low > high:
        return Judgement(Verdict.error, broken)
    if estimate.clusters < MINIMUM_CLUSTERS:
        return Judgement(Verdict.inconclusive, few)
    if math.isinf(low) or math.isinf(high):
        return Judgement(Verdict.error, broken)
    measured, wanted = _format_numbers(value, low, high, limit)
    measured = f"{measured} {threshold.unit}"
    if low > limit if side == "above" else high < limit:
        return Judgement(Verdict.supported, f"{measured} is {side} {wanted}")
    if high <= limit if side == "above" else low >= limit:
        return Judgement(Verdict.refuted, f"{measured} is not {side} {wanted}")
    return Judgement(Verdict.inconclusive, f"{measured} is {side} {wanted} only in part")


def compare_verdict(
    verdict: Verdict, baseline: Verdict | None, *, in_use: bool = False, exact: bool = False
) -> Standing:
    """Read a verdict against the baseline's verdict on the same claim and subject.

    Args:
        verdict: This run's.
        baseline: The baseline's, or None if it has none.
        in_use: Whether a baseline is in use at all; a claim that it does not know is then "new".
        exact: The right answer is known (the subject is a control): any other verdict is "wrong", and so
            is one that the table has no answer to. A claim that holds where it must not is the worst of them.

    Returns:
        Outcome and change. Without a baseline the verdict alone decides. With one, what is not
        supported there is expected (xfailed, skipped), and losing what was supported there fails.
    """
    verdict = Verdict(verdict)
    if exact and (baseline is None or verdict != Verdict(baseline)):
        return Standing(Outcome.error if verdict is Verdict.error else Outcome.failed, "wrong")
    if baseline is None:
        return Standing(_WITHOUT_BASELINE[verdict], "new" if in_use else "")
    baseline = Verdict(baseline)
    change: Change
    if verdict == baseline:
        change = "same"
    elif verdict is Verdict.supported:
        change = "improved"
    elif baseline is Verdict.supported:
        change = "regressed"
    else:
        change = "changed"
    return Standing(_find_outcome(verdict, baseline), change)


_WITHOUT_BASELINE = {
    Verdict.supported: Outcome.passed,
    Verdict.refuted: Outcome.failed,
    Verdict.inconclusive: Outcome.failed,
    Verdict.not_applicable: Outcome.skipped,
    Verdict.blocked: Outcome.skipped,
    Verdict.not_run: Outcome.skipped,
    Verdict.error: Outcome.error,
}
"""The outcome of each verdict where there is no baseline."""


def _find_outcome(verdict: Verdict, baseline: Verdict) -> Outcome:
    if verdict in (Verdict.supported, Verdict.error):
        return _WITHOUT_BASELINE[verdict]
    if baseline is Verdict.supported:
        return Outcome.failed
    if verdict is Verdict.refuted:
        return Outcome.xfailed if baseline is Verdict.refuted else Outcome.failed
    if verdict is Verdict.inconclusive:
        return Outcome.xfailed
    return Outcome.skipped


def _format_numbers(value: float, low: float, high: float, limit: float) -> tuple[str, str]:
    # A bound and a threshold that differ must not print alike: "0.4 is above 0.4" explains nothing.
    for digits in range(3, 18):
        text = [f"{x:.{digits}g}" for x in (value, low, high, limit)]
        if all((text[i] == text[3]) == (x == limit) for i, x in ((1, low), (2, high))):
            break
    return f"{text[0]} [{text[1]}, {text[2]}]", text[3]
