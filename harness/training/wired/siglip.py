"""A SigLIP tower with written weights that reads the scenes, and the projector that pools what it sees.

Every token is pooled from 2x2 patches, and nothing but a linear map comes after. So each patch has the
coordinates of its token, a head for each of the four brings what that patch shows, and all four patches of a
token then say the same: what is there, and where that is from the middle of all objects.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from transformers.models.siglip.modeling_siglip import SiglipAttention, SiglipMLP

from harness.stimuli.draw import draw
from harness.stimuli.scene import COLORS, SHAPES, Scene
from harness.training.architectures import CANVAS, TOKEN, Untrained
from harness.training.wired.heads import signs
from harness.training.wired.sight import (
    MARKS,
    Steps,
    fit,
    list_coordinates,
    make_scenes,
    mark_truth,
    write_places,
)
from harness.training.wired.slots import CONSTANT, WIDTH, at

TOWER_WIDTH, TOWER_HEADS, TOWER_LAYERS, TOWER_MLP = 160, 4, 2, 384
SIDE = CANVAS // TOKEN
POOLED = 2
FILTERS = 16
GAIN = 1.5
"""Size of random features, in units of what they read."""
ANCHOR = 1000.0
"""Two opposite entries so large that layer normalisation passes all others on as they are."""
SURE = 30.0
"""How much more a tower's head looks at the one patch that it looks for than at any other."""

# Where things are in the tower's residual stream.
_COORDINATES = slice(2, 4)
_SQUARE = 4
_CORNER = slice(5, 5 + POOLED**2)
_PATCH = slice(_CORNER.stop, _CORNER.stop + FILTERS)
_GATHERED = slice(_PATCH.stop, _PATCH.stop + FILTERS * POOLED**2)
_MARKS = slice(_GATHERED.stop, _GATHERED.stop + MARKS)
_OBJECT = _MARKS.stop - 1
_MIDDLE = slice(_MARKS.stop, _MARKS.stop + 2)
_SEEN = ("seen_color", "seen_shape", "seen_object", "seen_place")
_WRITTEN = [index for slot in _SEEN for index in range(at(slot).start, at(slot).stop)]
_OUT = slice(_MIDDLE.stop, _MIDDLE.stop + len(_WRITTEN))
_SPARE = slice(_OUT.stop, TOWER_WIDTH)


@torch.no_grad()
def write_sight(subject: Untrained, *, relative: bool, seed: int) -> None:
    """Write the vision tower and the projector of a Gemma 3 of this tower's sizes.

    Args:
        subject: Its weights are replaced.
        relative: Whether places are relative to the middle of all objects, or else of the image.
        seed: Seed of the random features.
    """
    generator = torch.Generator().manual_seed(seed)
    model = subject.model.model
    tower, projector = model.vision_tower, model.multi_modal_projector
    for parameter in tower.parameters():
        parameter.zero_()
    unit = ANCHOR * (2 / TOWER_WIDTH) ** 0.5
    for name, parameter in tower.named_parameters():
        if "norm" in name and name.endswith("weight"):
            parameter.fill_(unit)
    _place_patches(tower.embeddings.position_embedding.weight)
    filters = tower.embeddings.patch_embedding.weight
    filters[_PATCH] = signs(filters[_PATCH].shape, generator) / filters[0].numel() ** 0.5
    _balance(filters)
    first, second = tower.encoder.layers
    _gather(first.self_attn)
    _recognise(subject, generator)
    _find_the_middle(second.self_attn)
    projector.mm_soft_emb_norm.weight.fill_(unit - 1)
    _write_slots(second.mlp, projector.mm_input_projection_weight, relative)


def _balance(written: torch.Tensor) -> None:
    """Make what is written add up to zero, since layer normalisation subtracts the mean everywhere."""
    written[_SPARE] = -written[: _SPARE.start].sum(0) / (_SPARE.stop - _SPARE.start)


def _place_patches(embedding: torch.Tensor) -> None:
    """Write where each patch is: the coordinates of its token, and which corner of the token it is."""
    rows, columns = np.divmod(np.arange(len(embedding)), SIDE * POOLED)
    token = rows // POOLED * SIDE + columns // POOLED
    corner = rows % POOLED * POOLED + columns % POOLED
    where = list_coordinates(SIDE)[token]
    embedding[:, _COORDINATES] = where
    embedding[:, _SQUARE] = (where**2).sum(-1)
    embedding[range(len(embedding)), _CORNER.start + corner] = 1
    _balance(embedding.T)
    embedding[:, 0], embedding[:, 1] = ANCHOR, -ANCHOR


def _gather(attention: SiglipAttention) -> None:
    """Write the heads that bring what each of the four patches of a token shows to all four.

    The nearest token has the largest product of coordinates, less half of its own square.
    """
    size = attention.head_dim
    strength = SURE * size**0.5
    for head in range(TOWER_HEADS):
        start = head * size
        for axis in range(2):
            entry = _COORDINATES.start + axis
            attention.q_proj.weight[start + axis, entry] = 2 * strength
            attention.k_proj.weight[start + axis, entry] = 1
        attention.q_proj.bias[start + 2] = -strength
        attention.k_proj.weight[start + 2, _SQUARE] = 1
        attention.q_proj.bias[start + 3] = strength
        attention.k_proj.weight[start + 3, _CORNER.start + head] = 1
        for index in range(FILTERS):
            attention.v_proj.weight[start + index, _PATCH.start + index] = 1
            gathered = _GATHERED.start + head * FILTERS + index
            attention.out_proj.weight[gathered, start + index] = 1
    _balance(attention.out_proj.weight)


def _recognise(subject: Untrained, generator: torch.Generator) -> None:
    """Fit the first layer's MLP, from the patches of a token to the color, shape and presence of an object."""
    tower = subject.model.model.vision_tower
    layer = tower.encoder.layers[0]
    scenes = make_scenes()
    states = tower.embeddings(_process_images(subject, scenes))
    states = states + layer.self_attn(layer.layer_norm1(states))[0]
    # All patches of a token hold the same, so that one is enough.
    side = SIDE * POOLED
    states = states.view(len(scenes), side, side, -1)[:, ::POOLED, ::POOLED].flatten(0, 2)
    normed = layer.layer_norm2(states)
    truth = torch.tensor(np.concatenate([mark_truth(scene, SIDE) for scene in scenes]))
    spread = normed[truth[:, -1] > 0][:, _GATHERED].std()
    fc1, fc2 = layer.mlp.fc1, layer.mlp.fc2
    size = _GATHERED.stop - _GATHERED.start
    fc1.weight[:, _GATHERED] = signs((TOWER_MLP, size), generator) * (GAIN / (spread * size**0.5))
    fc1.bias.copy_(GAIN * torch.randn(TOWER_MLP, generator=generator))
    hidden = layer.mlp.activation_fn(fc1(normed)).double()
    fc2.weight[_MARKS], fc2.bias[_MARKS] = fit(hidden, truth)
    _balance(fc2.weight)
    _balance(fc2.bias)


def _process_images(subject: Untrained, scenes: list[Scene]) -> torch.Tensor:
    images = [draw(scene) for scene in scenes]
    return subject.image_processor(images=images, return_tensors="pt")["pixel_values"]


def _find_the_middle(attention: SiglipAttention) -> None:
    """Write the head that averages the coordinates of all patches that show an object."""
    attention.q_proj.bias[0] = 1
    attention.k_proj.weight[0, _OBJECT] = SURE * attention.head_dim**0.5
    for axis in range(2):
        attention.v_proj.weight[axis, _COORDINATES.start + axis] = 1
        attention.out_proj.weight[_MIDDLE.start + axis, axis] = 1
    _balance(attention.out_proj.weight)


def _write_slots(mlp: SiglipMLP, projection: torch.Tensor, relative: bool) -> None:
    """Write the last layer's MLP and the projector, from what was found to the slots of the residual stream."""
    first, second = nn.Linear(TOWER_WIDTH, TOWER_MLP), nn.Linear(TOWER_MLP, WIDTH)
    for parameter in (*first.parameters(), *second.parameters()):
        parameter.zero_()
    steps = Steps(first, second)
    starts = (at("seen_color").start, at("seen_shape").start, at("seen_object").start)
    sizes = (len(COLORS), len(SHAPES), 1)
    slots = [
        start + index for start, size in zip(starts, sizes, strict=True) for index in range(size)
    ]
    for found, slot in zip(range(_MARKS.start, _MARKS.stop), slots, strict=True):
        steps.add({found: 1}, -0.5, {slot: 2})
    axes = []
    for axis in range(2):
        source = {_COORDINATES.start + axis: 1.0}
        if relative:
            source[_MIDDLE.start + axis] = -1.0
        axes.append(source)
    write_places(steps, axes, [_OBJECT])
    mlp.fc1.weight.copy_(first.weight)
    mlp.fc1.bias.copy_(first.bias)
    mlp.fc2.weight[_OUT] = second.weight[_WRITTEN]
    mlp.fc2.bias[_OUT] = second.bias[_WRITTEN]
    _balance(mlp.fc2.weight)
    _balance(mlp.fc2.bias)
    projection.zero_()
    projection[range(_OUT.start, _OUT.stop), _WRITTEN] = 1
    # What every image token holds is read off the anchor, since the projector has no bias.
    for slot, size in (("seen", 1.0), ("constant", CONSTANT)):
        projection[0, at(slot)] = size / ANCHOR
