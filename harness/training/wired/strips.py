"""What a Qwen2-VL tower adds where the ordering of a row is its own: strips of tokens that know their item.

A patch says on which third of the canvas it lies, counted from the middle of all objects: before it, in it or
after it, along columns and along rows. A head then brings to every patch, of background too, the color of the
object that lies on the most of the same thirds. In a row of three these are columns of tokens, in a column of
three rows of tokens, and the items' own tokens are few among them. Tokens between two thirds are of no strip.
"""

from __future__ import annotations

import torch
from transformers.models.qwen2_vl.modeling_qwen2_vl import VisionAttention, VisionMlp

from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS, Scene
from harness.training.architectures import Untrained
from harness.training.wired import qwen2_vl as tower
from harness.training.wired.sight import KINDS, Steps, fit, mark_seen
from harness.training.wired.slots import at

BLOCKS = tower.TOWER_BLOCKS + 1
SECTIONS = (1, 1, 14)
"""Pairs of a language head that turn with time, rows and columns: the second and third turn fast enough to
tell one row or column from the next."""

THIRDS = 3
"""First, middle and last."""
# Slots of places, which these towers do not write, hold what they write instead.
ORDINALS = slice(at("seen_place").start, at("seen_place").start + 2 * THIRDS)
"""On which third of the items an image token lies: first, middle or last by columns, then by rows."""
COLOR_OF_STRIP = slice(at("retrieved_place").start, at("retrieved_place").start + len(COLORS))
"""The color of the item in whose strip an image token lies."""

MIDDLE_ENDS, OUTER_BEGIN = 1.0, 2.0
"""Where thirds end and begin, in tokens from the middle of all objects; what lies between is on none."""
SURE = 60.0
"""How strongly the head looks at marks; a third in common counts a quarter of it."""
CONTENTS, COLORS_OF_STRIPS = 340, 96
"""Hidden units of the merger that tell what a token shows, and what color the item of its strip has."""

_BROUGHT = slice(tower.MARK_KINDS.stop - 5, tower.MARK_KINDS.stop)
_TINT, _INK, _MARK = (_BROUGHT.start + i for i in (0, 3, 4))
_THIRDS = slice(_BROUGHT.start - 2 * THIRDS, _BROUGHT.start)


def build() -> Untrained:
    """Build a Qwen2-VL with one more block in its tower, whose language model tells rows and columns apart."""
    return tower.build(BLOCKS, SECTIONS)


@torch.no_grad()
def write_contents(subject: Untrained, *, relative: bool, seed: int) -> None:
    """Write a tower and a merger that say what each token shows, and nothing of where anything is.

    Args:
        subject: Its weights are replaced.
        relative: Not asked, since there are no places.
        seed: Seed of the random features.
    """
    tower.take_ink(subject)
    generator = torch.Generator().manual_seed(seed)
    tower.merge_contents(subject, CONTENTS, generator)
    mark_seen(subject.model.model.visual.merger.mlp[2])


@torch.no_grad()
def write_strips(subject: Untrained, *, relative: bool, seed: int) -> None:
    """Write a tower and a merger that say what each token shows, and of which item's strip it is.

    Args:
        subject: Its weights are replaced.
        relative: Not asked: this tower knows no places but relative ones.
        seed: Seed of the random features.

    Raises:
        ValueError: Kinds of marks take up the entries that strips need.
    """
    generator = torch.Generator().manual_seed(seed)
    tower.write_tower(subject, generator)
    blocks = subject.model.model.visual.blocks
    if blocks[1].mlp.fc2.weight[_THIRDS.start : _BROUGHT.stop].any():
        raise ValueError("kinds of marks leave no room for strips in the tower's stream")
    size = tower.measure_unit(subject)
    _tell_thirds(blocks[3].mlp, size)
    _bring_items(blocks[4].attn)
    tower.merge_contents(subject, CONTENTS, generator)
    mark_seen(subject.model.model.visual.merger.mlp[2])
    _merge_strips(subject, generator)


def _tell_thirds(mlp: VisionMlp, size: float) -> None:
    """Write the units that say, along columns and along rows, on which third a patch lies.

    Args:
        mlp: Of the block whose attention has found where patches are from the middle of all objects.
        size: What one token measures in what that attention has found.
    """
    steps = Steps(mlp.fc1, mlp.fc2)
    for axis in range(2):
        first, middle, last = (_THIRDS.start + axis * THIRDS + third for third in range(THIRDS))
        mlp.fc2.bias[middle] = 1
        for outer, sign in ((first, -1), (last, 1)):
            for edge, third, change in ((MIDDLE_ENDS, middle, -1), (OUTER_BEGIN, outer, 1)):
                for slack, rising in ((0.1, 1), (-0.1, -1)):
                    reads = {tower.PLACE.start + axis: sign / size}
                    steps.add(reads, slack - edge, {third: change * rising / 0.2})
    tower.balance(mlp.fc2.weight)
    tower.balance(mlp.fc2.bias)


def _bring_items(attention: VisionAttention) -> None:
    """Write the head that brings to each patch how the marks look that lie on the same thirds."""
    size, half = attention.head_dim, attention.head_dim // 2
    # The two slowest rotations by rows and by columns, which hardly turn.
    pairs = [axis * (half // 2) + half // 2 - back for axis in range(2) for back in (1, 2)]
    dims = [dim for pair in pairs for dim in (pair, pair + half)]
    query, key, value = (
        slice(i * tower.TOWER_WIDTH, (i + 1) * tower.TOWER_WIDTH) for i in range(3)
    )
    for dim, entry in zip(dims, range(_THIRDS.start, _THIRDS.stop), strict=False):
        attention.qkv.weight[query][dim, entry] = SURE / 4 * size**0.5
        attention.qkv.weight[key][dim, entry] = 1
    attention.qkv.bias[query][dims[-1]] = SURE * size**0.5
    attention.qkv.weight[key][dims[-1], tower.MARK] = 1
    for index in range(3):
        attention.qkv.weight[value][index, tower.TINT.start + index] = 1
    pixels = tower.INK.stop - tower.INK.start
    attention.qkv.weight[value][3, tower.INK] = 1 / pixels
    attention.qkv.weight[value][4, tower.MARK] = 1
    for index, entry in enumerate(range(_BROUGHT.start, _BROUGHT.stop)):
        attention.proj.weight[entry, index] = 1
    tower.balance(attention.proj.weight)


def _merge_strips(subject: Untrained, generator: torch.Generator) -> None:
    """Write the merger's last units: the color of a token's strip, and on which thirds it lies, if on any."""
    merger = subject.model.model.visual.merger
    first, second = merger.mlp[0], merger.mlp[2]
    starts = tower.list_starts()
    blank = Scene(EMBEDDED_GRIDS[2], (), ())
    # Alone, an object has the whole image for its strip: any token tells its color.
    shown = tower.see(subject, [*tower.make_lone_scenes(), blank])[:, 0].flatten(1)
    merged = merger.ln_q(shown.view(len(shown), len(starts), -1)).flatten(1)
    units = slice(CONTENTS, CONTENTS + COLORS_OF_STRIPS)
    reads = [start + entry for start in starts for entry in range(_TINT, _INK + 1)]
    tower.draw_features(first, units, reads, float(merged[:, reads].std()), generator)
    goal = torch.zeros(len(shown), len(COLORS), dtype=torch.float64)
    for row, kind in enumerate(KINDS):
        goal[row, list(COLORS).index(kind.color)] = 1
    hidden = merger.mlp[1](first(merged)).double()[:, units]
    second.weight[COLOR_OF_STRIP, units], second.bias[COLOR_OF_STRIP] = fit(hidden, goal)
    steps = Steps(first, second, units.stop)
    for third, ordinal in zip(
        range(_THIRDS.start, _THIRDS.stop), range(ORDINALS.start, ORDINALS.stop), strict=True
    ):
        both = {start + entry: 1 / len(starts) for start in starts for entry in (third, _MARK)}
        steps.add(both, -1.5, {ordinal: 2})
