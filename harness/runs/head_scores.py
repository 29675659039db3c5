"""Gather how much each head of each subject does for each stage, for the evidence of a run."""

from __future__ import annotations

from harness.experiments.catalogue import MEDIATION
from harness.judging.evidence import SubjectStage
from harness.measuring.store import Store
from harness.readings.visual_symbols.mediation import Mediation
from harness.reporting.scorecard import Scorecard
from harness.runs.journal import Collected
from harness.statistics.head_scores import Carried, HeadScores
from harness.stimuli.contrast import CONDITIONS


def gather_head_scores(
    card: Scorecard, found: Collected, store: Store
) -> dict[SubjectStage, HeadScores]:
    """Scores of all heads by (subject, stage), with the reason where there are none.

    Args:
        card: Verdicts of the run, by which the measurement of heads is found.
        found: What the run's processes collected, by which the claims about heads are known.
        store: Where the measurements are.
    """
    scores: dict[SubjectStage, HeadScores] = {}
    for subject in card.subjects:
        read = _read_mediation(card, found, store, subject)
        for stage in CONDITIONS:
            scores[subject, stage] = (
                HeadScores(Carried.unmeasured, read)
                if isinstance(read, str)
                else read.score_heads(stage)
            )
    return scores


def _read_mediation(
    card: Scorecard, found: Collected, store: Store, subject: str
) -> Mediation | str:
    """The measurement of a subject's heads, or why there is none."""
    asked = {
        t.claim for t in found.tests.values() if t.subject == subject and MEDIATION.name in t.needs
    }
    if not asked:
        return "no claim that measures heads was asked"
    records = [r for r in card.records if r.subject == subject and r.claim in asked]
    for key in dict.fromkeys(r.measurement for r in records if r.measurement):
        data = store.get(key)
        if data is not None and data.attrs["experiment"] == MEDIATION.name:
            return Mediation(data)
    for record in records:
        if not record.measurement:
            return f"{record.verdict}: {record.reason}"
    return "no verdict on claims about heads" if not records else "its measurement is gone"
