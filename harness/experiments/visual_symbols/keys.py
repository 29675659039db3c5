"""E7: IDs are stored in the keys of the objects' patches (section 4.3), and what the reproduction did instead.

Mean keys of the left and of the right object are exchanged, before rotation, in the layers of the feature
retrieval heads, while the color of one of them is asked. Where the public reproduction edited something else
(protocol, section 9, number 3), that edit stands beside the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import (
    Head,
    capture_all,
    find_answers,
    rank_heads,
)
from harness.experiments.examples import describe_trials, keep_examples
from harness.experiments.halves import (
    Halves,
    draw_unranked_trials,
    list_ranked_scenes,
    list_scenes,
    note_unranked,
)
from harness.experiments.other_heads import OtherHeads, deal_by_place, place_key_heads
from harness.experiments.rivals import tabulate_rivals
from harness.measuring.experiment import Request
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import SIDES, draw_color_questions, side_of
from harness.stimuli.scene import Cell
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit

ALPHA = 2.0
"""Strength (section 4.3)."""

TOP = 20
"""Feature retrieval heads whose layers are edited (section 4.3)."""


@dataclass(frozen=True)
class KeyEdit:
    """One way to edit the keys of the image tokens: something is added on each side of the image.

    Attributes:
        place: Which tokens of a side: those of its object, as many without any object, or the whole half.
        added: The other side's mean keys less the side's own, or a random direction as long as that in each
            head.
        asked_only: Only on the side of the object whose color is asked; else on both.
        selected_only: Only the keys that the feature retrieval heads read; else all keys of their layers.
    """

    place: Literal["object", "background", "half"] = "object"
    added: Literal["other side", "random"] = "other side"
    asked_only: bool = False
    selected_only: bool = False


EDITS: dict[str, KeyEdit | None] = {
    "none": None,
    "both objects": KeyEdit(),
    "background": KeyEdit(place="background"),
    "random direction": KeyEdit(added="random"),
    "queried object only": KeyEdit(asked_only=True),
    "half the image, token by token": KeyEdit(place="half"),
    "keys of the selected heads only": KeyEdit(selected_only=True),
    "as reproduced": KeyEdit(place="half", asked_only=True, selected_only=True),
}
"""The paper's is "both objects"; then its controls; then the reproduction's, each alone and all together."""


@note_unranked
def measure(request: Request) -> xr.Dataset:
    """Ask for one object's color under each edit of the keys.

    Returns:
        `swapped`, `own` bool [edit, trial] on the evaluation half: whether the other object's color is
        named, and the queried object's own; `layers` [layer] bool: which are edited; `scene`, `side` [trial]:
        of the queried object. `said`, `predicted`, `asked_scene` as `tabulate_rivals` gives them for every
        edit; the question has no color and asks for no second object, so that nothing is there to be copied or
        counted off. The attribute `examples` keeps the first trials in words.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    # Of an image as it is shown: some families cut an image into tiles or not, as its size has it.
    (example,) = draw_color_questions(
        subject.grids[2], subject.pair_objects, 1, np.random.default_rng(0)
    )
    if subject.encode([example]).image_grid is None:
        return xr.Dataset(attrs={"no_grid": 1})
    mediation = request.needed["mediation"]
    drawn = draw_unranked_trials(
        lambda count: draw_color_questions(subject.grids[2], subject.pair_objects, count, rng),
        trials,
        list_ranked_scenes(mediation, ["feature_retrieval"]),
    )
    halves = Halves.deal(list_scenes(drawn), rng)
    estimation, evaluation = halves.split(drawn)
    heads = rank_heads(mediation, "feature_retrieval")[:TOP]
    shown = halves.scenes[halves.second]
    # One number per scene: what is drawn for it is drawn for no other.
    labels, scenes = np.unique(shown, return_inverse=True)
    places = place_key_heads(
        OtherHeads.find(mediation, "feature_retrieval").places, subject.key_heads
    )
    editor = _KeyEditor(subject, heads, estimation, rng, places, scenes=len(labels))
    request.progress(1, 2)
    answers = find_answers(
        subject,
        evaluation,
        lambda batch, part: [
            editor.make_edits(edit, batch, evaluation[part], scenes[part])
            for edit in EDITS.values()
        ],
    )
    other = np.array(
        [t.scene.objects[1 - t.scene.objects.index(t.target)].color for t in evaluation]
    )
    own = np.array([t.target.color for t in evaluation])
    layers = np.isin(np.arange(subject.layers), editor.layers)
    explained = {
        "relative": other,
        "absolute": other,
        "content": own,
        "nothing": answers[list(EDITS).index("none")],
    }
    return xr.Dataset(
        {
            "swapped": (("edit", "trial"), answers == other),
            "own": (("edit", "trial"), answers == own),
            "layers": (("layer",), layers),
            "scene": (("trial",), shown),
            "side": (("trial",), [side_of(t.scene, t.target) for t in evaluation]),
            **tabulate_rivals(answers, ("edit", list(EDITS)), [explained], shown),
        },
        {"edit": list(EDITS)},
        keep_examples(describe_trials(evaluation, _tell_answers(answers))),
    )


def _tell_answers(answers: NDArray[np.str_]) -> dict[str, NDArray[np.str_]]:
    """The answers that examples show, by what was done, from those under every edit [edit, n]."""
    shown = {
        "none": "as it is",
        "both objects": "keys of both objects exchanged",
        "background": "the same done to the background",
    }
    return {told: answers[list(EDITS).index(edit)] for edit, told in shown.items()}


class _KeyEditor:
    """IDs as mean keys of object patches, and edits of the keys.

    What a random direction does, and a mean over half of the image, differs much from one draw to the next.
    Each scene therefore has draws of its own, so that an interval over scenes knows of them.

    Args:
        subject: The model.
        heads: Feature retrieval heads; the keys of their layers are edited.
        estimation: Trials from which the means are taken.
        rng: Of the draws.
        places: The place of every head of keys in the order of its layer, [L, Hkv]: for which directions are
            drawn.
        scenes: How many scenes have draws of their own.
    """

    def __init__(
        self,
        subject: Subject,
        heads: Sequence[Head],
        estimation: Sequence[Trial],
        rng: np.random.Generator,
        places: NDArray[np.int64],
        *,
        scenes: int,
    ) -> None:
        self.subject, self.layers = subject, sorted({layer for layer, _ in heads})
        group = subject.heads // subject.key_heads
        self.selected = {
            layer: tuple(sorted({head // group for at, head in heads if at == layer}))
            for layer in self.layers
        }
        # [L, n, image tokens, Hkv, w]
        keys = capture_all(subject, estimation, "key", lambda batch: batch.image_tokens)
        self.columns = int(keys.shape[2] ** 0.5)
        # [side, L, Hkv, w]
        self.ids = torch.stack([self._average_objects(keys, estimation, i) for i in range(SIDES)])
        asked = np.array([side_of(t.scene, t.target) for t in estimation])
        # For each side [edited layers, scenes, tokens, Hkv, w]
        self.halves = [self._average_half(keys, asked == i, i, scenes, rng) for i in range(SIDES)]
        # [L, scenes, 1, Hkv, w]
        self.random = self._draw_directions(scenes, places, rng).transpose(0, 1)[:, :, None]

    def make_edits(
        self,
        edit: KeyEdit | None,
        batch: Batch,
        trials: Sequence[Trial],
        scenes: NDArray[np.int64],
    ) -> list[Edit]:
        """The edits of one batch.

        Args:
            edit: How; None to leave the keys as they are.
            batch: B rows.
            trials: The B trials in it.
            scenes: The number of each trial's scene, [B].
        """
        if edit is None:
            return []
        asked = torch.tensor([side_of(t.scene, t.target) for t in trials])
        made = []
        for side in range(SIDES):
            places = torch.tensor([self._find_tokens(edit, t, side) for t in trials])
            tokens = batch.image_tokens.gather(1, places)
            # Of rows that are not to be edited, 0 is added.
            chosen = (asked == side).float() if edit.asked_only else torch.ones(len(trials))
            shifts = self._find_shifts(edit, side, torch.from_numpy(scenes))
            for layer, shift in zip(self.layers, shifts, strict=True):
                every = tuple(range(self.subject.key_heads))
                heads = self.selected[layer] if edit.selected_only else every
                added = ALPHA * chosen[:, None, None, None] * shift[:, :, heads]
                made.append(Edit("key", layer, tokens, added, heads, "add"))
        return made

    def _find_tokens(self, edit: KeyEdit, trial: Trial, side: int) -> list[int]:
        """The image tokens of a side that are edited."""
        if edit.place == "half":
            return self._find_half(side)
        if edit.place == "background":
            return self._find_background(trial, side)
        return self._find_object(trial, side)

    def _find_shifts(self, edit: KeyEdit, side: int, scenes: torch.Tensor) -> torch.Tensor:
        """What is added on a side before it is scaled: [edited layers, 1 or B, 1 or tokens, Hkv, w]."""
        if edit.added == "random":
            drawn = self.random[self.layers][:, scenes]
            return drawn if side == 0 else -drawn
        if edit.place == "half":
            return self.halves[1 - side][:, scenes] - self.halves[side][:, scenes]
        return (self.ids[1 - side] - self.ids[side])[self.layers][:, None, None]

    def _average_objects(
        self, keys: torch.Tensor, trials: Sequence[Trial], side: int
    ) -> torch.Tensor:
        """The mean key of the patches of the objects on a side, [L, Hkv, w]."""
        means = [keys[:, n, self._find_object(t, side)].mean(1) for n, t in enumerate(trials)]
        return torch.stack(means).mean(0)

    def _average_half(
        self,
        keys: torch.Tensor,
        asked: NDArray[np.bool_],
        side: int,
        scenes: int,
        rng: np.random.Generator,
    ) -> torch.Tensor:
        """Means over half of the image, token by token, of trials that ask for it, drawn anew for each scene.

        Returns:
            [edited layers, scenes, tokens, Hkv, w], in the order of `layers`.
        """
        of = torch.from_numpy(np.flatnonzero(asked))
        times = rng.multinomial(len(of), np.full(len(of), 1 / len(of)), size=scenes)
        weights = torch.from_numpy(times / len(of)).float()
        if not self.layers:
            return torch.empty(0, scenes, 1, 1, 1)
        return torch.stack(
            [
                torch.einsum("sn,ntkw->stkw", weights, keys[layer, of][:, self._find_half(side)])
                for layer in self.layers
            ]
        )

    def _draw_directions(
        self, scenes: int, places: NDArray[np.int64], rng: np.random.Generator
    ) -> torch.Tensor:
        """Random directions, in each head of keys as long as the difference of the IDs, [scenes, L, Hkv, w].

        They are drawn for the places of heads (`OtherHeads`), and not for their numbers.
        """
        difference = self.ids[1] - self.ids[0]
        drawn = torch.from_numpy(rng.standard_normal((scenes, *difference.shape))).float()
        drawn = deal_by_place(drawn, places)
        return drawn / drawn.norm(dim=-1, keepdim=True) * difference.norm(dim=-1, keepdim=True)

    def _find_object(self, trial: Trial, side: int) -> list[int]:
        """Image tokens of the object on a side."""
        cell = next(c for _, c in trial.scene if int(c.column > 0) == side)
        return list(trial.scene.grid.tokens(cell, self.columns))

    def _find_half(self, side: int) -> list[int]:
        """Image tokens of the left or the right half."""
        columns = range(self.columns)
        wanted = [c for c in columns if (c >= self.columns / 2) == bool(side)]
        return [r * self.columns + c for r in columns for c in wanted]

    def _find_background(self, trial: Trial, side: int) -> list[int]:
        """As many tokens as an object has, in the row of cells where there is none."""
        row = next(c for _, c in trial.scene).row
        empty = Cell(trial.scene.grid.rows - 1 - row, side * (trial.scene.grid.rows - 1))
        return list(trial.scene.grid.tokens(empty, self.columns))
