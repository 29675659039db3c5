"""Read a calibration, and put into words how often the suite is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TypedDict

from harness.judging.claim import Asked
from harness.machine.files import read_json
from harness.reporting.power_curves import PowerCurve, render_curves
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import spell_count

SCHEMA = 2
"""Version of calibration.json; a file of another version is not read."""

PUBLISHED = ("table", "false_pass", "power", "auroc", "steering", "coverage")
"""Parts that a calibration needs before a scorecard may quote it."""


class ControlCell(TypedDict):
    """The verdict of one claim on one control, beside the verdict that must come out."""

    claim: str
    control: str
    expected: str | None
    verdict: str
    reason: str


class ChangingCell(TypedDict):
    """A claim whose verdict on a control is not the same with every seed of trials.

    `verdicts` counts the seeds of each verdict; `distance` is the mean distance of the estimates from the
    threshold, in the claim's unit, None where there are none; `widths` is it in half widths of their intervals.
    """

    claim: str
    control: str
    verdicts: dict[str, int]
    distance: float | None
    widths: float | None


class FalsePasses(TypedDict):
    """How often claims are supported where none can be true.

    `rate` is the share of supported verdicts among the `n` decided ones, `upper` its one-sided 95% bound
    (Clopper and Pearson) as if the claims of one subject were one; `subjects` counts subjects, `asked` counts
    decided verdicts by claim. `passed` lists (subject, seed, claim). `often` has the share of each claim that
    is supported on more subjects than 5% and chance explain (exact, one-sided 95%): a share over all claims
    hides one that always passes.
    """

    rate: float
    upper: float
    n: int
    subjects: int
    asked: dict[str, int]
    passed: list[tuple[str, int, str]]
    often: dict[str, float]


class AllFalsePasses(FalsePasses):
    """False passes on untrained subjects, and on trained subjects that are shown something else."""

    misled: FalsePasses


class Results(TypedDict):
    """What the parts of a calibration add up to.

    `table` is about the controls. The planted one is judged with `repeats` seeds of trials: `seeds` has its
    claims whose verdict changes, `power` the share of seeds in which a claim is supported. `power_taught` is
    that share of `repeats_taught` seeds on each control with trained-in stages on which the claim holds, and
    `power_curves` has it where one stage is turned down. By control,
    `auroc` has how surely mediation ranks the planted heads of each stage above all others, `onsets` the layer
    from which on a code is there and the layers where it is planted, `steering` the share of answers that
    steered heads move. `coverage` is the share of 95% intervals that hold the truth, by situation.
    """

    table: list[ControlCell]
    seeds: list[ChangingCell]
    false_pass: AllFalsePasses
    power: dict[str, float]
    power_taught: dict[str, dict[str, float]]
    power_curves: list[PowerCurve]
    repeats: int
    repeats_taught: int
    auroc: dict[str, dict[str, float]]
    onsets: dict[str, dict[str, tuple[int, list[int]]]]
    steering: dict[str, dict[str, float]]
    coverage: dict[str, float]


class Content(Results):
    """The content of calibration.json: the results, and what they were made with and from.

    `claims` has what each claim asked then, by which a scorecard tells whether it asks the same.
    """

    schema: int
    made: str
    machine: str
    harness: str
    claims: dict[str, Asked]
    code: str
    seconds: int
    size: dict[str, Any]


def read_calibration(path: Path) -> Content | None:
    """Read a calibration; None if the file is missing, damaged, of another version or incomplete."""
    try:
        content: Content = read_json(path)
        parts: dict[str, Any] = {**content}
        whole = content["schema"] == SCHEMA and all(parts[key] for key in PUBLISHED)
        return content if whole else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def summarize_error_rates(content: Content | None, card: Scorecard) -> str:
    """Put into one sentence, for a scorecard, how often the suite is wrong.

    Args:
        content: The calibration from `read_calibration`.
        card: The scorecard; the sentence says how many of its claims are not among those that were calibrated.
    """
    if content is None:
        return (
            "Not calibrated: how often a claim passes falsely is not known. Run `claims calibrate`."
        )
    false, misled = content["false_pass"], content["false_pass"]["misled"]
    passed = len(false["passed"])
    repeats = spell_count(content["repeats"], "repeat")
    holding = {
        row["claim"]
        for row in content["table"]
        if row["control"] == "planted" and row["expected"] == "supported"
    }
    found = [share for claim, share in content["power"].items() if claim in holding]
    planted, taught = _spell_least(found, repeats), ""
    if shares := [p for of in content.get("power_taught", {}).values() for p in of.values()]:
        average = sum(shares) / len(shares)
        taught_repeats = spell_count(content["repeats_taught"], "repeat")
        taught = (
            f"; where its stages were trained in, each claim that holds in "
            f"{_spell_least(shares, taught_repeats)}, {average:.0%} on average"
        )
    trials = content["size"].get("null_trials")
    fewer = f" with {trials} trials each" if trials else ""
    return (
        f"Calibrated {content['made']}: of {false['n']} verdicts on {false['subjects']} untrained "
        f"subjects{fewer} {passed} were supported ({false['rate']:.1%}, at most {false['upper']:.1%} with 95% "
        "confidence), "
        f"of {misled['n']} on trained subjects that were shown something else {len(misled['passed'])}; "
        f"where the mechanism is planted by hand, every claim that holds is found in {planted}, which is more "
        f"than can be hoped for in a trained model{taught}."
        + _tell_uncalibrated(find_uncalibrated(content, card), card)
    )


def _spell_least(shares: Collection[float], repeats: str) -> str:
    least = min(shares, default=0)
    return f"each of {repeats}" if least == 1 else f"at least {least:.0%} of {repeats}"


def find_uncalibrated(content: Content, card: Scorecard) -> set[str]:
    """Find the claims of a scorecard that were not calibrated, or asked something else then."""
    known = content["claims"]
    same = {
        record.claim
        for record in card.records
        if record.claim in known
        and record.statement == known[record.claim]["statement"]
        and record.threshold in known[record.claim]["thresholds"]
    }
    return set(card.claims) - same


def _tell_uncalibrated(claims: Collection[str], card: Scorecard) -> str:
    if not claims:
        return ""
    if len(claims) == len(card.claims):
        return " What is judged here is newer, or is stated otherwise since."
    verb = "is" if len(claims) == 1 else "are"
    return f" {len(claims)} of these {len(card.claims)} claims {verb} newer, or {verb} stated otherwise since."


def render(content: Content) -> Iterator[str]:
    """What a calibration found, as lines for a terminal."""
    rows = content["table"]
    agree = sum(row["verdict"] == row["expected"] for row in rows)
    yield f"controls: {agree} of {len(rows)} cells as expected"
    for control in dict.fromkeys(row["control"] for row in rows):
        found = Counter(row["verdict"] for row in rows if row["control"] == control)
        yield f"  {control:20}" + ", ".join(f"{n} {verdict}" for verdict, n in found.items())
    changing = content["seeds"]
    power = content["power"]
    yield (
        f"over {content['repeats']} seeds of trials {len(changing)} of {len(power)} verdicts on planted "
        "change"
    )
    for cell in changing:
        told = ", ".join(f"{n} {verdict}" for verdict, n in cell["verdicts"].items())
        away = "" if cell["distance"] is None else f", {cell['distance']:.3g} from the threshold"
        yield f"  {cell['claim']} on {cell['control']}: {told}{away}"
    untrained: FalsePasses = content["false_pass"]
    misled = content["false_pass"]["misled"]
    for what, false in (("untrained subjects", untrained), ("misled subjects", misled)):
        passed = len(false["passed"])
        yield (
            f"false passes, {what}: {passed} of {false['n']} decided verdicts on {false['subjects']}, "
            f"{false['rate']:.2%}, at most {false['upper']:.2%}"
        )
        few = {c: n for c, n in false["asked"].items() if n < false["subjects"]}
        yield from (f"  {claim} decided on {n} only" for claim, n in few.items())
        yield from (
            f"  {claim} on {subject}, seed {seed}" for subject, seed, claim in false["passed"]
        )
    yield f"power over {content['repeats']} seeds: {min(power.values()):.0%} to {max(power.values()):.0%}"
    yield from (f"  {claim} {share:.0%}" for claim, share in power.items() if share < 1)
    taught = content["power_taught"]
    cells = [(claim, name, p) for claim, of in taught.items() for name, p in of.items()]
    if cells:
        mean = sum(p for *_, p in cells) / len(cells)
        yield f"power on trained-in stages: {mean:.0%} on average of {len(cells)} cells that hold"
        yield from (f"  {claim} on {name} {p:.0%}" for claim, name, p in cells if p < 1)
    yield "power where a stage is turned down, supported of seeds by the share that is left:"
    yield from render_curves(content["power_curves"])
    for control, stages in content["auroc"].items():
        told = ", ".join(f"{stage} {value:.3f}" for stage, value in stages.items())
        share = content["steering"][control]
        yield f"planted heads of {control}: AUROC {told}"
        yield (
            f"  steered, {share['planted']:.0%} of answers move; with as many random heads at most "
            f"{share['random']:.0%}"
        )
    coverage = content["coverage"]
    yield f"intervals: {min(coverage.values()):.1%} to {max(coverage.values()):.1%} of 95% hold the truth"
    yield from (f"  {share:.1%} {name}" for name, share in coverage.items())
