"""Experiment E: does the decoder order items where vision does not? (section 5.3.2, Figure 9)

The ordering is removed from the clean and the counterfactual run as in experiment D, and the outer items'
tokens are exchanged as in experiment C, at one slot at a time. At slot 0 both hold the same vectors, so that
nothing can happen there by construction; what tells is a rise in between.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.experiments.dual_mechanisms.removal import References
from harness.experiments.editing import ROWS, find_answers
from harness.experiments.halves import Halves
from harness.experiments.probabilities import read_probabilities
from harness.experiments.row_pairs import (
    LEAST_SCENES,
    check_wiring,
    exchange,
    explain_no_tokens,
    find_all_tokens,
    list_directions,
)
from harness.experiments.slots import Slots, count_rows
from harness.measuring.experiment import Request
from harness.stimuli.row_tokens import Regions
from harness.stimuli.rows import RowQuestion, Setting, draw_row_pairs, make_mirrored_pair
from harness.subjects.batch import Batch
from harness.tracing.replay import Variant

KINDS = ("objects", "background")
"""What is exchanged: the outer items' tokens, or as many background tokens, drawn for each scene."""

WORDS = ("c0", "c1", "c2")
"""The probabilities of the answers t0 to t2."""


def _measure(request: Request, setting: Setting) -> xr.Dataset:
    """Exchange the items of rows without ordering at every slot.

    Returns:
        `kept` bool [drawn]: whether both sides of a pair are answered right without the ordering,
        `kept_scene` [drawn]. Of the kept pairs `swapped` float64 [kind, word, slot, trial], `clean` [word,
        trial] with the ordering removed and nothing exchanged; `direction`, `scene` (of the pair of images),
        `part` [trial].

    Raises:
        WiringFailed: An exchange of items before the first layer, or of anything after the last, has an effect.
    """
    subject = request.subject
    if reason := explain_no_tokens(request, setting):
        return xr.Dataset(attrs={"no_tokens": reason})
    drawn = draw_row_pairs(
        make_mirrored_pair, subject.row_grid, setting, request.trials, request.rng
    )
    sides = [[p.clean for p in drawn], [p.counterfactual for p in drawn]]
    references = References(subject, [*sides[0], *sides[1]])

    def answer(questions: list[RowQuestion]) -> np.ndarray:
        said = find_answers(
            subject,
            [q.trial for q in questions],
            lambda batch, part: [[references.remove(questions[part], batch)]],
        )
        return np.asarray(said[0] == [q.trial.answer for q in questions])

    good = answer(sides[0]) & answer(sides[1])
    every = {
        "kept": (("drawn",), good),
        "kept_scene": (("drawn",), np.array([p.key for p in drawn])),
    }
    kept = [p for p, right in zip(drawn, good, strict=True) if right]
    scenes = np.array([p.key for p in kept])
    if len(np.unique(scenes)) < LEAST_SCENES:
        return xr.Dataset(every)
    clean = [p.clean.trial for p in kept]
    tokens = find_all_tokens([p.clean for p in kept], subject.encode(clean[:1]))
    backgrounds: dict[str, Regions] = {}
    for scene, of in zip(scenes.tolist(), tokens, strict=True):
        if scene not in backgrounds:
            backgrounds[scene] = of.draw_background(len(of.outer.first), request.rng)

    def swap(batch: Batch, part: slice) -> list[Variant]:
        """List the edits: the ordering removed, alone and with each exchange of tokens at each slot."""
        request.progress(part.start, len(kept))
        others = [p.counterfactual for p in kept[part]]
        other = subject.encode([q.trial for q in others])
        removed = references.remove([p.clean for p in kept[part]], batch)
        gone = references.remove(others, other)
        values = Slots.capture(subject, other, other.image_tokens, [gone])
        regions = [
            exchange([t.outer for t in tokens[part]]),
            exchange([backgrounds[s] for s in scenes[part].tolist()]),
        ]
        return [
            [removed],
            *(
                [removed, *values.write(slot, batch.image_tokens.gather(1, where), taken)]
                for where, taken in regions
                for slot in range(values.count)
            ),
        ]

    rows = count_rows(subject, tokens[0].total, ROWS)
    found, _ = read_probabilities(subject, clean, [p.words for p in kept], swap, rows)
    swapped = found[1:].reshape(len(KINDS), subject.layers + 1, *found.shape[1:])
    worst = max(
        check_wiring(
            subject,
            swapped[0, 0],
            found[0],
            "items without ordering are exchanged before the first layer",
        ),
        check_wiring(
            subject, swapped[:, -1], found[0], "image tokens are exchanged after the last layer"
        ),
    )
    halves = Halves.deal(scenes, request.rng)
    return xr.Dataset(
        {
            **every,
            "swapped": (("kind", "word", "slot", "trial"), swapped.transpose(0, 3, 1, 2)),
            "clean": (("word", "trial"), found[0].T),
            "direction": (("trial",), list_directions(kept)),
            "scene": (("trial",), halves.scenes),
            "part": (("trial",), halves.names),
        },
        {"kind": list(KINDS), "word": list(WORDS), "slot": np.arange(subject.layers + 1)},
        {"wiring": worst},
    )


def measure(request: Request) -> xr.Dataset:
    """Exchange items of rows of the Shapes setting without their ordering, as `_measure` says."""
    return _measure(request, "shapes")


def measure_squares(request: Request) -> xr.Dataset:
    """Exchange items of rows of the Squares setting without their ordering, as `_measure` says."""
    return _measure(request, "squares")
