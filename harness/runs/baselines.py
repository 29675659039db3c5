"""What a run is compared with: a blessed scorecard, another run, or the numbers that a paper published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from harness.judging.claim import Claim, Pair
from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.machine.files import REPORTS
from harness.reporting.scorecard import load_baseline
from harness.reporting.sides import Side, load_side
from harness.subjects.registry import Entry

BASELINES = REPORTS / "baselines"

PUBLISHED = "published"
"""The baseline that is not a run: what the papers say of each model."""


class BadOption(ValueError):
    """An option cannot be used; the message says what was expected and what to try."""


def baselines_of(option: str | None, entries: Sequence[Entry]) -> dict[Pair, Record]:
    """The baseline's record of every (claim, subject) that it speaks about.

    A baseline that is named and holds one subject speaks about every subject of the run: it is the
    model that a release is compared with.

    Args:
        option: Name, file, folder, "none", "published", or None for the committed ones of embedded subjects.
        entries: The subjects of the run.

    Raises:
        BadOption: There is no such baseline.
        ValueError: The file cannot be one.
    """
    if option in ("none", PUBLISHED):
        return {}
    found: dict[Pair, Record] = {}
    if option is None:
        for entry in entries:
            path = BASELINES / f"{quote(entry.name, safe='')}.json"
            if entry.kind == "embedded" and path.exists():
                found |= load_baseline(path)
        return found
    path = baseline_file(option, "--baseline ")
    subjects = {subject for _, subject in load_baseline(path)}
    for entry in entries:
        found |= load_baseline(path, entry.name if len(subjects) == 1 else None)
    return found


def baseline_file(name: str, option: str = "") -> Path:
    """The scorecard that a file, a folder of --scorecard or the name of a blessed baseline stands for.

    Raises:
        BadOption: There is none; the message begins with `option` and lists the baselines.
    """
    blessed = BASELINES / f"{quote(name, safe='')}.json"
    for path in (Path(name), Path(name) / "scorecard.json", blessed):
        if path.is_file():
            return path
    known = ", ".join(sorted(unquote(p.stem) for p in BASELINES.glob("*.json"))) or "none"
    raise BadOption(f"{option}{name}: no such file or baseline; there are: {known}, {PUBLISHED}")


def load_named_side(option: str | None) -> Side | None:
    """The run that was named as the baseline, with its evidence; None if none was.

    Raises:
        BadOption: There is no such baseline.
        ValueError: The file cannot be one.
    """
    return None if option in (None, "none", PUBLISHED) else load_side(baseline_file(option))


def read_published(claim: Claim, subject: str) -> Verdict | None:
    """What a claim's published number says of a subject; None where the paper gives none.

    A number without an interval: it holds or it does not.
    """
    value = claim.published.get(subject)
    if value is None:
        return None
    limit = claim.threshold.for_subject(subject)
    holds = value > limit if claim.threshold.direction == "above" else value < limit
    return Verdict.supported if holds else Verdict.refuted
