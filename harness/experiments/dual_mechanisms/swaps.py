"""Experiment C: does the ordering lie in the items' own tokens, or in strips? (section 5.2.2, Figures 5 to 7)

The counterfactual shows the row in the other order and is asked the same. Of its run the tokens of the right
strip go to the left one and those of the left to the right, so that every item keeps its look and takes the
other's place along. Position ids stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from harness.experiments.editing import ROWS
from harness.experiments.halves import Halves
from harness.experiments.probabilities import read_probabilities
from harness.experiments.row_pairs import (
    LEAST_SCENES,
    check_wiring,
    draw_kept_pairs,
    exchange,
    explain_no_tokens,
    find_all_tokens,
    list_directions,
)
from harness.experiments.slots import Slots, count_rows
from harness.measuring.experiment import Request
from harness.stimuli.row_tokens import Regions, RowTokens
from harness.stimuli.rows import Setting, make_mirrored_pair
from harness.subjects.batch import Batch
from harness.tracing.replay import Variant

KINDS = ("strips", "objects")
"""What is exchanged at every slot."""

ONCE = ("misaligned", "crosswise", "background")
"""What is exchanged at the decoder's input alone.

Strips in which the items' offsets differ by a token (`RowTokens`); strips in the wrong orientation, which hold
no item; two sets of background tokens, drawn for each scene, as large as a strip where there are so many.
"""

WORDS = ("c0", "c1", "c2")
"""The probabilities of the answers t0 to t2."""


def _measure(request: Request, setting: Setting) -> xr.Dataset:
    """Exchange the outer tokens of rows at every slot.

    Returns:
        `swapped` float64 [kind, word, slot, trial]: probability of each word; `swapped_once` [once, word,
        trial] at slot 0; `clean` [word, trial] without an edit; `direction`, `scene` (of the pair of images),
        `part` [trial]. `word_curve` [slot, asked] and `asked_scene` [asked]: c3 of the experiment last_token
        under the opposite donor. The attributes `kept` and `drawn` count pairs; `no_tokens` says why a
        subject has no strips.

    Raises:
        WiringFailed: An exchange after the last layer has an effect.
    """
    subject = request.subject
    if reason := explain_no_tokens(request, setting):
        return xr.Dataset(attrs={"no_tokens": reason})
    kept = [pair for (pair,) in draw_kept_pairs(request, setting, make_mirrored_pair)]
    counts = {"drawn": request.trials, "kept": len(kept)}
    if len({p.key for p in kept}) < LEAST_SCENES:
        return xr.Dataset(attrs=counts)
    clean = [p.clean.trial for p in kept]
    words = [p.words for p in kept]
    tokens = find_all_tokens([p.clean for p in kept], subject.encode(clean[:1]))
    once = [k for k in ONCE if k != "misaligned" or all(t.misaligned for t in tokens)]
    scenes = np.array([p.key for p in kept])
    drawn = _draw_backgrounds(tokens, scenes, request.rng)

    def swap(batch: Batch, part: slice) -> list[Variant]:
        """No edit, what is exchanged at slot 0 alone, and every kind at every slot."""
        request.progress(part.start, len(kept))
        other = subject.encode([p.counterfactual.trial for p in kept[part]])
        values = Slots.capture(subject, other, other.image_tokens)
        found = {
            kind: exchange([_choose(kind, t) for t in tokens[part]])
            for kind in (*KINDS, *once)
            if kind != "background"
        }
        found["background"] = exchange(drawn[part])

        def write(slot: int, kind: str) -> Variant:
            where, taken = found[kind]
            return values.write(slot, batch.image_tokens.gather(1, where), taken)

        every = [write(slot, kind) for kind in KINDS for slot in range(values.count)]
        return [[], *(write(0, kind) for kind in once), *every]

    rows = count_rows(subject, tokens[0].total, ROWS)
    found, _ = read_probabilities(subject, clean, words, swap, rows)
    unedited, swapped_once, swapped = found[0], found[1 : 1 + len(once)], found[1 + len(once) :]
    swapped = swapped.reshape(len(KINDS), subject.layers + 1, *found.shape[1:])
    worst = check_wiring(
        subject, swapped[:, -1], unedited, "image tokens are exchanged after the last layer"
    )
    halves = Halves.deal(scenes, request.rng)
    patched = request.needed["last_token" if setting != "squares" else "last_token_squares"]
    return xr.Dataset(
        {
            "swapped": (("kind", "word", "slot", "trial"), swapped.transpose(0, 3, 1, 2)),
            "swapped_once": (("once", "word", "trial"), swapped_once.transpose(0, 2, 1)),
            "clean": (("word", "trial"), unedited.T),
            "direction": (("trial",), list_directions(kept)),
            "scene": (("trial",), halves.scenes),
            "part": (("trial",), halves.names),
            **_copy_curves(patched),
        },
        {
            "kind": list(KINDS),
            "once": once,
            "word": list(WORDS),
            "slot": np.arange(subject.layers + 1),
        },
        {**counts, "wiring": worst},
    )


def _choose(kind: str, tokens: RowTokens) -> Regions:
    """The two regions of a row that are exchanged.

    Raises:
        ValueError: There are no such regions.
    """
    regions = {
        "strips": tokens.aligned,
        "misaligned": tokens.misaligned,
        "objects": tokens.outer,
        "crosswise": tokens.crosswise,
    }[kind]
    if regions is None:
        raise ValueError(f"a row has no {kind} strips")
    return regions


def _draw_backgrounds(
    tokens: Sequence[RowTokens], scenes: np.ndarray, rng: np.random.Generator
) -> list[Regions]:
    """For every scene two sets of background tokens of its own."""
    drawn: dict[str, Regions] = {}
    for scene, of in zip(scenes.tolist(), tokens, strict=True):
        if scene not in drawn:
            count = min(len(of.aligned.first), len(of.background) // 2)
            drawn[scene] = of.draw_background(count, rng)
    return [drawn[scene] for scene in scenes.tolist()]


def _copy_curves(patched: xr.Dataset) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """The curve of the experiment last_token that a claim compares with; {} if it kept no pairs."""
    if "patched" not in patched:
        return {}
    moved = patched.patched.sel(donor="opposite").transpose("word", "slot", "trial")
    return {
        "word_curve": (("slot", "asked"), moved.sel(word="c3").values),
        "asked_scene": (("asked",), patched.scene.values),
    }


def measure(request: Request) -> xr.Dataset:
    """Exchange tokens of rows of the Shapes setting, as `_measure` says."""
    return _measure(request, "shapes")


def measure_squares(request: Request) -> xr.Dataset:
    """Exchange tokens of rows of the Squares setting, as `_measure` says."""
    return _measure(request, "squares")


def measure_solids(request: Request) -> xr.Dataset:
    """Exchange tokens of rows of solids on textured ground, as `_measure` says."""
    return _measure(request, "solids")
