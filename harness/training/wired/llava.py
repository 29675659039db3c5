"""What is LLaVA's own in a written control: its sizes, and a CLIP tower that reads the scenes.

The first layer tells what each token shows. A head then finds the middle of all objects, and the projector
turns the difference to a token's coordinates, which the position embedding holds, into the place code.
"""

from __future__ import annotations

import numpy as np
import torch
from transformers import LlavaForConditionalGeneration
from transformers.models.clip.modeling_clip import CLIPAttention

from harness.stimuli.draw import draw
from harness.stimuli.scene import COLORS, SHAPES, Scene
from harness.training.architectures import Untrained, tiny_llava
from harness.training.wired.heads import HEAD_DIM, ROPE_THETA, signs
from harness.training.wired.sight import (
    ANCHOR,
    Steps,
    find_middles,
    fit,
    list_coordinates,
    make_scenes,
    mark_truth,
    write_places,
)
from harness.training.wired.slots import WIDTH, at

FEATURES = 128
TOWER_WIDTH, TOWER_HEADS, TOWER_MLP = 160, 4, 512

# Where things are in the tower's residual stream.
_COORDINATES = slice(2, 4)
_PATCH = slice(4, 4 + FEATURES)
_COLOR = slice(_PATCH.stop, _PATCH.stop + len(COLORS))
_SHAPE = slice(_COLOR.stop, _COLOR.stop + len(SHAPES))
_OBJECT = slice(_SHAPE.stop, _SHAPE.stop + 1)
_BALANCE = slice(_OBJECT.stop, _OBJECT.stop + 1)
_FOUND = slice(_COLOR.start, _BALANCE.stop)
_MIDDLE = slice(_FOUND.stop, _FOUND.stop + 2)


def build() -> Untrained:
    """Build a LLaVA of the sizes that the mechanism needs, with weights that are still random."""
    return tiny_llava(
        vision=dict(
            hidden_size=TOWER_WIDTH, num_attention_heads=TOWER_HEADS, intermediate_size=TOWER_MLP
        ),
        text=dict(
            hidden_size=WIDTH,
            head_dim=HEAD_DIM,
            intermediate_size=16,
            rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        ),
    )


@torch.no_grad()
def write_sight(subject: Untrained, *, relative: bool, seed: int) -> None:
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
    embeddings.position_embedding.weight[1:, _COORDINATES] = 0.3 * list_coordinates(side)
    filters = embeddings.patch_embedding.weight
    noise = signs((FEATURES // 2, *filters.shape[1:]), generator) / filters[0].numel() ** 0.5
    # The entries add up to zero, since layer normalisation would subtract their mean everywhere.
    filters[_PATCH] = torch.cat([noise, -noise])
    _recognise(subject, generator)
    _find_the_middle(tower.encoder.layers[1].self_attn)
    _project(subject, relative)


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
    scenes = make_scenes()
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
    truth = np.stack([mark_truth(s, side) for s in scenes])
    # The last entry makes what is found add up to zero.
    truth = np.concatenate([truth, -truth.sum(-1, keepdims=True)], -1)
    # The class token sees nothing.
    goal = torch.tensor(np.concatenate([np.zeros_like(truth[:, :1]), truth], 1))
    fc2.weight[_FOUND], fc2.bias[_FOUND] = fit(hidden.flatten(0, 1), goal.flatten(0, 1))


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
    steps = Steps(first, second)
    for found, slot in ((_COLOR, "seen_color"), (_SHAPE, "seen_shape"), (_OBJECT, "seen_object")):
        for index in range(found.stop - found.start):
            steps.add({found.start + index: 1}, -0.5, {at(slot).start + index: 2})
    size, middle = _measure_units(subject)
    axes = []
    for axis in range(2):
        source = {_COORDINATES.start + axis: 1 / size}
        if relative:
            source[_MIDDLE.start + axis] = -1 / middle
        axes.append(source)
    write_places(steps, axes, [_OBJECT.start])


def _measure_units(subject: Untrained) -> tuple[float, float]:
    """Measure the size of one image token in the tower's coordinates, and in the middle that its head finds."""
    tower = subject.model.model.vision_tower
    scenes = make_scenes()
    states = tower(_process_images(subject, scenes), output_hidden_states=True).hidden_states[-1][
        :, 1:
    ]
    side = int(states.shape[1] ** 0.5)
    where = list_coordinates(side)
    middle = find_middles(scenes, side)
    size = (states[..., _COORDINATES] * where).sum() / (where**2).sum() / len(scenes)
    scale = (states[:, 0, _MIDDLE] * middle).sum() / (middle**2).sum()
    return size.item(), scale.item()
