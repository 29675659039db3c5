"""E7: IDs are stored in the keys of the objects' patches (section 4.3), and what the reproduction did instead.

Mean keys of the left and of the right object are exchanged, before rotation, in the layers of the feature
retrieval heads, while the color of one of them is asked. Where the public reproduction edited something else
(protocol, section 9, number 3), that edit stands beside the paper's.
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from harness.experiments.editing import Head, captured, ids_of, ranking, said
from harness.measuring.experiment import Request
from harness.statistics.halves import estimation_half
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import color_questions, side_of
from harness.stimuli.scene import Cell
from harness.subjects.subject import Batch, Subject
from harness.tracing.edit import Edit
from harness.tracing.replay import Variant

ALPHA = 2.0
"""Strength (section 4.3)."""

TOP = 20
"""Feature retrieval heads whose layers are edited (section 4.3)."""

EDITS = (
    "none",
    "both objects",
    "background",
    "random direction",
    "queried object only",
    "half the image, token by token",
    "keys of the selected heads only",
    "as reproduced",
)
"""The paper's is "both objects"; then its controls; then the reproduction's, each alone and all together."""


def measure(request: Request) -> xr.Dataset:
    """What is said under each edit.

    Returns:
        `swapped`, `own` bool [edit, trial] on the evaluation half: whether the other object's color is
        named, and the queried object's own; `layers` [layer] bool: which are edited; `scene`, `side` [trial]:
        of the queried object.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    drawn = color_questions(subject.grids[2], HIGH_ENTROPY[3], trials, rng)
    # Of the image as it is shown: some families cut an image into tiles or not, as its size has it.
    if subject.encode(drawn[:1]).image_grid is None:
        return xr.Dataset(attrs={"no_grid": 1})
    scenes = np.array([t.scene.key for t in drawn])
    first = estimation_half(scenes, rng)
    estimation = [t for t, e in zip(drawn, first, strict=True) if e]
    evaluation = [t for t, e in zip(drawn, first, strict=True) if not e]
    heads = ranking(request.needed["mediation"], "feature_retrieval")[:TOP]
    shown = scenes[~first]
    # One number per scene: what is drawn for it is drawn for no other.
    of = np.unique(shown, return_inverse=True)[1]
    editor = _Keys(subject, heads, estimation, rng, scenes=int(of.max()) + 1)
    request.progress(1, 2)
    answers = said(
        subject,
        evaluation,
        lambda batch, part: [
            editor.edits(name, batch, evaluation[part], of[part]) for name in EDITS
        ],
    )
    other = [t.scene.objects[1 - t.scene.objects.index(t.target)].color for t in evaluation]
    own = [t.target.color for t in evaluation]
    layers = np.isin(np.arange(subject.layers), editor.layers)
    return xr.Dataset(
        {
            "swapped": (("edit", "trial"), answers == ids_of(subject, evaluation, other)),
            "own": (("edit", "trial"), answers == ids_of(subject, evaluation, own)),
            "layers": (("layer",), layers),
            "scene": (("trial",), shown),
            "side": (("trial",), [side_of(t.scene, t.target) for t in evaluation]),
        },
        {"edit": list(EDITS)},
    )


class _Keys:
    """IDs as mean keys of object patches, and edits of the keys.

    What a random direction does, and a mean over half of the image, differs much from one draw to the next.
    Each scene therefore has draws of its own, so that an interval over scenes knows of them.
    """

    def __init__(
        self,
        subject: Subject,
        heads: list[Head],
        estimation: list[Trial],
        rng: np.random.Generator,
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
        keys = captured(subject, estimation, "key", lambda batch: batch.image_tokens)
        side = keys.shape[2] ** 0.5
        self.columns = int(side)
        self.ids = torch.stack(
            [
                torch.stack(
                    [keys[:, n, self._patches(t, i)].mean(1) for n, t in enumerate(estimation)]
                ).mean(0)
                for i in (0, 1)
            ]
        )
        asked = np.array([side_of(t.scene, t.target) for t in estimation])
        self.halves = [self._half_means(keys, asked == i, i, scenes, rng) for i in (0, 1)]
        # [L, scenes, 1, Hkv, w]
        self.random = torch.stack([self._random(rng) for _ in range(scenes)], 1)[:, :, None]

    def _random(self, rng: np.random.Generator) -> torch.Tensor:
        """A random direction as long as the difference of the IDs in every layer, [L, Hkv, w]."""
        difference = self.ids[1] - self.ids[0]
        drawn = torch.from_numpy(rng.standard_normal(difference.shape)).float()
        sizes = [x.flatten(1).norm(dim=1)[:, None, None] for x in (difference, drawn)]
        return drawn * sizes[0] / sizes[1]

    def _half_means(
        self,
        keys: torch.Tensor,
        asked: np.ndarray,
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
                torch.einsum("sn,ntkw->stkw", weights, keys[layer, of][:, self._half(side)])
                for layer in self.layers
            ]
        )

    def _patches(self, trial: Trial, side: int) -> list[int]:
        """Image tokens of the object on a side."""
        cell = next(c for _, c in trial.scene if int(c.column > 0) == side)
        return list(trial.scene.grid.tokens(cell, self.columns))

    def _half(self, side: int) -> list[int]:
        """Image tokens of the left or the right half."""
        columns = range(self.columns)
        wanted = [c for c in columns if (c >= self.columns / 2) == bool(side)]
        return [r * self.columns + c for r in columns for c in wanted]

    def _background(self, trial: Trial, side: int) -> list[int]:
        """As many tokens as an object has, in the row of cells where there is none."""
        row = next(c for _, c in trial.scene).row
        empty = Cell(trial.scene.grid.rows - 1 - row, side * (trial.scene.grid.rows - 1))
        return list(trial.scene.grid.tokens(empty, self.columns))

    def edits(self, name: str, batch: Batch, trials: list[Trial], scenes: np.ndarray) -> Variant:
        """The edits of one variant for a batch of trials; `scenes` numbers the scene of each."""
        asked = torch.tensor([side_of(t.scene, t.target) for t in trials])
        shift = (self.ids[1] - self.ids[0])[self.layers]
        both = {0: shift, 1: -shift}
        if name == "none":
            return []
        if name == "both objects":
            return [e for i in both for e in self._add(batch, trials, self._patches, i, both[i])]
        if name == "background":
            return [e for i in both for e in self._add(batch, trials, self._background, i, both[i])]
        if name == "random direction":
            own = self.random[self.layers][:, torch.from_numpy(scenes)]
            signed = {0: own, 1: -own}
            return [e for i in both for e in self._add(batch, trials, self._patches, i, signed[i])]
        half = name in ("half the image, token by token", "as reproduced")
        one = name in ("queried object only", "as reproduced")
        selected = name in ("keys of the selected heads only", "as reproduced")
        made = []
        for i in both:
            values = both[i]
            if half:
                own = torch.from_numpy(scenes)
                values = self.halves[1 - i][:, own] - self.halves[i][:, own]
            place = (lambda trial, side: self._half(side)) if half else self._patches
            chosen = (asked == i).float() if one else torch.ones(len(trials))
            made += self._add(batch, trials, place, i, values, chosen, selected=selected)
        return made

    def _add(
        self, batch, trials, place, side, values, chosen=None, *, selected=False
    ) -> list[Edit]:
        """Add ALPHA times values at the tokens that `place` names.

        Values are of the edited layers: [layers, Hkv, w] or [layers, n, tokens, Hkv, w].
        """
        values = values[:, None, None] if values.ndim == 3 else values
        chosen = torch.ones(len(trials)) if chosen is None else chosen
        tokens = batch.image_tokens.gather(1, torch.tensor([place(t, side) for t in trials]))
        made = []
        for value, layer in zip(values, self.layers, strict=True):
            heads = self.selected[layer] if selected else tuple(range(self.subject.key_heads))
            added = ALPHA * chosen[:, None, None, None] * value[:, :, heads]
            made.append(Edit("key", layer, tokens, added, heads, "add"))
        return made
