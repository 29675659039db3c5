"""Keeps a handful of trials in words beside a measurement, so that a reader sees what was asked and answered.

They are the first ones that were judged, not chosen ones, and nothing is computed from them. What they show can
be drawn again from what stands here, without the subject and without the experiment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.stimuli.prompt import Trial
from harness.stimuli.scene import Backdrop, Scene

COUNT = 6
"""Trials of a measurement that are kept: some two kilobytes."""

ATTRIBUTE = "examples"
"""The attribute of a measurement that holds them, as JSON."""


def describe_trials(
    trials: Sequence[Trial],
    answers: Mapping[str, NDArray[np.str_]],
    count: int = COUNT,
    group: str = "",
) -> list[dict[str, Any]]:
    """The first trials as plain values: what was shown, asked and right, and what was answered.

    Args:
        trials: n of them.
        answers: Words [n] by what was done to the subject, such as "without an edit"; "" where it gave none.
        count: How many are described.
        group: What these trials have in common, in words.
    """
    said = {edit: words[:count].tolist() for edit, words in answers.items()}
    return [
        {
            "group": group,
            "scenes": [describe_scene(trial.scene)],
            "prompt": trial.prompt.text,
            "right": trial.answer,
            "answers": {edit: words[n] for edit, words in said.items()},
        }
        for n, trial in enumerate(trials[:count])
    ]


def describe_scene(scene: Scene) -> dict[str, Any]:
    """A scene as plain values, from which it can be drawn again; of a photograph only that it is one."""
    grid, setting = scene.grid, scene.setting
    shown: list[str | int] | str | None = None
    if setting is not None:
        shown = [setting.kind, setting.seed] if isinstance(setting, Backdrop) else "photograph"
    return {
        "grid": [grid.rows, grid.cell, grid.gap, grid.margin],
        "objects": [[obj.name, cell.row, cell.column] for obj, cell in scene],
        "setting": shown,
    }


def keep_examples(examples: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The attribute of a measurement that holds examples from `describe_trials`."""
    return {ATTRIBUTE: json.dumps(examples, separators=(",", ":"))}
