"""The subcommand `claims bless`: make a run the baseline of its subjects."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.options import Subparsers, find_scorecard
from harness.machine.files import name_file, read_json, write_json

if TYPE_CHECKING:
    from harness.reporting.scorecard import Scorecard
    from harness.reporting.sides import Side


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "bless",
        help="make a run the baseline of its subjects",
        description="Copy the verdicts of a run to reports/baselines/SUBJECT.json, one file per subject. "
        "A run that has not finished, is partial, or has errors or missing claims is refused, and so is one "
        "that would replace a baseline of more claims, or one of all trials by one of --trials.",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument("run", type=Path, help="folder of --scorecard, or its scorecard.json")
    parser.add_argument("--into", type=Path, help="another folder than reports/baselines")
    parser.add_argument(
        "--partial",
        action="store_true",
        help="take a partial run, and only its own claims: the others of a baseline stay as they are",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write one baseline for each subject of a run.

    Raises:
        ValueError: There is no scorecard, its run has not finished, it has controls, errors or missing claims,
            it is partial and that was not asked for, or it says less than a baseline that it would replace.
    """
    from harness.reporting.sides import leave_out_subjects, load_side
    from harness.runs.baselines import BASELINES

    target_folder = arguments.into or BASELINES
    path = find_scorecard(arguments.run)
    # A run that nothing can be compared with must not become a baseline.
    side, content = load_side(path), read_json(path)
    _refuse_to_bless(path, side.card, partial=arguments.partial)
    own: dict[Path, Side] = {}
    for subject in sorted(side.card.subjects):
        target = target_folder / f"{name_file(subject)}.json"
        own[target] = leave_out_subjects(side, set(side.card.subjects) - {subject})
        # Before anything is written: either all baselines are replaced or none.
        if target.exists() and side.card.run.partial:
            own[target] = _put_into(load_side(target), own[target])
        elif target.exists():
            _refuse_to_replace(target, path, subject, content)
    for target, blessed in own.items():
        _write(target, blessed)
        told = " (a partial baseline)" if blessed.card.run.partial else ""
        print(f"{target}: {len(blessed.card.records)} claims{told}")
    return 0


def _refuse_to_bless(path: Path, card: Scorecard, *, partial: bool) -> None:
    """Refuse a run that is no baseline, whatever was there before.

    Raises:
        ValueError: It has controls, errors or missing claims, or is partial and that was not asked for.
    """
    from harness.judging.verdict import Verdict
    from harness.reporting.wording import spell_count, tell_partial

    if any(record.control for record in card.records):
        raise ValueError(
            f"{path} has controls: what they must give stands in fixtures/controls.toml"
        )
    if not card.records and not card.missing:
        raise ValueError(f"{path} has no verdict: there is nothing to bless")
    errors = [record.claim for record in card.records if record.verdict is Verdict.error]
    for claims, what in (([c for c, _ in card.missing], "missing"), (errors, "with errors")):
        if claims:
            raise ValueError(
                f"{path}: {spell_count(len(claims), 'claim')} {what}, the first is {claims[0]}: run it again "
                "before blessing"
            )
    if card.run.partial and not partial:
        raise ValueError(
            f"{path}: {tell_partial(card.run)}: bless a run of all claims, or say --partial to bless its own "
            "claims alone"
        )


def _put_into(before: Side, own: Side) -> Side:
    """The baseline with a run's own claims in place of those that it has; its other claims stay as they are.

    Raises:
        ValueError: The two were not asked or measured alike, so that they cannot stand in one scorecard.
    """
    from dataclasses import replace

    from harness.reporting.scorecard import build
    from harness.reporting.sides import refuse_other_settings
    from harness.statistics.head_scores import Carried

    refuse_other_settings(before, own, partial=True)
    if before.card.run.code != own.card.run.code:
        raise ValueError(
            f"{own.where} was measured by other code than {before.where}, so the two cannot be one baseline: "
            "bless a run of all claims"
        )
    records = {**before.card.by_pair, **own.card.by_pair}
    card = build(before.card.run, records.values(), records)
    # A run of some claims may not have measured heads, which then are as they were.
    known = {k: h for k, h in own.heads.items() if h.carried is not Carried.unmeasured}
    evidence, heads = {**before.evidence, **own.evidence}, {**own.heads, **before.heads, **known}
    # The noise floor was measured of the baseline's estimates, some of which are replaced.
    return replace(before, card=card, evidence=evidence, heads=heads, floor=None)


def _write(target: Path, side: Side) -> None:
    """Write a baseline with its evidence and its noise floor; that of an older baseline goes."""
    from harness.judging.evidence import save_evidence
    from harness.reporting.floor import find_floor_file
    from harness.reporting.sides import DIGEST, find_evidence_file

    subjects, content = side.card.subjects, side.card.to_json()
    # A baseline says what holds, not how long it took; timings would differ between any two runs.
    records = [{**r, "seconds": None, "baseline": None} for r in content["records"]]
    asked = {s: facts for s, facts in side.card.run.subjects.items() if s in subjects}
    run = {**content["run"], "started": "", "command": "", "subjects": asked}
    evidence = {pair: found for pair, found in side.evidence.items() if pair[1] in subjects}
    heads = {key: found for key, found in side.heads.items() if key[0] in subjects}
    # The evidence first: what stands in the scorecard's file is then true of what is there.
    digest = save_evidence(find_evidence_file(target), evidence, heads)
    find_floor_file(target).unlink(missing_ok=True)
    if side.floor is not None and side.floor["subject"] in subjects:
        write_json(find_floor_file(target), side.floor)
    write_json(target, {**content, "run": run, "records": records, DIGEST: digest})


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
