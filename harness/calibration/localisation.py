"""Look for planted heads with mediation, similarity and steering, and compare with where they are planted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

import numpy as np
import torch
import xarray as xr

from harness.experiments.catalogue import MEDIATION, find_experiment
from harness.experiments.editing import read_words
from harness.measures.mediation import auroc
from harness.measuring.experiment import Experiment, Request
from harness.readings.visual_symbols.mediation import Mediation
from harness.readings.visual_symbols.similarity import Similarity
from harness.stimuli.contrast import CONDITIONS, Contrast, draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.subject import Subject
from harness.subjects.truth import Heads, read_known_heads
from harness.tracing.capture import capture
from harness.tracing.edit import Edit
from harness.tracing.replay import replay

RANDOM_SETS = 20
"""How many random sets of heads are steered, each of as many heads as are planted."""


class Located(TypedDict):
    """Where the mechanism of a control was found.

    `auroc` has for each stage how surely mediation ranks its heads above all others. `onsets` has for each code
    and token the layer from which on it was found and the layers where it is planted. `steering` has the share
    of answers that move to the other object without steering (`untouched`), when the planted selection heads
    are steered (`planted`), and when random heads are (`random`).
    """

    auroc: dict[str, float]
    onsets: dict[str, tuple[int, list[int]]]
    steering: dict[str, float]


def locate_heads(name: str, *, trials: int | None = None, seed: int = 0) -> Located:
    """Look for the planted heads of a control as if nobody knew them.

    Args:
        name: A control whose truth.json has the heads of all three stages.
        trials: Trials of each experiment; each experiment's own number if None.
        seed: Seed of the trials.
    """
    entry = find(name, read_registry())
    subject = load(entry)
    planted = read_known_heads(entry.folder)
    rng = np.random.default_rng(seed)

    def measure(experiment: Experiment) -> xr.Dataset:
        request = Request(subject, trials or experiment.trials, rng)
        return experiment.load_measure()(request)

    scores = Mediation(measure(MEDIATION))
    codes = Similarity(measure(find_experiment("similarity")))
    last = subject.layers
    stages = {s: hs[0][0] for s, hs in planted.items()}
    every = [head for hs in planted.values() for head in hs]
    # A code can be read from the layer that writes it up to the layer that writes over it.
    wanted = {
        "position@mentions": range(stages["id_retrieval"], stages["id_retrieval"] + 1),
        "position@last": range(stages["id_selection"], stages["feature_retrieval"]),
        "features@last": range(stages["feature_retrieval"], last),
    }
    return {
        "auroc": {s: auroc(scores.mean_scores(s), planted[s]) for s in CONDITIONS},
        "onsets": {p: (codes.onset_layer(p), list(layers)) for p, layers in wanted.items()},
        "steering": steering(subject, planted["id_selection"], trials or 100, rng, spared=every),
    }


def steering(
    subject: Subject,
    heads: Heads,
    trials: int,
    rng: np.random.Generator,
    *,
    spared: Heads,
) -> dict[str, float]:
    """Steer heads at the last token from the target's cell to the described object's, and count moved answers.

    The difference of the mean outputs for the two cells is added. The means are taken on other trials than
    those that are steered (protocol of section 4.2).

    Args:
        subject: The control.
        heads: The planted heads.
        trials: How many trials are steered.
        rng: Draws the trials and the random heads.
        spared: All planted heads; random heads are others.

    Returns:
        Share of answers that become the described object's color: `planted` at the given heads, `random`
        the largest over sets of as many other heads, `untouched` without steering.
    """
    pairs = draw_contrasts("id_selection", subject.grids[2], HIGH_ENTROPY[3], 2 * trials, rng)
    means = _average_outputs(subject, pairs[:trials])
    judged = pairs[trials:]
    every = [(layer, h) for layer in range(subject.layers) for h in range(subject.heads)]
    others = [h for h in every if h not in spared]
    drawn = [
        [others[i] for i in rng.choice(len(others), len(heads), replace=False)]
        for _ in range(RANDOM_SETS)
    ]
    untouched, planted, *random = _count_moved(subject, judged, means, [[], heads, *drawn])
    return {"untouched": untouched, "planted": planted, "random": max(random)}


def _find_cells(pairs: Sequence[Contrast], which: Literal["target", "described"]) -> list[int]:
    """Index of the target's cell, or of the described object's, in each clean trial."""
    trials = [p.clean for p in pairs]
    shown = [t.target if which == "target" else t.described[0] for t in trials]
    return [
        t.scene.grid.cells.index(t.scene.cell_of(o)) for t, o in zip(trials, shown, strict=True)
    ]


def _average_outputs(subject: Subject, pairs: Sequence[Contrast]) -> torch.Tensor:
    """Mean output of every head at the last token, by the target's cell, [cell, layer, head, width]."""
    batch = subject.encode([p.clean for p in pairs])
    values = capture(subject, batch, "head", torch.full((len(pairs), 1), batch.last))[:, :, 0]
    where = torch.tensor(_find_cells(pairs, "target"))
    return torch.stack([values[:, where == c].mean(1) for c in range(len(subject.grids[2].cells))])


def _count_moved(
    subject: Subject, pairs: Sequence[Contrast], means: torch.Tensor, sets: Sequence[Heads]
) -> list[float]:
    """Share of answers that become the described object's color, for each set of steered heads."""
    batch = subject.encode([p.clean for p in pairs])
    last = torch.full((len(pairs), 1), batch.last)
    shift = means[_find_cells(pairs, "described")] - means[_find_cells(pairs, "target")]
    variants = [
        [
            Edit("head", layer, last, shift[:, layer, h, None, None], (h,), "add")
            for layer, h in heads
        ]
        for heads in sets
    ]
    said = read_words(subject, replay(subject, batch, variants).argmax(-1))
    return (said == [p.patched_answer for p in pairs]).mean(-1).tolist()
