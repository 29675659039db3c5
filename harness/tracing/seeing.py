"""Checks of how a subject sees: whether image tokens and positions are those that the model itself finds."""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.stimuli.scene import Cell, Object, Scene
from harness.subjects.batch import Batch
from harness.tracing.selfcheck import Examined


def patches_are_where_they_are_said(at: Examined) -> None:
    """Check that image tokens lie where their patches do: changing an object changes its own tokens most."""
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
    # A cell off the diagonal, so that the check notices if rows and columns are exchanged.
    here, mirrored = Cell(0, 1), Cell(1, 0)
    empty = Scene(canvas, (), ())
    shown = Scene(canvas, (Object("black", "square"),), (here,))
    with_object, without = (
        subject.encode([replace(at.trials[0], scene=scene)]) for scene in (shown, empty)
    )
    changed = (_read_image(with_object) - _read_image(without)).norm(dim=-1)
    own, other = (
        changed[list(canvas.tokens(cell, grid[1], grid[0]))].mean() for cell in (here, mirrored)
    )
    if not own > other:
        at.fail(
            f"an object at the top right changes the image tokens there by {own:.3g}, and those at the bottom "
            f"left by {other:.3g}. Expected: more at its own. Is the grid {grid} (rows, columns), row by row?"
        )


def _read_image(batch: Batch) -> torch.Tensor:
    """Embeddings at the image tokens of a batch of one row, float32 [N, d]."""
    return batch.inputs["inputs_embeds"][0, batch.image_tokens[0]].float().cpu()


def model_sees_the_same(at: Examined) -> None:
    """The model gives the same logits when it is given ids and pixels, and finds image and positions itself."""
    theirs = _run_whole(at, _make_types(at))
    if not at.alike(at.clean, theirs):
        at.fail(
            f"the model, given ids and pixels, is off by {(at.clean - theirs).abs().max():.2g} logits from "
            "what the harness gives it. Expected: rounding. Are positions, image tokens and what is added to "
            "them those of the family (position_ids and layouts in harness/subjects/anatomy.py)?"
        )


def types_matter(at: Examined) -> None:
    """A model whose family marks image tokens raises or answers otherwise if it is not told which they are."""
    types = _make_types(at)
    if not types:
        return
    try:
        without = _run_whole(at, {})
    except (ValueError, TypeError, RuntimeError):
        return
    if torch.equal(without, _run_whole(at, types)):
        at.fail(
            f"without {', '.join(types)} the model gives the same logits. Expected: others, or an error, since "
            "image tokens have positions or attention of their own. Does this checkpoint need them?"
        )


def _make_types(at: Examined) -> dict[str, torch.Tensor]:
    """The inputs that say which tokens are the image's, by the family's names for them; {} if it has none."""
    anatomy = at.subject.anatomy
    is_image = (at.first.input_ids == at.subject.model.config.image_token_id).long()
    return {name: is_image for name in (anatomy.token_types, anatomy.position_types) if name}


def _run_whole(at: Examined, types: dict[str, torch.Tensor]) -> torch.Tensor:
    """Logits [1, vocabulary] that the model computes by itself from ids and pixels."""
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
