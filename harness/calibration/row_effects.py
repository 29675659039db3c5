"""Published effects on rows (Cui et al.) as simulated estimates, see `harness.calibration.effects`.

Probabilities are drawn as 0 or 1, which varies most for a given mean, so that powers are rather too low.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.calibration.judged import Judged
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate
from harness.statistics.halves import DRAWS
from harness.statistics.shares import mean_share, subtract_mean_shares

ONSET = 1.0
"""Standard deviation of an onset in layers. Assumed: published curves rise within one or two layers."""

DEPTH = 28
"""Layers of the model whose curves are published."""

OBJECTS_FLIP = {"qwen2-vl-7b": 0.07}
"""Probability of the counterfactual answer with items exchanged, where it is least below that of strips."""

CLEAN_KEPT = {"qwen2-vl-7b": 0.56}
"""Probability of the clean answer with items exchanged, where these move most."""

COLUMNS_AT_INPUT = {"qwen2-vl-7b": 0.83}
"""Probability of the counterfactual answer with strips exchanged at the decoder's input, in columns."""

AT_INPUT_WITHOUT_ORDER = {"qwen2-vl-7b": 0.13}
"""Probability of the counterfactual answer without ordering at the decoder's input."""

LEFT_SQUARES = {"qwen2-vl-7b": 0.60, "gemma-3-4b": 0.57}
LEFT_SHAPES = {"qwen2-vl-7b": 0.62, "gemma-3-4b": 0.64}
"""Share of right answers without the ordering, Table 5."""


def draw_probability(
    value: float, base: float, judged: Judged, rng: np.random.Generator
) -> Estimate:
    """A mean probability, as `mean_share` estimates it."""
    return mean_share(judged.answer(value, rng).astype(float), judged.scenes.tolist())


def draw_more_probable(
    value: float, base: float, judged: Judged, rng: np.random.Generator
) -> Estimate:
    """A word's mean probability less that under another edit, which is `base`; the stronger edit adds to it."""
    kinds = _draw_kinds(judged, rng)
    return subtract_mean_shares(kinds < base + value, kinds < base, judged.scenes.tolist())


def draw_other_word(
    value: float, base: float, judged: Judged, rng: np.random.Generator
) -> Estimate:
    """A word's mean probability less that of another word, which is `base`; where one is, the other is not."""
    kinds = _draw_kinds(judged, rng)
    return subtract_mean_shares(kinds < base + value, kinds > 1 - base, judged.scenes.tolist())


def draw_layers(value: float, base: float, judged: Judged, rng: np.random.Generator) -> Estimate:
    """Layers between two onsets."""
    return _draw_onset(value, 1, judged, rng)


def draw_depth(value: float, base: float, judged: Judged, rng: np.random.Generator) -> Estimate:
    """A distance of two layers in shares of the depth."""
    return _draw_onset(value, DEPTH, judged, rng)


def _draw_onset(value: float, layers: int, judged: Judged, rng: np.random.Generator) -> Estimate:
    found = np.rint(rng.normal(value * layers, ONSET))
    draws = np.rint(rng.normal(found, ONSET, DRAWS))
    if layers > 1:
        found, draws = abs(found), np.abs(draws)
    n, scenes = len(judged.items), len(np.unique(judged.scenes))
    return from_draws(float(found) / layers, draws / layers, n=n, clusters=scenes)


def _draw_kinds(judged: Judged, rng: np.random.Generator) -> NDArray[np.float64]:
    """A number in [0, 1] for each trial, alike for the same prompt and image."""
    return rng.random(int(judged.items.max()) + 1)[judged.items]


PROBABLE = {
    # Half of the pairs choose a slot, and a direction has a quarter of them.
    "5.1.ordinal_squares": ("last_token_squares", draw_probability, {}, 2),
    "5.1.ordinal_least_squares": ("last_token_squares", draw_probability, {}, 8),
    "5.1.order_squares": ("last_token_squares", draw_layers, {}, 1),
    "5.1.inert_squares": ("last_token_squares", draw_probability, {}, 2),
    "5.2.read": ("probes", draw_probability, {}, 2),
    "5.2.read_squares": ("probes_squares", draw_probability, {}, 2),
    "5.2.strips_squares": ("swaps_squares", draw_probability, {}, 4),
    "5.2.more_than_objects_squares": ("swaps_squares", draw_more_probable, OBJECTS_FLIP, 4),
    "5.2.objects_flip_squares": ("swaps_squares", draw_other_word, CLEAN_KEPT, 2),
    "5.2.read_out_squares": ("swaps_squares", draw_depth, {}, 1),
    "5.2.strengthened_squares": ("swaps_squares", draw_more_probable, COLUMNS_AT_INPUT, 4),
    # About a third of the pairs are answered right on both sides; half of these choose a slot.
    "5.3.rise_squares": ("backup_squares", draw_more_probable, AT_INPUT_WITHOUT_ORDER, 6),
}
"""Experiment, kind of estimate, base, and one in how many trials judges, by claim: the fields of `Effect`."""
