"""The end of a run: its scorecard, compared with the baseline that was named."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from harness import __version__
from harness.experiments.catalogue import EXPERIMENTS
from harness.judging.controls import read_expected
from harness.judging.evidence import load_folder_evidence, save_evidence
from harness.judging.record import SCHEMA, Record, RunFacts, load_records
from harness.machine.files import REPORTS, write_json
from harness.measuring.code import hash_code, hash_stimuli
from harness.reporting import deviations, error_rates
from harness.reporting.alarms import read_alarms, summarize_alarms
from harness.reporting.compare import compare
from harness.reporting.fates import Comparison
from harness.reporting.scorecard import Scorecard, build
from harness.reporting.sides import (
    DIGEST,
    NotComparable,
    Side,
    find_evidence_file,
    keep_asked,
    leave_out_subjects,
)
from harness.reporting.wording import spell_count
from harness.runs.head_scores import gather_head_scores
from harness.runs.journal import Collected
from harness.runs.rival_scores import score_rivals
from harness.runs.run import Run
from harness.runs.sealing import describe_seal
from harness.statistics.looks import AUTO

CALIBRATION = REPORTS / "calibration.json"

FIGURES = "figures"
"""Folder of the store in which figures of its measurements are kept."""


@dataclass(frozen=True)
class Conclusion:
    """What a finished run found.

    Attributes:
        scorecard: The scorecard of all its records.
        comparison: The comparison with the baseline that was named; None if none was, or with a `refusal`.
        refusal: Why the two cannot be compared; "" if they can.
    """

    scorecard: Scorecard
    comparison: Comparison | None = None
    refusal: str = ""

    @property
    def lost(self) -> bool:
        """Whether something was lost against the baseline, or the two cannot be compared."""
        return bool(self.refusal) or (self.comparison is not None and self.comparison.red)


class FolderLost(RuntimeError):
    """The folder of the scorecard is no longer that of this run."""


def conclude(run: Run, *, interrupted: bool) -> Conclusion:
    """Build the scorecard from the run's records; with --scorecard write it, with its evidence and figures.

    Args:
        run: The run. Several processes may have judged it, all of which wrote into its journal.
        interrupted: Whether it was interrupted.

    Raises:
        FolderLost: Another run, or a person, has emptied the folder of the scorecard in the meantime.
    """
    folder, found = run.journal.folder, run.journal.read_collected()
    if run.options.scorecard and not run.journal.is_begun:
        raise FolderLost(
            f"--scorecard {run.options.scorecard}: its records are gone: the folder was emptied, or "
            "another run began in it. Nothing is written there; the same command again goes on from what is "
            "measured already"
        )
    records = load_records(folder)
    before = run.before.card.subjects if run.before else ()
    why = tell_why_partial(found, records, before, interrupted=interrupted)
    scorecard = build(gather_run_facts(run, found, partial=why), records, found.pairs)
    heads = gather_head_scores(scorecard, found, run.measuring.store)
    side = Side("this run", scorecard, load_folder_evidence(folder), heads)
    concluded = _compare(run, side, found)
    if run.options.scorecard:
        _write(run, side, concluded, run.options.scorecard)
    return concluded


def _compare(run: Run, side: Side, found: Collected) -> Conclusion:
    scorecard = side.card
    # Controls are left out: they are compared with what is known of them, whatever baseline is named.
    known = {entry.name for entry in run.entries if run.is_exact(entry)}
    if run.before is None or len(known) == len(run.entries):
        return Conclusion(scorecard)
    pairs = [pair for pair in found.pairs if pair[1] not in known]
    after = leave_out_subjects(side, known)
    options = run.options
    try:
        before = keep_asked(run.before, pairs, found.left_out)
        compared = compare(before, after, partial=options.partial, strict=options.strict)
        return Conclusion(scorecard, compared)
    except NotComparable as refusal:
        return Conclusion(scorecard, refusal=str(refusal))


def _write(run: Run, side: Side, concluded: Conclusion, folder: Path) -> None:
    # Only the process that writes the page draws figures; the others need no second for the library that does.
    from harness.reporting.writing import write_pages

    scorecard, compared = side.card, concluded.comparison
    known = error_rates.read_calibration(CALIBRATION)
    told = {
        "calibration": error_rates.summarize_error_rates(known, scorecard),
        "deviations": deviations.to_json(scorecard),
    }
    path = folder / "scorecard.json"
    digest = save_evidence(find_evidence_file(path), side.evidence, side.heads)
    alarms = summarize_alarms(read_alarms(), scorecard.records) if run.before else ""
    stages = compared.stages if compared else ()
    store, flavour = run.measuring.store, run.options.junit
    write_pages(
        scorecard,
        store,
        folder,
        known,
        alarms,
        flavour,
        stages,
        score_rivals,
        store.folder / FIGURES,
    )
    # Last, since it says that the run has finished.
    write_json(path, {**scorecard.to_json(), DIGEST: digest, **told})


def gather_run_facts(run: Run, found: Collected, *, partial: str = "") -> RunFacts:
    """The facts about a run that stand at the top of its scorecard.

    Args:
        run: The run.
        found: What its processes collected.
        partial: Why it is partial, in words; "" if it is whole.
    """
    asked = {subject for _, subject in found.pairs}
    return RunFacts(
        schema=SCHEMA,
        claims_hash=found.digest,
        harness=__version__,
        torch=version("torch"),
        transformers=version("transformers"),
        nnsight=version("nnsight"),
        # A server's numbers need not be those of a device here, to the last bits.
        device=" + ".join(filter(None, (run.device, run.options.remote))),
        dtype=", ".join(sorted({e.dtype for e in run.entries})),
        attention=run.options.attention,
        started=run.started,
        seed=run.options.seed,
        trials=run.options.trials,
        python=platform.python_version(),
        platform=platform.platform(),
        partial=bool(partial),
        partial_because=partial,
        command=run.options.command,
        stimuli=hash_stimuli(),
        gate=run.options.gate,
        code=hash_code(experiment.module for experiment in EXPERIMENTS),
        subjects=run.journal.read_subjects([e for e in run.entries if e.name in asked]),
        seal=describe_seal(run.seal) if run.seal else {},
    )


def tell_why_partial(
    found: Collected,
    records: Iterable[Record],
    before: Collection[str] = (),
    *,
    interrupted: bool = False,
) -> str:
    """Why a run has no verdict on every claim for each of its subjects, in words; "" if it has.

    A claim counts as left out if it was found and not chosen, or if the table of controls knows it and it was
    not found at all, because its file was ignored, say.

    Args:
        found: What the run's processes collected.
        records: What was judged.
        before: Subjects of the baseline that was named; each of them is to be asked, or to be gone.
        interrupted: Whether the run was interrupted.
    """
    asked, subjects = {claim for claim, _ in found.pairs}, {subject for _, subject in found.pairs}
    left_out = {claim for claim, subject in found.left_out or () if subject in subjects}
    known = {claim for claim, _ in read_expected()}
    if asked & known:
        left_out |= known - asked
    missing = set(found.pairs) - {(r.claim, r.subject) for r in records}
    unasked = {subject for _, subject in found.left_out or ()} & set(before) - subjects
    told = [
        "it was interrupted" if interrupted else "",
        "" if asked else "no claim was asked",
        f"{', '.join(sorted(unasked))} of the baseline left out" if unasked else "",
        "only some files of claims were searched" if found.left_out is None else "",
        f"{spell_count(len(left_out), 'claim')} left out" if left_out else "",
        f"{spell_count(len(missing), 'claim')} without a verdict" if missing else "",
    ]
    return ", ".join(filter(None, told))


def tell_saved(run: Run) -> str:
    """One line on how many trials --trials auto saved; "" without that option."""
    if run.options.trials != AUTO:
        return ""
    asked, whole = run.journal.count_asked()
    share = asked / max(1, whole) - 1
    word = "more" if share > 0 else "fewer"
    return (
        f"--trials auto: {asked} trials asked, looks that settled nothing included, where all are {whole} "
        f"({abs(share):.0%} {word})"
    )
