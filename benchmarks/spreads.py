"""Measure how much correlations and scores of heads vary from trial to trial; `claims power` needs both.

    OMP_NUM_THREADS=1 python benchmarks/spreads.py

The paper prints no such spread. It is measured on the subjects that ship and on the control `planted`, whose
codes and heads are known to be there, and written to fixtures/spreads.toml. About a minute.
"""

from __future__ import annotations

import tomllib
from statistics import median

import numpy as np

from harness.calibration.spreads import SPREADS
from harness.experiments.catalogue import find_experiment
from harness.measuring.experiment import measure_alone
from harness.readings.visual_symbols.blocks import Blocks
from harness.readings.visual_symbols.entropy import Entropy
from harness.readings.visual_symbols.mediation import Mediation
from harness.readings.visual_symbols.similarity import Similarity
from harness.statistics.estimate import Estimate
from harness.stimuli.contrast import CONDITIONS
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.subject import Subject

SUBJECTS = ("tiny-qwen2-vl", "tiny-llava", "planted")

HEAD = """\
# How much the quantities of section 3.3, 4.1 and 4.5 (correlations) and of section 3.4 (scores of heads) vary.
# correlation: standard deviation of bootstrap draws times the root of the judged trials; the largest of what is
#   measured on {subjects}.
# share_of_score: standard deviation over trials of the best head's score, as a share of its mean; the median of
#   the stages that are there on the same subjects.
# Made by: OMP_NUM_THREADS=1 python benchmarks/spreads.py
"""


def measure_correlations(subject: Subject) -> list[Estimate]:
    """Estimates of correlations and of their differences, with bootstrap draws."""
    similarity = Similarity(measure_alone(find_experiment("similarity"), subject))
    blocks = Blocks(measure_alone(find_experiment("blocks"), subject))
    entropy = Entropy(measure_alone(find_experiment("entropy"), subject))
    return [
        similarity.strength("position@mentions"),
        similarity.strength("position@last"),
        similarity.late("features@last"),
        blocks.strength("relative"),
        blocks.lead(),
        *(entropy.position_gap(grid, "last") for grid in ("2x2", "3x3")),
        entropy.position_gap("3x3", "mentions"),
    ]


def measure_scores(subject: Subject) -> list[Estimate]:
    """Mean scores of the best head of each stage that is there."""
    mediation = Mediation(measure_alone(find_experiment("mediation"), subject))
    found = [mediation.strength(stage) for stage in CONDITIONS]
    return [e for e in found if e.interval(0.95)[0] > 0]


def main() -> None:
    """Measure, print and write."""
    spreads, shares = [], []
    for name in SUBJECTS:
        subject = load(find(name, read_registry()))
        for estimate in measure_correlations(subject):
            if estimate.evidence is not None:
                spreads.append(float(estimate.evidence.values.std() * np.sqrt(estimate.n)))
        for estimate in measure_scores(subject):
            if estimate.evidence is not None and estimate.value is not None:
                shares.append(float(estimate.evidence.values.std(ddof=1)) / estimate.value)
        print(name, [f"{s:.2f}" for s in spreads], [f"{s:.2f}" for s in shares], flush=True)
    written = HEAD.format(subjects=", ".join(SUBJECTS))
    written += f"correlation = {max(spreads):.2f}\nshare_of_score = {median(shares):.2f}\n"
    SPREADS.write_text(written)
    print(tomllib.loads(written))


if __name__ == "__main__":
    main()
