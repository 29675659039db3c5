"""The subcommand `claims bless`: make a run the baseline of its subjects."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.cli.options import Subparsers, find_scorecard
from harness.machine.files import name_file, read_json, write_json


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "bless",
        help="make a run the baseline of its subjects",
        description="Copy the verdicts of a run to reports/baselines/SUBJECT.json, one file per subject. "
        "A partial run, or one with errors or missing claims, is refused, and so is one that would replace a "
        "baseline of more claims, or one of all trials by one of --trials.",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument("run", type=Path, help="folder of --scorecard, or its scorecard.json")
    parser.add_argument("--into", type=Path, help="another folder than reports/baselines")


def execute(arguments: argparse.Namespace) -> int:
    """Write one baseline for each subject of a run.

    Raises:
        ValueError: There is no scorecard, it has controls, errors or missing claims, it is partial, or it says
            less than a baseline that it would replace.
    """
    from harness.judging.evidence import save_evidence
    from harness.reporting.sides import find_evidence_file, load_side
    from harness.runs.baselines import BASELINES

    target_folder = arguments.into or BASELINES
    path = find_scorecard(arguments.run)
    # A run that nothing can be compared with must not become a baseline.
    side, content = load_side(path), read_json(path)
    if any(r.get("control") for r in content["records"]):
        raise ValueError(
            f"{path} has controls: what they must give stands in fixtures/controls.toml"
        )
    errors = [r["claim"] for r in content["records"] if r["verdict"] == "error"]
    if content["run"]["partial"] or content.get("missing") or errors:
        raise ValueError(
            f"{path}: partial, or with missing claims or errors: run it again before blessing"
        )
    subjects = sorted({r["subject"] for r in content["records"]})
    targets = {s: target_folder / f"{name_file(s)}.json" for s in subjects}
    for subject, target in targets.items():
        # Before anything is written: either all baselines are replaced or none.
        if target.exists():
            _refuse_to_replace(target, path, subject, content)
    for subject, target in targets.items():
        # A baseline says what holds, not how long it took; timings would differ between any two runs.
        records = [
            {**r, "seconds": None, "baseline": None}
            for r in content["records"]
            if r["subject"] == subject
        ]
        asked = {s: f for s, f in side.card.run.subjects.items() if s == subject}
        run = {**side.card.run.to_json(), "started": "", "subjects": asked}
        kept = {"missing": [], "correction": content["correction"]}
        write_json(target, {"run": run, "records": records, **kept})
        own = {pair: found for pair, found in side.evidence.items() if pair[1] == subject}
        save_evidence(find_evidence_file(target), own)
        print(f"{target}: {len(records)} claims")
    return 0


def _refuse_to_replace(target: Path, path: Path, subject: str, content: dict[str, Any]) -> None:
    """Refuse to replace a baseline by a run of fewer claims or, if it has all trials, of other trials.

    Raises:
        ValueError: The run says less than the baseline, or the baseline cannot be read.
    """
    meant = f"delete {target} first if that is meant"
    try:
        before = read_json(target)
        old = [r["claim"] for r in before["records"] if r["subject"] == subject]
        whole = before["run"]["trials"] is None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{target} is not a baseline that can be read: {meant}") from error
    new = {r["claim"] for r in content["records"] if r["subject"] == subject}
    lost = [claim for claim in old if claim not in new]
    if lost:
        raise ValueError(
            f"{path} lacks {len(lost)} of the {len(old)} claims of {target}, the first is {lost[0]}: "
            f"bless a run of all claims, or {meant}"
        )
    trials = content["run"]["trials"]
    if whole and trials is not None:
        raise ValueError(
            f"{path} was made with --trials {trials} and {target} without: "
            f"bless a run without --trials, or {meant}"
        )
