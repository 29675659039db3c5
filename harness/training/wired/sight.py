"""A vision tower that reads the scenes: color, shape and place of the object at every image token.

Patches of the stimuli are few (an object covers 2x2 whole tokens, in 81 kinds), so that a layer of random
features and a least-squares fit tell them apart exactly. A head then finds the middle of all objects, and
the projector turns the difference to a token's coordinates into the place code, which is relative to the group
of objects and the same whatever the object is.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlavaForConditionalGeneration
from transformers.models.clip.modeling_clip import CLIPAttention

from harness.stimuli.draw import draw
from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS, SHAPES, Object, Scene
from harness.training.architectures import Untrained
from harness.training.wired.heads import signs
from harness.training.wired.slots import CONSTANT, EDGES, WIDTH, at

FEATURES = 128
TOWER_WIDTH, TOWER_HEADS, TOWER_MLP = 160, 4, 512
ANCHOR = 100.0
"""Two opposite entries so large that layer normalisation scales every token alike."""

# Where things are in the tower's residual stream.
_COORDINATES = slice(2, 4)
_PATCH = slice(4, 4 + FEATURES)
_COLOR = slice(_PATCH.stop, _PATCH.stop + len(COLORS))
_SHAPE = slice(_COLOR.stop, _COLOR.stop + len(SHAPES))
_OBJECT = slice(_SHAPE.stop, _SHAPE.stop + 1)
_BALANCE = slice(_OBJECT.stop, _OBJECT.stop + 1)
_FOUND = slice(_COLOR.start, _BALANCE.stop)
_MIDDLE = slice(_FOUND.stop, _FOUND.stop + 2)

_SHARP = 50.0
"""Slope at which the projector's smooth steps act as steps."""


@torch.no_grad()
def install(subject: Untrained, *, relative: bool, seed: int) -> None:
    """Write the vision tower and the projector of a LLaVA of this tower's sizes.

    Args:
        subject: Its weights are replaced.
        relative: Whether places are relative to the middle of all objects, or else of the image.
        seed: Seed of the random features.
    """
    generator = torch.Generator().manual_seed(seed)
    tower = subject.model.model.vision_tower
    side = (
        subject.model.config.vision_config.image_size
        // subject.model.config.vision_config.patch_size
    )
    for parameter in tower.parameters():
        parameter.zero_()
    for name, parameter in tower.named_parameters():
        if "norm" in name and name.endswith("weight"):
            parameter.fill_(1)
    embeddings = tower.embeddings
    embeddings.position_embedding.weight[:, 0] = ANCHOR
    embeddings.position_embedding.weight[:, 1] = -ANCHOR
    embeddings.position_embedding.weight[1:, _COORDINATES] = 0.3 * _list_coordinates(side)
    filters = embeddings.patch_embedding.weight
    noise = signs((FEATURES // 2, *filters.shape[1:]), generator) / filters[0].numel() ** 0.5
    # The entries add up to zero, since layer normalisation would subtract their mean everywhere.
    filters[_PATCH] = torch.cat([noise, -noise])
    _recognise(subject, generator)
    _find_the_middle(tower.encoder.layers[1].self_attn)
    _project(subject, relative)


def _list_coordinates(side: int) -> torch.Tensor:
    """Column and row of every image token, from the middle of the image, float32 [side * side, 2]."""
    steps = torch.arange(side) - (side - 1) / 2
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([columns, rows], -1).flatten(0, 1)


def _make_scenes() -> list[Scene]:
    """Scenes that show every object in every cell of both grids, and some with fewer objects."""
    kinds = [Object(c, s) for c, s in product(COLORS, SHAPES)]
    scenes = []
    for grid in EMBEDDED_GRIDS.values():
        size = len(grid.cells)
        for start in range(len(kinds)):
            shown = tuple(kinds[(start + i) % len(kinds)] for i in range(size))
            scenes.append(Scene(grid, shown, grid.cells))
            scenes.append(Scene(grid, shown[: size // 2], grid.cells[: size // 2]))
    return scenes


def _mark_truth(scene: Scene, side: int) -> NDArray[np.float64]:
    """Color, shape and presence of the object at each image token, float64 [side * side, 20].

    The last column makes each row add up to zero.
    """
    truth = np.zeros((side * side, _FOUND.stop - _FOUND.start))
    for obj, cell in scene:
        marks = (
            list(COLORS).index(obj.color),
            len(COLORS) + list(SHAPES).index(obj.shape),
            len(COLORS) + len(SHAPES),
        )
        for token in scene.grid.tokens(cell, side):
            truth[token, list(marks)] = 1
            truth[token, -1] = -len(marks)
    return truth


def _process_images(subject: Untrained, scenes: list[Scene]) -> torch.Tensor:
    return subject.image_processor(images=[draw(s) for s in scenes], return_tensors="pt")[
        "pixel_values"
    ]


def _recognise(subject: Untrained, generator: torch.Generator) -> None:
    """Fit the first layer's MLP, from a patch to the color, the shape and the presence of an object."""
    tower, layer = (
        subject.model.model.vision_tower,
        subject.model.model.vision_tower.encoder.layers[0],
    )
    scenes = _make_scenes()
    side = int((tower.embeddings.num_patches) ** 0.5)
    states = tower.pre_layrnorm(tower.embeddings(_process_images(subject, scenes)))
    normed = layer.layer_norm2(states)
    spread = normed[..., _PATCH].std()
    fc1, fc2 = layer.mlp.fc1, layer.mlp.fc2
    fc1.weight[:, _PATCH] = signs((TOWER_MLP, FEATURES), generator) * (
        1.5 / (spread * FEATURES**0.5)
    )
    fc1.bias.copy_(torch.randn(TOWER_MLP, generator=generator))
    hidden = layer.mlp.activation_fn(fc1(normed)).double()
    truth = np.stack([_mark_truth(s, side) for s in scenes])
    # The class token sees nothing.
    goal = torch.tensor(np.concatenate([np.zeros_like(truth[:, :1]), truth], 1))
    x = torch.cat([hidden, torch.ones_like(hidden[..., :1])], -1).flatten(0, 1)
    gram = x.T @ x + 1e-6 * torch.eye(x.shape[1])
    solution = torch.linalg.solve(gram, x.T @ goal.flatten(0, 1))
    fc2.weight[_FOUND] = solution[:-1].T.float()
    fc2.bias[_FOUND] = solution[-1].float()


def _find_the_middle(attention: CLIPAttention) -> None:
    """Write the head that averages the coordinates of all image tokens that show an object."""
    attention.q_proj.bias[0] = 1
    attention.k_proj.weight[0, _OBJECT] = 40 * attention.head_dim**0.5
    for axis in range(2):
        attention.v_proj.weight[axis, _COORDINATES.start + axis] = 1
        attention.out_proj.weight[_MIDDLE.start + axis, axis] = 1


def _project(subject: Untrained, relative: bool) -> None:
    """Write the projector, from what the tower found to the slots of the residual stream."""
    model: LlavaForConditionalGeneration = subject.model
    first, second = (
        model.model.multi_modal_projector.linear_1,
        model.model.multi_modal_projector.linear_2,
    )
    for layer in (first, second):
        layer.weight.zero_()
        layer.bias.zero_()
    unit = iter(range(WIDTH))

    def step(reads: dict[int, float], bias: float, writes: dict[int, float]) -> None:
        """Write one unit, relu(reads . x + bias), whose output is added to `writes`."""
        index = next(unit)
        for source, size in reads.items():
            first.weight[index, source] = _SHARP * size
        first.bias[index] = _SHARP * bias
        for target, size in writes.items():
            second.weight[target, index] = size / _SHARP

    for found, slot in ((_COLOR, "seen_color"), (_SHAPE, "seen_shape"), (_OBJECT, "seen_object")):
        for index in range(found.stop - found.start):
            step({found.start + index: 1}, -0.5, {at(slot).start + index: 2})
    size, middle = _measure_units(subject)
    for axis in range(2):
        source = {_COORDINATES.start + axis: 1 / size}
        if relative:
            source[_MIDDLE.start + axis] = -1 / middle
        for index, edge in enumerate(EDGES):
            target = at("seen_place").start + axis * len(EDGES) + index
            # Far below every edge where there is no object, so that empty tokens have no place.
            far = {**source, _OBJECT.start: 20.0}
            for slack, sign in ((0.1, 1), (-0.1, -1)):
                step(far, -20 - edge + slack, {target: sign / 0.2})
    for index in range(at("seen_place").start, at("seen_place").stop):
        step({_OBJECT.start: 1}, -0.5, {index: -1})
    second.bias[at("seen")] = 1
    second.bias[at("constant")] = CONSTANT


def _measure_units(subject: Untrained) -> tuple[float, float]:
    """Measure the size of one image token in the tower's coordinates, and in the middle that its head finds."""
    tower = subject.model.model.vision_tower
    scenes = _make_scenes()
    states = tower(_process_images(subject, scenes), output_hidden_states=True).hidden_states[-1][
        :, 1:
    ]
    side = int(states.shape[1] ** 0.5)
    where = _list_coordinates(side)
    shown = torch.tensor(np.stack([_mark_truth(s, side)[:, -2] for s in scenes])).float()
    middle = (shown @ where) / shown.sum(1, keepdim=True)
    size = (states[..., _COORDINATES] * where).sum() / (where**2).sum() / len(scenes)
    scale = (states[:, 0, _MIDDLE] * middle).sum() / (middle**2).sum()
    return size.item(), scale.item()
