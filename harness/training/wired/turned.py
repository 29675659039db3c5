"""A place code that depends on what stands there: the color of an object turns the code of its place."""

from __future__ import annotations

import numpy as np
import torch

from harness.training.architectures import Untrained
from harness.training.wired.slots import EDGES, Rows, at

GROUPS = 3
"""Colors are turned like the third after them, so that objects of some pairs of colors have IDs of one kind."""

TURNS = (1, 2, 1, 1, 1, 2, 1, 2)
"""Thirds of a circle by which each group of colors turns a plane of the place code further than the last.

A plane is made of an edge for columns and the same edge for rows. In no plane do the three groups add up to
anything; two places that are turned differently match by at most 2.4, where a place matches itself by 4.
"""

_FAR = 20.0
"""By how much a unit stays below its threshold at objects of other groups."""

_SHARP, _SLACK = 200.0, 0.1
"""Slope at which smooth steps act as steps, and half of the width of a step."""


def turn_place(color: int) -> Rows:
    """The turn that a color gives to the code of a place, float64 [2 * edges, 2 * edges]."""
    edges = len(EDGES)
    turn = np.zeros((2 * edges, 2 * edges))
    for edge, thirds in enumerate(TURNS):
        angle = 2 * np.pi * thirds * (color % GROUPS) / GROUPS
        turn[np.ix_([edge, edges + edge], [edge, edges + edge])] = [
            [np.cos(angle), -np.sin(angle)],
            [np.sin(angle), np.cos(angle)],
        ]
    return turn


@torch.no_grad()
def turn_seen_places(subject: Untrained) -> None:
    """Turn the places that a wired projector writes by the color of the object there.

    Every unit that writes a place gets a copy for each further group of colors, which is far below its
    threshold where no such color is, and which writes what the turn changes.

    Args:
        subject: A LLaVA after `sight.install`; unused units of its projector and of the tower's last MLP,
            and unused dimensions of the tower's states, are written.

    Raises:
        ValueError: The projector has too few unused units.
    """
    projector = subject.model.model.multi_modal_projector
    first, second = projector.linear_1, projector.linear_2
    place = at("seen_place")
    placing = [int(u) for u in (second.weight[place] != 0).any(0).nonzero()]
    # What tells a color is the one number that the unit which writes this color reads.
    colors = [
        int(first.weight[int(second.weight[row].nonzero())].nonzero())
        for row in range(at("seen_color").start, at("seen_color").stop)
    ]
    slope = float(first.weight[:, colors[0]].max())
    marks = _mark_groups(subject, colors)
    free = [int(u) for u in (first.weight == 0).all(1).nonzero()]
    if len(free) < (GROUPS - 1) * len(placing):
        raise ValueError(f"{len(free)} units are unused, of {(GROUPS - 1) * len(placing)} needed")
    unit = iter(free)
    for group in range(1, GROUPS):
        change = torch.tensor(turn_place(group)).float() - torch.eye(2 * len(EDGES))
        for source in placing:
            copy = next(unit)
            first.weight[copy] = first.weight[source]
            first.bias[copy] = first.bias[source] - _FAR * slope
            # Less a dimension that holds nothing: the tower's first norm has added a little to both.
            first.weight[copy, marks[group - 1]] = _FAR * slope
            first.weight[copy, marks[0] - 1] = -_FAR * slope
            second.weight[place, copy] = change @ second.weight[place, source]


def _mark_groups(subject: Untrained, colors: list[int]) -> list[int]:
    """Write into the tower's last MLP exactly 1 where an object is of a group of colors, for all but the first.

    Args:
        subject: A LLaVA after `sight.install`.
        colors: Dimension of the tower's states that tells each color, up to the error of a fit.

    Returns:
        The dimension that marks each further group.
    """
    layer = subject.model.model.vision_tower.encoder.layers[-1]
    fc1, fc2 = layer.mlp.fc1, layer.mlp.fc2
    width = fc2.weight.shape[0]
    *marks, balance = range(width - GROUPS, width)
    # Two opposite entries are by far the largest, so that layer normalisation scales every token alike.
    scale = float(
        subject.model.model.vision_tower.embeddings.position_embedding.weight[0].std(correction=0)
    )
    for group, mark in enumerate(marks, 1):
        for unit, slack, sign in ((2 * group, _SLACK, 1), (2 * group + 1, -_SLACK, -1)):
            fc1.weight[unit, colors[group::GROUPS]] = _SHARP * scale
            fc1.bias[unit] = _SHARP * (slack - 0.5)
            fc2.weight[mark, unit] = sign / (2 * _SLACK * _SHARP)
            # Entries add up to zero, since layer normalisation would subtract their mean.
            fc2.weight[balance, unit] = -sign / (2 * _SLACK * _SHARP)
    return marks
