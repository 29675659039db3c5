"""The subcommand `claims bless`: make a run the baseline of its subjects."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import quote

from harness.cli.options import Subparsers
from harness.machine.files import read_json, write_json


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "bless",
        help="make a run the baseline of its subjects",
        description="Copy the verdicts of a run to reports/baselines/SUBJECT.json, one file per subject. "
        "A partial run, or one with errors or missing claims, is refused.",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument("run", type=Path, help="folder of --scorecard, or its scorecard.json")
    parser.add_argument("--into", type=Path, help="another folder than reports/baselines")


def execute(arguments: argparse.Namespace) -> int:
    """Write one baseline for each subject of a run.

    Raises:
        ValueError: The run has controls, errors or missing claims, or is partial.
    """
    from harness.judging.evidence import save_evidence
    from harness.reporting.sides import find_evidence_file, load_side
    from harness.runs.baselines import BASELINES

    target_folder = arguments.into or BASELINES
    path = arguments.run / "scorecard.json" if arguments.run.is_dir() else arguments.run
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
    for subject in sorted({r["subject"] for r in content["records"]}):
        # A baseline says what holds, not how long it took; timings would differ between any two runs.
        records = [
            {**r, "seconds": None, "baseline": None}
            for r in content["records"]
            if r["subject"] == subject
        ]
        target = target_folder / f"{quote(subject, safe='')}.json"
        asked = {s: f for s, f in side.card.run.subjects.items() if s == subject}
        run = {**side.card.run.to_json(), "started": "", "subjects": asked}
        kept = {"missing": [], "correction": content["correction"]}
        write_json(target, {"run": run, "records": records, **kept})
        own = {pair: found for pair, found in side.evidence.items() if pair[1] == subject}
        save_evidence(find_evidence_file(target), own)
        print(f"{target}: {len(records)} claims")
    return 0
