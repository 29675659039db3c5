"""Checks of how a subject sees: image tokens are the image's, positions those that the model finds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from harness.stimuli.scene import Cell, Object, Scene
from harness.subjects.subject import Batch
from harness.tracing.selfcheck import Examined


def patches_are_where_they_are_said(at: Examined) -> None:
    """As many image tokens as were written; where they are a grid, an object shows at its own patches."""
    batch, subject = at.first, at.subject
    written = int((batch.input_ids[0] == subject.model.config.image_token_id).sum())
    grid = batch.image_grid
    expected = batch.image_tokens.shape[1] if grid is None else grid[0] * grid[1]
    if written != expected:
        at.fail(
            f"{written} image tokens in the prompt, {expected} in the grid {grid}. Expected: one for each "
            "patch. Does the layout in harness/subjects/layout.py fit this checkpoint's processor?"
        )
    if grid is None:
        return
    canvas = subject.grids[2]
    # Off the diagonal, so that rows and columns that are exchanged show.
    here, mirrored = Cell(0, 1), Cell(1, 0)
    empty = Scene(canvas, (), ())
    shown = Scene(canvas, (Object("black", "square"),), (here,))
    with_object, without = (
        subject.encode([replace(at.trials[0], scene=scene)]) for scene in (shown, empty)
    )
    changed = (_image(with_object) - _image(without)).norm(dim=-1)
    own, other = (
        changed[list(canvas.tokens(cell, grid[1], grid[0]))].mean() for cell in (here, mirrored)
    )
    if not own > other:
        at.fail(
            f"an object at the top right changes the image tokens there by {own:.3g}, and those at the bottom "
            f"left by {other:.3g}. Expected: more at its own. Is the grid {grid} (rows, columns), row by row?"
        )


def _image(batch: Batch) -> torch.Tensor:
    """What stands at the image tokens of one row, [N, d]."""
    return batch.inputs["inputs_embeds"][0, batch.image_tokens[0]].float().cpu()


def model_sees_the_same(at: Examined) -> None:
    """Given ids and pixels, the model places image and positions by itself, and gives the same logits."""
    theirs = _whole(at, _types(at))
    if not at.alike(at.clean, theirs):
        at.fail(
            f"the model, given ids and pixels, is off by {(at.clean - theirs).abs().max():.2g} logits from "
            "what the harness gives it. Expected: rounding. Are positions, image tokens and what is added to "
            "them those of the family (position_ids and layouts in harness/subjects/anatomy.py)?"
        )


def types_matter(at: Examined) -> None:
    """A model that has to know which tokens are of the image raises or answers otherwise, if it is not told."""
    types = _types(at)
    if not types:
        return
    try:
        without = _whole(at, {})
    except (ValueError, TypeError, RuntimeError):
        return
    if torch.equal(without, _whole(at, types)):
        at.fail(
            f"without {', '.join(types)} the model gives the same logits. Expected: others, or an error, since "
            "image tokens have positions or attention of their own. Does this checkpoint need them?"
        )


def _types(at: Examined) -> dict[str, torch.Tensor]:
    """Which tokens are of the image, under the names that the family has for it; empty where it has none."""
    anatomy = at.subject.anatomy
    is_image = (at.first.input_ids == at.subject.model.config.image_token_id).long()
    return {name: is_image for name in (anatomy.token_types, anatomy.position_types) if name}


def _whole(at: Examined, types: dict[str, Any]) -> torch.Tensor:
    """Logits [1, vocabulary] of the model's own way from ids and pixels."""
    _, inputs = at.subject.processed([at.trials[0].scene])
    with torch.no_grad():
        logits = at.subject.model(
            input_ids=at.first.input_ids,
            attention_mask=at.first.inputs["attention_mask"],
            use_cache=False,
            **inputs,
            **types,
        ).logits
    return logits[:, -1].float().cpu()
