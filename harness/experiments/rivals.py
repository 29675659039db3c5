"""Writes what rival explanations predict beside what was said, for every experiment that moves answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from harness.measures.explanations import EXPLANATIONS
from harness.stimuli.prompt import Trial

Predictions = Mapping[str, ArrayLike]
"""The words that explanations predict, [n] each; one that is not named predicts no word."""


def tabulate_predictions(predictions: Predictions, trials: int) -> NDArray[np.str_]:
    """The words that every explanation predicts, [explanation, n]; "" where it predicts none.

    Raises:
        ValueError: An explanation is not one of EXPLANATIONS.
    """
    unknown = sorted(set(predictions) - set(EXPLANATIONS))
    if unknown:
        raise ValueError(f"unknown explanation {unknown[0]!r}; known: {', '.join(EXPLANATIONS)}")
    none = np.full(trials, "")
    return np.array([np.asarray(predictions.get(name, none), str) for name in EXPLANATIONS])


def tabulate_rivals(
    said: NDArray[np.str_],
    edits: tuple[str, Sequence[str] | Sequence[int]],
    predictions: Sequence[Predictions],
    scenes: NDArray[np.str_],
) -> xr.Dataset:
    """What was said under each edit, and what each explanation predicts.

    Args:
        said: Words [edit, n].
        edits: The name of the first dimension, and its labels.
        predictions: One for all edits, or one for each.
        scenes: The scene of each trial, [n].

    Returns:
        `said` [edit, asked]; `predicted` [explanation, asked], or [edit, explanation, asked] if it differs
        between edits; `asked_scene` [asked]. All are words.
    """
    dimension, labels = edits
    words = np.array([tabulate_predictions(p, said.shape[1]) for p in predictions])
    alike = len(predictions) == 1
    of_words = ("explanation", "asked") if alike else (dimension, "explanation", "asked")
    return xr.Dataset(
        {
            "said": ((dimension, "asked"), said),
            "predicted": (of_words, words[0] if alike else words),
            "asked_scene": (("asked",), scenes),
        },
        {dimension: list(labels), "explanation": list(EXPLANATIONS)},
    )


def find_unnamed_color(trial: Trial) -> str:
    """The color of the one object that the prompt does not mention; "" if there is none or more than one."""
    unnamed = [o.color for o in trial.scene.objects if o not in trial.described]
    return unnamed[0] if len(unnamed) == 1 else ""


def find_kth_color(trial: Trial, k: int) -> str:
    """The color of the k-th object of the text, from 1; the one after the last mention is the one unnamed.

    "" if the text has no k-th object.
    """
    if k <= len(trial.described):
        return trial.described[k - 1].color
    return find_unnamed_color(trial) if k == len(trial.described) + 1 else ""
