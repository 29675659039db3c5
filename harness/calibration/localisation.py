"""Whether what is planted is found where it is: by mediation, by similarity and by steering."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
import xarray as xr

from harness.experiments.catalogue import MEDIATION, find_experiment
from harness.machine.files import FIXTURES
from harness.measures.mediation import auroc
from harness.measuring.experiment import Experiment, Request
from harness.readings.visual_symbols.mediation import Mediation
from harness.readings.visual_symbols.similarity import Similarity
from harness.stimuli.contrast import CONDITIONS, Contrast, contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.subject import Subject
from harness.tracing.capture import capture
from harness.tracing.edit import Edit
from harness.tracing.replay import replay

RANDOM_SETS = 20
"""Sets of heads drawn at random, as many heads each as are planted."""

HeadList = list[tuple[int, int]]


def localise(name: str, *, trials: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Look for the planted heads of a control as if nobody knew them.

    Args:
        name: A control with a truth.json that has all three stages.
        trials: Of each experiment; each experiment's own number if None.
        seed: Of the trials.

    Returns:
        `auroc`: stage to how surely mediation ranks its heads above all others; `peaks`: pair of code and
        token to (layer found, layers where it is planted); `steering`: share of answers that move to the
        other object when the planted selection heads are steered, and when random heads are.
    """
    entry = find(name, read_registry())
    subject = load(entry)
    truth = json.loads((FIXTURES / entry.source / "truth.json").read_text())
    planted: dict[str, HeadList] = {s: [tuple(h) for h in hs] for s, hs in truth["heads"].items()}
    rng = np.random.default_rng(seed)

    def measure(experiment: Experiment) -> xr.Dataset:
        request = Request(subject, trials or experiment.trials, rng)
        return experiment.load_measure()(request)

    scores = Mediation(measure(MEDIATION))
    codes = Similarity(measure(find_experiment("similarity")))
    last = subject.layers
    stages = {s: hs[0][0] for s, hs in planted.items()}
    # A code is there from the layer that writes it to the one that buries it.
    wanted = {
        "position@mentions": range(stages["id_retrieval"], stages["id_retrieval"] + 1),
        "position@last": range(stages["id_selection"], stages["feature_retrieval"]),
        "features@last": range(stages["feature_retrieval"], last),
    }
    return {
        "auroc": {s: auroc(scores.mean_scores(s), planted[s]) for s in CONDITIONS},
        "peaks": {p: [codes.peak_layer(p, "all"), list(layers)] for p, layers in wanted.items()},
        "steering": steering(subject, planted["id_selection"], trials or 100, rng),
    }


def steering(
    subject: Subject, heads: HeadList, trials: int, rng: np.random.Generator
) -> dict[str, float]:
    """Add d_other - d_own, the mean outputs for two places, at chosen heads of the last token.

    The means are taken on trials other than the ones that are steered (protocol of section 4.2).

    Returns:
        Share of answers that become the described object's color: `planted` at the given heads, `random`
        the largest over sets of as many other heads, `untouched` without steering.
    """
    pairs = contrasts("id_selection", subject.grids[2], HIGH_ENTROPY[3], 2 * trials, rng)
    means = _means(subject, pairs[:trials])
    judged = pairs[trials:]
    others = [h for h in np.ndindex(subject.layers, subject.heads) if h not in heads]
    drawn = [
        [others[i] for i in rng.choice(len(others), len(heads), replace=False)]
        for _ in range(RANDOM_SETS)
    ]
    untouched, planted, *random = _moved(subject, judged, means, [[], heads, *drawn])
    return {"untouched": untouched, "planted": planted, "random": max(random)}


def _cells(pairs: list[Contrast], which: str) -> list[int]:
    """Index of the cell of the target, or of the described object, in each clean trial."""
    trials = [p.clean for p in pairs]
    shown = [t.target if which == "target" else t.described[0] for t in trials]
    return [
        t.scene.grid.cells.index(t.scene.cell_of(o)) for t, o in zip(trials, shown, strict=True)
    ]


def _means(subject: Subject, pairs: list[Contrast]) -> torch.Tensor:
    """Mean output of every head at the last token by cell of the target, [cell, L, H, d/H]."""
    batch = subject.encode([p.clean for p in pairs])
    values = capture(subject, batch, "head", torch.full((len(pairs), 1), batch.last))[:, :, 0]
    where = torch.tensor(_cells(pairs, "target"))
    return torch.stack([values[:, where == c].mean(1) for c in range(len(subject.grids[2].cells))])


def _moved(
    subject: Subject, pairs: list[Contrast], means: torch.Tensor, sets: list[HeadList]
) -> list[float]:
    """Share of answers that become the described object's color, for each set of steered heads."""
    batch = subject.encode([p.clean for p in pairs])
    last = torch.full((len(pairs), 1), batch.last)
    shift = means[_cells(pairs, "described")] - means[_cells(pairs, "target")]
    variants = [
        [
            Edit("head", layer, last, shift[:, layer, h, None, None], (h,), "add")
            for layer, h in heads
        ]
        for heads in sets
    ]
    said = replay(subject, batch, variants).argmax(-1)
    aim = torch.tensor([subject.answer_id(p.clean.prompt, p.patched_answer) for p in pairs])
    return (said == aim).float().mean(-1).tolist()
