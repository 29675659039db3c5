"""What a run is compared with: a blessed scorecard, another run, or the numbers that a paper published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from harness.judging.claim import Claim, Pair, find_of_subject
from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.machine.files import REPORTS, name_file
from harness.reporting.scorecard import load_baseline
from harness.reporting.sides import Side, load_side
from harness.subjects.registry import Entry

BASELINES = REPORTS / "baselines"

PUBLISHED = "published"
"""The name of the baseline that is not a run but the numbers that the papers published."""


class BadOption(ValueError):
    """An option that cannot be used; the message says what was expected and what to try."""


def load_baselines(option: str | None, entries: Sequence[Entry]) -> dict[Pair, Record]:
    """The baseline's records by claim and subject.

    A baseline that is named and holds one subject counts for every subject of the run: it is the model that
    a release is compared with.

    Args:
        option: Name, file, folder, "none", "published", or None for the committed ones of embedded subjects.
        entries: The run's subjects.

    Raises:
        BadOption: There is no such baseline, or it is the papers' and only folders are judged.
        ValueError: The file cannot be one.
    """
    if option == PUBLISHED and entries and all(entry.kind == "local" for entry in entries):
        names = ", ".join(entry.name for entry in entries)
        raise BadOption(
            f"--baseline {PUBLISHED}: no paper has numbers on {names}, which comes from a folder: name a run "
            "that it is to be compared with, or none"
        )
    if option in ("none", PUBLISHED):
        return {}
    found: dict[Pair, Record] = {}
    if option is None:
        for entry in entries:
            path = BASELINES / f"{name_file(entry.name)}.json"
            if entry.kind == "embedded" and path.exists():
                found |= load_baseline(path)
        return found
    path = find_baseline_file(option, "--baseline ")
    subjects = {subject for _, subject in load_baseline(path)}
    for entry in entries:
        found |= load_baseline(path, entry.name if len(subjects) == 1 else None)
    return found


def find_baseline_file(name: str, option: str = "") -> Path:
    """The file of the scorecard that is named by a file, a folder of --scorecard or a blessed baseline's name.

    Raises:
        BadOption: There is no such file; the message begins with `option` and lists the baselines, of
            an option also the papers'.
    """
    blessed = BASELINES / f"{name_file(name)}.json"
    for path in (Path(name), Path(name) / "scorecard.json", blessed):
        if path.is_file():
            return path
    known = sorted(unquote(p.stem) for p in BASELINES.glob("*.json"))
    if option:
        known.append(PUBLISHED)
    listed = ", ".join(known) or "none"
    raise BadOption(f"{option}{name}: no such file or baseline; there are: {listed}")


def load_named_side(option: str | None) -> Side | None:
    """The run that was named as the baseline, with its evidence; None if no run was named.

    Raises:
        BadOption: There is no such baseline.
        ValueError: The file cannot be one.
    """
    return None if option in (None, "none", PUBLISHED) else load_side(find_baseline_file(option))


def read_published(claim: Claim, subject: str) -> Verdict | None:
    """The verdict of a claim's published number on a subject; None where the paper gives no number.

    The number has no interval, so it is never inconclusive.
    """
    value = find_of_subject(claim.published, subject, None)
    if value is None:
        return None
    limit = claim.threshold.for_subject(subject)
    holds = value > limit if claim.threshold.direction == "above" else value < limit
    return Verdict.supported if holds else Verdict.refuted
