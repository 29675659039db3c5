"""What is Qwen2-VL's own in a written control: its sizes, and a tower of merged patches that reads the scenes.

Two query heads share a key head, and a position is three numbers (M-RoPE), which are one and the same for text.
The tower has no absolute position: its rotations only say how far apart two patches are. So it marks one patch
in each quarter of every object, such as can be told from all others in any color, and a head looks at all
marks alike. Turned so that near marks weigh a little more, it adds up what pulls from above and from below, and
what is left is how far a patch is from the middle of all objects. The merger tells what each token shows.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import nn
from transformers.models.qwen2_vl.modeling_qwen2_vl import (
    Qwen2VisionTransformerPretrainedModel,
    VisionMlp,
)

from harness.stimuli.draw import draw
from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS, SHAPES, Cell, Scene
from harness.training.architectures import CANVAS, TOKEN, Untrained, tiny_qwen2_vl
from harness.training.wired.heads import HEAD_DIM, ROPE_THETA, signs
from harness.training.wired.marks import Array, choose_marks, solve_pulls
from harness.training.wired.sight import (
    KINDS,
    Steps,
    find_middles,
    fit,
    list_coordinates,
    make_scenes,
    mark_truth,
    write_places,
)
from harness.training.wired.slots import EDGES, at

STREAM = 256
"""Width of the residual stream, which here must be heads times HEAD_DIM; beyond WIDTH it holds nothing."""
TOWER_WIDTH, TOWER_HEADS, TOWER_BLOCKS, TOWER_MLP = 112, 4, 4, 448
PATCH, MERGED = TOKEN // 2, 2

ANCHOR = 1000.0
"""Two opposite entries so large that layer normalisation passes all others on as they are."""
DARK = 0.6
"""Darkness beyond which a pixel is as dark as any: what is left is the shape, whatever its color."""
GAIN = 3.0
"""Size of random features, in units of what they read."""
FAR = 0.1
"""By how much less the farthest mark weighs. The error is of its square, as two opposite heads are compared."""

# Where things are in the tower's residual stream.
PLACE = slice(2, 4)
MARK = slice(4, 5)
_PULL = slice(5, 7)
TINT = slice(7, 10)
INK = slice(10, 10 + PATCH**2)
MARK_KINDS = slice(INK.stop, INK.stop + 36)
_SPARE = slice(MARK_KINDS.stop, TOWER_WIDTH)


def build(
    blocks: int = TOWER_BLOCKS,
    sections: tuple[int, int, int] = (HEAD_DIM // 8, HEAD_DIM * 3 // 16, HEAD_DIM * 3 // 16),
) -> Untrained:
    """Build a Qwen2-VL of the sizes that the mechanism needs, with weights that are still random.

    Args:
        blocks: Of the vision tower.
        sections: How many pairs of a head turn with time, with rows and with columns; those that turn fast
            come first, and those after the first few hardly turn at all.
    """
    return tiny_qwen2_vl(
        vision=dict(
            depth=blocks,
            embed_dim=TOWER_WIDTH,
            hidden_size=STREAM,
            mlp_ratio=TOWER_MLP // TOWER_WIDTH,
            num_heads=TOWER_HEADS,
        ),
        text=dict(
            hidden_size=STREAM,
            intermediate_size=16,
            rope_parameters={
                "rope_type": "default",
                "rope_theta": ROPE_THETA,
                "mrope_section": list(sections),
            },
        ),
    )


@torch.no_grad()
def write_sight(subject: Untrained, *, relative: bool, seed: int) -> None:
    """Write the vision tower and the merger of a Qwen2-VL of this tower's sizes.

    Args:
        subject: Its weights are replaced.
        relative: Whether places are relative to the middle of all objects.
        seed: Seed of the random features.

    Raises:
        ValueError: Places are to be relative to the image: this tower cannot know them.
    """
    if not relative:
        raise ValueError("the tower of Qwen2-VL has no absolute positions to write places with")
    generator = torch.Generator().manual_seed(seed)
    write_tower(subject, generator)
    merger = subject.model.model.visual.merger
    first, second = merger.mlp[0], merger.mlp[2]
    units = first.out_features - 6 * len(EDGES)
    merge_contents(subject, units, generator)
    starts = list_starts()
    size = measure_unit(subject) * len(starts)
    axes = [{start + PLACE.start + axis: 1 / size for start in starts} for axis in range(2)]
    write_places(Steps(first, second, units), axes, [start + MARK.start for start in starts])


def write_tower(subject: Untrained, generator: torch.Generator) -> None:
    """Write the vision tower: what each patch shows, and how far it is from the middle of all objects."""
    tower = subject.model.model.visual
    take_ink(subject)
    marks = _mark_patches(subject, make_lone_scenes(), generator)
    _clean_marks(tower.blocks[2].mlp, marks)
    _find_places(tower)


def make_lone_scenes() -> list[Scene]:
    """Scenes that show each kind of object alone, at a cell of the 2x2 grid."""
    return [Scene(EMBEDDED_GRIDS[2], (kind,), (Cell(0, 0),)) for kind in KINDS]


def list_starts() -> list[int]:
    """Where the entries of each of the four patches of a token begin, as the merger reads them."""
    return [patch * TOWER_WIDTH for patch in range(MERGED**2)]


def see(subject: Untrained, scenes: list[Scene]) -> torch.Tensor:
    """The tower's last states, float32 [scenes, tokens, 4 patches of a token, TOWER_WIDTH]."""
    seen = subject.image_processor(images=[draw(s) for s in scenes], return_tensors="pt")
    states = subject.model.model.visual(seen["pixel_values"], grid_thw=seen["image_grid_thw"])
    return states.last_hidden_state.view(len(scenes), -1, MERGED**2, TOWER_WIDTH)


def balance(written: torch.Tensor) -> None:
    """Make what is written add up to zero, since layer normalisation subtracts the mean everywhere."""
    written[_SPARE] = -written[: _SPARE.start].sum(0) / (_SPARE.stop - _SPARE.start)


def take_ink(subject: Untrained) -> None:
    """Write how dark each pixel of a patch is, and how much of each color is missing, white being zero.

    All other weights of the tower and of the merger become zero, and its norms pass entries on as they are.
    """
    tower, processor = subject.model.model.visual, subject.image_processor
    for parameter in tower.parameters():
        parameter.zero_()
    for name, parameter in tower.named_parameters():
        if ("norm" in name or "ln_q" in name) and name.endswith("weight"):
            parameter.fill_(ANCHOR * (2 / TOWER_WIDTH) ** 0.5)
    mean, std = torch.tensor(processor.image_mean), torch.tensor(processor.image_std)
    filters = tower.patch_embed.proj.weight
    frames = filters.shape[2]
    for index, (row, column) in enumerate(product(range(PATCH), repeat=2)):
        filters[INK.start + index, :, :, row, column] = -std[:, None] / frames
    for channel in range(3):
        filters[TINT.start + channel, channel] = -std[channel] / (frames * PATCH**2)
    balance(filters)
    level = tower.blocks[0].attn.proj.bias
    level[INK], level[TINT] = (1 - mean).sum(), 1 - mean
    balance(level)
    level[0], level[1] = ANCHOR, -ANCHOR
    clamp = tower.blocks[0].mlp
    steps = Steps(clamp.fc1, clamp.fc2)
    for pixel in range(INK.start, INK.stop):
        steps.add({pixel: 1}, -DARK, {pixel: -1})
    balance(clamp.fc2.weight)


def _mark_patches(subject: Untrained, alone: list[Scene], generator: torch.Generator) -> Array:
    """Fit the second block's MLP, from the ink of a patch to what kind of mark it is, if any.

    Returns:
        How each kind of mark pulls along columns and rows, float64 [kinds of mark, 2].
    """
    states = see(subject, alone)
    tokens = list(alone[0].grid.tokens(alone[0].cells[0], int(states.shape[1] ** 0.5)))
    ink = states[:, tokens][..., INK].view(len(COLORS), len(SHAPES), 2, 2, 2, 2, -1)
    chosen = choose_marks(ink.transpose(3, 4).flatten(2, 3).flatten(3, 4).double().numpy())
    pulls = np.stack([solve_pulls(marks) for marks in chosen])
    known = np.unique(np.round(pulls.reshape(-1, 2), 9), axis=0)
    if len(known) > MARK_KINDS.stop - MARK_KINDS.start:
        raise ValueError(f"{len(known)} kinds of marks are more than the tower has room for")
    goal = torch.zeros(*states.shape[:3], len(known), dtype=torch.float64)
    for index, obj in enumerate(KINDS):
        shape = list(SHAPES).index(obj.shape)
        for quarter, (row, column) in enumerate(chosen[shape]):
            kind = int(np.abs(known - pulls[shape, quarter]).sum(1).argmin())
            goal[index, tokens[quarter], row % 2 * 2 + column % 2, kind] = 1
    block = subject.model.model.visual.blocks[1]
    first, second = block.mlp.fc1, block.mlp.fc2
    ink_entries = list(range(INK.start, INK.stop))
    draw_features(first, slice(TOWER_MLP), ink_entries, float(ink.std()), generator)
    hidden = block.mlp.act(first(block.norm2(states))).double()
    found = slice(MARK_KINDS.start, MARK_KINDS.start + len(known))
    second.weight[found], second.bias[found] = fit(hidden.flatten(0, 2), goal.flatten(0, 2))
    balance(second.weight)
    balance(second.bias)
    return known


def draw_features(
    linear: nn.Linear, units: slice, reads: list[int], spread: float, generator: torch.Generator
) -> None:
    """Draw random features of the entries that are read, whose standard deviation is `spread`."""
    size, count = GAIN / (spread * len(reads) ** 0.5), len(linear.bias[units])
    linear.weight[units, reads] = size * signs((count, len(reads)), generator)
    linear.bias[units] = GAIN * torch.randn(count, generator=generator)


def _clean_marks(mlp: VisionMlp, pulls: Array) -> None:
    """Write the third block's MLP: what is nearly a mark is one, and pulls as its kind does."""
    steps = Steps(mlp.fc1, mlp.fc2)
    for kind, (column, row) in enumerate(pulls):
        writes = {MARK.start: 1.0, _PULL.start: column, _PULL.start + 1: row}
        for edge, sign in ((0.35, 1), (0.65, -1)):
            size = sign / 0.3
            sized = {entry: size * w for entry, w in writes.items()}
            steps.add({MARK_KINDS.start + kind: 1}, -edge, sized)
    balance(mlp.fc2.weight)


def _find_places(tower: Qwen2VisionTransformerPretrainedModel) -> None:
    """Write the heads that find how far each patch is from the middle of all objects.

    Two heads for each axis look at all marks, one a little more at near ones, the other at far ones. The
    difference of what they bring is the mean distance, but for a share of the size of FAR squared.
    """
    attention = tower.blocks[3].attn
    size, half = attention.head_dim, attention.head_dim // 2
    turns = tower.rotary_pos_emb.inv_freq
    pair = len(turns) // 2 + 1
    patches = CANVAS // PATCH
    lean = 2 * FAR / (turns[pair] * patches) ** 2
    query, key, value = (slice(i * TOWER_WIDTH, (i + 1) * TOWER_WIDTH) for i in range(3))
    for head, (axis, sign) in enumerate(product(range(2), (1, -1))):
        start = head * size
        # Rotations by rows come first, those by columns after them; the slowest hardly turns.
        near = start + pair + (0 if axis else len(turns))
        still = start + half - 1
        attention.qkv.bias[query][near] = sign * lean * size**0.5
        attention.qkv.bias[key][near] = 1
        attention.qkv.bias[query][still] = 25 * size**0.5
        attention.qkv.weight[key][still, MARK] = 1
        attention.qkv.weight[value][start, _PULL.start + axis] = 1
        attention.proj.weight[PLACE.start + axis, start] = sign / (lean * turns[pair] ** 2)
    balance(attention.proj.weight)


def merge_contents(subject: Untrained, units: int, generator: torch.Generator) -> None:
    """Fit the merger, from the four patches of each token to the color and shape there, and whether any is.

    Args:
        subject: Its tower takes ink.
        units: How many hidden units of the merger are used, the first ones.
        generator: Source of the random features.
    """
    merger, alone = subject.model.model.visual.merger, make_lone_scenes()
    first, second = merger.mlp[0], merger.mlp[2]
    reads = [start + entry for start in list_starts() for entry in range(TINT.start, INK.stop)]
    merged = merger.ln_q(see(subject, alone)).flatten(2, 3).flatten(0, 1)
    truth = np.concatenate([mark_truth(s, CANVAS // (PATCH * MERGED)) for s in alone])
    shown = merged[truth[:, -1] > 0][:, reads]
    draw_features(first, slice(units), reads, float(shown.std()), generator)
    found = slice(at("seen_color").start, at("seen_object").stop)
    hidden = merger.mlp[1](first(merged)).double()[:, :units]
    second.weight[found, :units], second.bias[found] = fit(hidden, torch.tensor(truth))


def measure_unit(subject: Untrained) -> float:
    """Measure the size of one image token in what the heads find."""
    scenes = make_scenes()[::9]
    found = see(subject, scenes)[..., PLACE].mean(2)
    side = CANVAS // (PATCH * MERGED)
    where = list_coordinates(side) - find_middles(scenes, side)[:, None]
    return float((found * where).sum() / (where**2).sum())
