"""What a calibration found, in lines and in the words of a scorecard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.machine.files import read_json
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import counted

Content = Mapping[str, Any]
"""Of calibration.json; what is in it is said by `harness.calibration.summary.add_up`."""


SCHEMA = 1
"""Of calibration.json; a file of another one is not read."""

PUBLISHED = ("table", "false_pass", "power", "auroc", "steering", "coverage", "mutants")


def read(path: Path) -> Content | None:
    """The calibration that stands in a file; None if there is none or it cannot be read."""
    try:
        content = read_json(path)
        whole = content["schema"] == SCHEMA and all(content[key] for key in PUBLISHED)
        return content if whole else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def sentence(content: Content | None, card: Scorecard) -> str:
    """How often the suite is wrong, as every scorecard says it.

    Args:
        content: From `read`.
        card: The scorecard; if its claims are not those that were calibrated, that is said.
    """
    if content is None:
        return (
            "Not calibrated: how often a claim passes falsely is not known. Run `claims calibrate`."
        )
    false, misled = content["false_pass"], content["false_pass"]["misled"]
    passed = len(false["passed"])
    least = min(content["power"].values(), default=0)
    repeats = counted(content["repeats"], "repeat")
    found = f"each of {repeats}" if least == 1 else f"at least {least:.0%} of {repeats}"
    return (
        f"Calibrated {content['made']}: of {false['n']} verdicts on {false['subjects']} untrained subjects "
        f"{passed} were supported ({false['rate']:.1%}, at most {false['upper']:.1%} with 95% confidence), "
        f"of {misled['n']} on trained subjects that were shown something else {len(misled['passed'])}; "
        f"where the mechanism is planted by hand, every claim is found in {found}, which is more than can be "
        "hoped for in a trained model."
        + (" The claims have changed since." if _changed(content, card) else "")
    )


def _changed(content: Content, card: Scorecard) -> bool:
    known = content["power"]
    # The hash is of the claims that were chosen, so that it can be compared only if all were.
    whole = len(card.claims) == len(known)
    return not set(card.claims) <= set(known) or (
        whole and card.run.claims_hash != content["claims_hash"]
    )


def render(content: Content) -> Iterator[str]:
    """Lines for a terminal."""
    rows = content["table"]
    agree = sum(row["verdict"] == row["expected"] for row in rows)
    yield f"controls: {agree} of {len(rows)} cells as expected"
    for control in dict.fromkeys(row["control"] for row in rows):
        found = Counter(row["verdict"] for row in rows if row["control"] == control)
        yield f"  {control:20}" + ", ".join(f"{n} {verdict}" for verdict, n in found.items())
    for what, false in (
        ("untrained subjects", content["false_pass"]),
        ("misled subjects", content["false_pass"]["misled"]),
    ):
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
    power = content["power"]
    yield f"power over {content['repeats']} repeats: {min(power.values()):.0%} to {max(power.values()):.0%}"
    yield from (f"  {claim} {share:.0%}" for claim, share in power.items() if share < 1)
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
    caught = sum(m["caught"] for m in content["mutants"].values())
    yield f"mutants: {caught} of {len(content['mutants'])} caught"
    yield from (f"  not caught: {n}" for n, m in content["mutants"].items() if not m["caught"])
