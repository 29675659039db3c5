"""Experiment B: is an item's place along the row written into image tokens, and beside items? (section 5.2.1)

Linear probes learn the places of items from the tokens of items as the decoder is given them, rows and
columns apart. They are applied to items they never saw, to all background tokens, to the tokens of an empty
image, and to rows that stand a place further. The last two tell what is written there because of the items
from where a token stands on the canvas, which any vision encoder writes into every token.

The paper's probes are trained by gradient descent for 200 epochs; ours are the ridge probes of this suite,
whose penalty is chosen on the images that they learn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import capture_all
from harness.experiments.halves import Halves
from harness.experiments.probing import FOLDS, SHUFFLES
from harness.experiments.row_pairs import explain_no_tokens
from harness.measures.probes import (
    STRENGTHS,
    deal_folds,
    label_by_ridge,
    label_held_out,
)
from harness.measuring.experiment import Request
from harness.stimuli.directions import is_across
from harness.stimuli.row_tokens import NoRowTokens, RowTokens, find_item_tokens, find_row_tokens
from harness.stimuli.rows import (
    RowQuestion,
    Setting,
    draw_row_questions,
    show_nothing,
)
from harness.stimuli.shifted_rows import choose_shifted_grid, draw_shifted_questions
from harness.subjects.subject import Subject

PLACES = 3


@dataclass(frozen=True)
class _Probe:
    """A linear probe of places, and as many again as `SHUFFLES` that learned shuffled places.

    Attributes:
        known: Tokens of items, float64 [k, d].
        labels: Their places, int64 [1 + SHUFFLES, k]; all rows but the first are shuffled.
        strength: The penalty.
    """

    known: NDArray[np.float64]
    labels: NDArray[np.int64]
    strength: float

    @classmethod
    def learn(
        cls,
        states: NDArray[np.float64],
        items: Sequence[Sequence[Sequence[int]]],
        scenes: NDArray[np.str_],
        rng: np.random.Generator,
    ) -> _Probe:
        """Learn from the items of n images.

        Args:
            states: All image tokens, [n, N, d].
            items: The tokens of each item of each image.
            scenes: The scene of each image [n].
            rng: Deals folds and shuffles.
        """
        known = np.concatenate(
            [s[[t for i in of for t in i]] for s, of in zip(states, items, strict=True)]
        )
        size = len(items[0][0])
        places = np.tile(np.repeat(np.arange(PLACES), size), (len(items), 1))
        folds = np.repeat(deal_folds(scenes, FOLDS, rng), places.shape[1])
        right = (label_held_out(known, places.ravel(), folds) == places.ravel()).mean(1)
        # All images have the same places, so that places are shuffled within each image.
        shuffled = [
            np.stack([np.repeat(rng.permutation(PLACES), size) for _ in items]).ravel()
            for _ in range(SHUFFLES)
        ]
        return cls(known, np.stack([places.ravel(), *shuffled]), STRENGTHS[int(right.argmax())])

    def read(self, states: NDArray[np.float64]) -> NDArray[np.int64]:
        """The place that each token is labelled with, int64 [1 + SHUFFLES, n, N], from [n, N, d]."""
        flat = states.reshape(-1, states.shape[-1])
        found = label_by_ridge(self.known, self.labels, flat, self.strength)
        return found.reshape(len(self.labels), *states.shape[:2])


def _measure(request: Request, setting: Setting) -> xr.Dataset:
    """Learn places on half of the images and read them on the other half.

    Returns:
        Shares of tokens, float64 [trial], on the evaluation half: `right` of the items' tokens that are told
        their place, `chance` with the places of each image shuffled before the probe learned; `inside` of
        the background tokens of each strip (thirds of the canvas) that are labelled with the strip's item, and
        `empty` of the same tokens of an empty image. `direction`, `scene` [trial]. Of rows that stand a place
        further than those that a probe learned, [shifted]: `relative` of the items' tokens labelled with their
        place along the row, `absolute` with the place that was learned where they now stand; `shifted_scene`.
        `no_tokens` says why a subject has no tokens of items.
    """
    subject, rng = request.subject, request.rng
    if reason := explain_no_tokens(request, setting):
        return xr.Dataset(attrs={"no_tokens": reason})
    questions = draw_row_questions(subject.row_grid, setting, request.trials, rng)
    rows: list[xr.Dataset] = []
    shifted: list[xr.Dataset] = []
    for across in (True, False):
        request.progress(len(rows), 2)
        of = [q for q in questions if is_across(q.direction) == across]
        rows.append(_read_rows(subject, of, rng))
    grid = choose_shifted_grid(subject.anatomy.family, subject.entry.scale)
    pairs = draw_shifted_questions(grid, setting, request.trials, rng)
    for across in (True, False):
        some = [p for p in pairs if is_across(p[0].direction) == across]
        found = _read_shifted(subject, some, rng)
        if found is not None:
            shifted.append(found)
    data = xr.concat(rows, "trial")
    return data.merge(xr.concat(shifted, "shifted")) if shifted else data


def _read_rows(
    subject: Subject, questions: Sequence[RowQuestion], rng: np.random.Generator
) -> xr.Dataset:
    """What a probe of one orientation reads on the evaluation half of some images."""
    states, image_grid = _embed(subject, questions)
    tokens = [find_row_tokens(q, image_grid) for q in questions]
    halves = Halves.deal(np.array([q.trial.scene.key for q in questions]), rng)
    first, second = np.flatnonzero(halves.first), np.flatnonzero(halves.second)
    probe = _Probe.learn(states[first], [tokens[n].items for n in first], halves.scenes[first], rng)
    judged = [questions[int(n)] for n in second]
    empty, _ = _embed(subject, judged, empty=True)
    read, nothing = probe.read(states[second]), probe.read(empty)[0]
    found: dict[str, list[float]] = {"right": [], "chance": [], "inside": [], "empty": []}
    for row, n in enumerate(second):
        items, strips = tokens[n].items, _list_background(tokens[n])
        hits = [_share_right(labels[row], items) for labels in read]
        found["right"].append(hits[0])
        found["chance"].append(float(np.mean(hits[1:])))
        found["inside"].append(_share_right(read[0, row], strips))
        found["empty"].append(_share_right(nothing[row], strips))
    return xr.Dataset(
        {
            **{name: (("trial",), np.array(values)) for name, values in found.items()},
            "direction": (("trial",), np.array([q.direction for q in judged])),
            "scene": (("trial",), halves.scenes[second]),
        }
    )


def _read_shifted(
    subject: Subject,
    pairs: Sequence[tuple[RowQuestion, RowQuestion]],
    rng: np.random.Generator,
) -> xr.Dataset | None:
    """What a probe that learned unshifted rows reads on shifted ones; None if items cannot be told apart."""
    if not pairs:
        return None
    (near, image_grid), (far, _) = (_embed(subject, [p[i] for p in pairs]) for i in (0, 1))
    if image_grid is None:
        return None
    try:
        items = [[find_item_tokens(q, image_grid) for q in pair] for pair in pairs]
    except NoRowTokens:
        return None
    halves = Halves.deal(np.array([p[0].trial.scene.key for p in pairs]), rng)
    first, second = np.flatnonzero(halves.first), np.flatnonzero(halves.second)
    probe = _Probe.learn(near[first], [items[n][0] for n in first], halves.scenes[first], rng)
    read = probe.read(far[second])[0]
    relative, absolute = [], []
    for row, n in enumerate(second):
        first_item, middle, last = items[n][1]
        relative.append(_share_right(read[row], [first_item, middle, last]))
        # The last item stands where no item stood, so that no place was learned there.
        absolute.append(_share_right(read[row] - 1, [first_item, middle]))
    return xr.Dataset(
        {
            "relative": (("shifted",), np.array(relative)),
            "absolute": (("shifted",), np.array(absolute)),
            "shifted_scene": (("shifted",), halves.scenes[second]),
        }
    )


def _embed(
    subject: Subject, questions: Sequence[RowQuestion], *, empty: bool = False
) -> tuple[NDArray[np.float64], tuple[int, int] | None]:
    """What the decoder is given at the image tokens, float64 [n, N, d], and the grid that they form."""
    trials = [q.shown_on(show_nothing(q)) if empty else q.trial for q in questions]
    states = capture_all(subject, trials, "embedding", lambda batch: batch.image_tokens)
    return states[0, :, :, 0].double().numpy(), subject.encode(trials[:1]).image_grid


def _share_right(labels: NDArray[np.int64], parts: Sequence[Sequence[int]]) -> float:
    """Share of tokens labelled with the number of their part, each part counting alike.

    Args:
        labels: Of all tokens of an image, [N].
        parts: The tokens of each part; a part without any is left out.
    """
    return float(np.mean([(labels[list(of)] == k).mean() for k, of in enumerate(parts) if len(of)]))


def _list_background(tokens: RowTokens) -> list[list[int]]:
    """The background tokens of the strip around each item, by thirds of the canvas."""
    background = set(tokens.background)
    return [sorted(background & set(strip)) for strip in tokens.thirds]


def measure(request: Request) -> xr.Dataset:
    """Read places in rows of the Shapes setting, as `_measure` says."""
    return _measure(request, "shapes")


def measure_squares(request: Request) -> xr.Dataset:
    """Read places in rows of the Squares setting, as `_measure` says."""
    return _measure(request, "squares")
