"""The end of a run: its scorecard, compared with the baseline that was named."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from harness import __version__
from harness.experiments.catalogue import EXPERIMENTS
from harness.judging.evidence import load_folder_evidence, save_evidence
from harness.judging.record import SCHEMA, RunFacts, load_records
from harness.machine.files import REPORTS, write_json
from harness.measuring.code import hash_code, hash_stimuli
from harness.reporting import deviations, error_rates
from harness.reporting.compare import Comparison, compare
from harness.reporting.scorecard import Scorecard, build
from harness.reporting.sides import (
    NotComparable,
    Side,
    find_evidence_file,
    keep_asked,
    leave_out_subjects,
)
from harness.reporting.writing import write_pages
from harness.runs.journal import Collected
from harness.runs.run import Run
from harness.runs.sealing import describe_seal
from harness.statistics.looks import AUTO

CALIBRATION = REPORTS / "calibration.json"


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


def conclude(run: Run, *, partial: bool) -> Conclusion:
    """Build the scorecard from the run's records; with --scorecard write it, with its evidence and figures.

    Args:
        run: The run. Several processes may have judged it, all of which wrote into its journal.
        partial: Whether it was interrupted.
    """
    folder, found = run.journal.folder, run.journal.read_collected()
    scorecard = build(
        gather_run_facts(run, found, partial=partial), load_records(folder), found.pairs
    )
    if run.options.scorecard:
        _write(run, scorecard, run.options.scorecard)
    return _compare(run, scorecard, found)


def _compare(run: Run, scorecard: Scorecard, found: Collected) -> Conclusion:
    # Controls are left out: they are compared with what is known of them, whatever baseline is named.
    known = {entry.name for entry in run.entries if run.is_exact(entry)}
    if run.before is None or len(known) == len(run.entries):
        return Conclusion(scorecard)
    pairs = [pair for pair in found.pairs if pair[1] not in known]
    after = leave_out_subjects(
        Side("this run", scorecard, load_folder_evidence(run.journal.folder)), known
    )
    try:
        before = keep_asked(run.before, pairs, found.left_out)
        return Conclusion(scorecard, compare(before, after))
    except NotComparable as refusal:
        return Conclusion(scorecard, refusal=str(refusal))


def _write(run: Run, scorecard: Scorecard, folder: Path) -> None:
    known = error_rates.read_calibration(CALIBRATION)
    told = {
        "calibration": error_rates.summarize_error_rates(known, scorecard),
        "deviations": deviations.to_json(scorecard),
    }
    path = folder / "scorecard.json"
    write_json(path, {**scorecard.to_json(), **told})
    save_evidence(find_evidence_file(path), load_folder_evidence(run.journal.folder))
    write_pages(scorecard, run.measuring.store, folder, known)


def gather_run_facts(run: Run, found: Collected, *, partial: bool) -> RunFacts:
    """The facts about a run that stand at the top of its scorecard.

    Args:
        run: The run.
        found: What its processes collected.
        partial: Whether it was interrupted.
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
        partial=partial,
        stimuli=hash_stimuli(),
        gate=run.options.gate,
        code=hash_code(experiment.module for experiment in EXPERIMENTS),
        subjects=run.journal.read_subjects([e for e in run.entries if e.name in asked]),
        seal=describe_seal(run.seal) if run.seal else {},
    )


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
