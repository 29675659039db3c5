"""Whether a subject does the task that an experiment builds on; if not, claims on it are blocked."""

from __future__ import annotations

from harness.judging.claim import Threshold, above
from harness.judging.verdict import Verdict, decide
from harness.measuring.experiment import Experiment
from harness.statistics.estimate import Estimate
from harness.statistics.looks import ALL_TRIALS, Look


def task_threshold(experiment: Experiment) -> Threshold:
    """How well a subject must do the task of an experiment for claims on it to be judged."""
    return above(
        experiment.least,
        unit="share right",
        origin="chosen by us",
        note="0.60 is below the 0.688 of LLaVA-1.5-7B on nine objects, the weakest subject the paper reports "
        "on; the catalogue says why an experiment asks for another share",
    )


def tell_failed_task(
    experiment: Experiment, task: str, accuracy: Estimate, subject: str, look: Look = ALL_TRIALS
) -> str:
    """Why a subject surely does worse at a task than is asked, or cannot be read; "" if it may do it.

    Args:
        experiment: Says how well the task must be done.
        task: Its name, for the message.
        accuracy: How often the subject does it.
        subject: Its name.
        look: The look at which the accuracy was measured.
    """
    judgement = decide(accuracy, task_threshold(experiment), subject, look)
    if judgement.verdict not in (Verdict.refuted, Verdict.not_applicable):
        return ""
    return f"the subject does not do the task ({task}): {judgement.reason}"
