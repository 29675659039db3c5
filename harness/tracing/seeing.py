"""Checks of how a subject sees: whether image tokens and positions are those that the model itself finds."""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.stimuli.scene import Cell, Object, Scene
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.selfcheck import Examined
from harness.tracing.vision import capture_vision, find_projector, find_vision_layers


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


def vision_is_where_it_is_said(at: Examined) -> None:
    """Check that vision sites tell images apart, and that what is changed there changes what is seen.

    Whether a layer is on the way is told by its input: a tower need not use its last layers (LLaVA-1.5 takes
    the last but one), so that the first must have an effect, and some outputs are kept before a hook can change
    them. With the projector's output of another image, that image must be seen, bit for bit.
    """
    anatomy, scenes = at.subject.anatomy, [trial.scene for trial in at.trials]
    try:
        tower, projector = find_vision_layers(at.subject), find_projector(at.subject)
        first, second = (capture_vision(at.subject, [scene]) for scene in scenes)
    except (AttributeError, IndexError, RuntimeError) as error:
        at.fail(f"no vision at {anatomy.vision_layers} and {anatomy.projector}: {error}")
    if not len(tower) == len(first.layers) > 0:
        at.fail(
            f"{len(first.layers)} outputs of {len(tower)} layers at {anatomy.vision_layers}. Expected: one "
            "of each"
        )
    for number, (one, other) in enumerate(zip(first.layers, second.layers, strict=True)):
        if torch.equal(one, other):
            at.fail(f"layer {number} at {anatomy.vision_layers} gives the same for two images")
    usual, goal = (_see(at.subject, scene) for scene in scenes)
    if first.projected.shape[-1] != usual.shape[-1]:
        at.fail(
            f"{anatomy.projector} gives {first.projected.shape[-1]} features, the decoder sees "
            f"{usual.shape[-1]}. Expected: as many"
        )
    blind = tower[0].register_forward_pre_hook(lambda module, given: (given[0] * 0, *given[1:]))
    with blind:
        if torch.equal(usual, _see(at.subject, scenes[0])):
            at.fail(f"without layer 0 at {anatomy.vision_layers} the same is seen")
    moved = projector.register_forward_hook(
        lambda module, given, output: second.projected.to(output).view_as(output)
    )
    with moved:
        if torch.equal(usual, goal) or not torch.equal(_see(at.subject, scenes[0]), goal):
            at.fail(
                f"another image's output of {anatomy.projector} does not give what is seen in that image. Is "
                "that the last module before the decoder?"
            )


@torch.no_grad()
def _see(subject: Subject, scene: Scene) -> torch.Tensor:
    """Image features of a scene as the model computes them, [tokens, d]."""
    _, inputs = subject.processed([scene])
    seen = subject.model.model.get_image_features(**inputs, return_dict=True).pooler_output
    return torch.cat([part.flatten(0, -2) for part in seen])


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
