"""E4 and E13: relative or absolute? Blocks of four objects in four places of the canvas (section 4.1, A.5.3).

Similarity of the last token to the target's slot in the block, to its cell in the image, and to its features,
layer by layer; and its plane of two components. Targets in the middle cell, which all blocks share, decide
between the codes: there the absolute position is one and the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.correlating import Comparison
from harness.experiments.editing import capture_all, find_last_token
from harness.experiments.halves import HALF_NAMES, Halves, list_scenes
from harness.experiments.targets import compare_features, locate_target
from harness.measures.components import NEIGHBOURS, neighbours_agree, project_to_plane
from harness.measures.similarity import cosine_rsm, position_rsm
from harness.measuring.experiment import Request
from harness.statistics.halves import DRAWS
from harness.stimuli.blocks import MIDDLE, draw_block_trials, slot_of
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.prompt import Trial
from harness.stimuli.scene import Cell

CODES = ("relative", "absolute", "features")


def measure(request: Request) -> xr.Dataset:
    """Measure how well place in the block, place in the image and features explain the last token, by layer.

    Also the neighbours of each trial in the plane of two principal components.

    Returns:
        `r` [code, half, layer] and `r_draws` [code, half, draw, layer] (scenes resampled); `between`
        [half] and `between_draws` [half, draw]: r of relative and absolute positions themselves; `plane`
        [layer, trial, axis]; `agrees` bool [which, layer, trial], whether a trial's neighbours in the plane
        share its slot, among all trials and among those in the middle cell; `slot`, `cell`, `scene`, `part`
        [trial].
    """
    subject, rng = request.subject, request.rng
    drawn = draw_block_trials(subject.grids[3], HIGH_ENTROPY[3], request.trials, rng)
    request.progress(0, 2)
    states = capture_all(subject, drawn, "residual", find_last_token)[:, :, 0].numpy()
    request.progress(1, 2)
    halves = Halves.deal(list_scenes(drawn), rng)
    cells = [locate_target(t) for t in drawn]
    slots = _name_cells([slot_of(t.scene, t.target) for t in drawn])
    planes = np.stack([project_to_plane(layer)[0] for layer in states])
    middle = np.array([c == MIDDLE for c in cells])
    return xr.Dataset(
        {
            **_correlate_codes(_compare_codes(drawn, states, halves.scenes), halves, rng),
            "plane": (("layer", "trial", "axis"), planes),
            "agrees": (
                ("which", "layer", "trial"),
                _compare_neighbours(states, planes, slots, halves, middle),
            ),
            "slot": (("trial",), slots),
            "cell": (("trial",), _name_cells(cells)),
            "scene": (("trial",), halves.scenes),
            "part": (("trial",), halves.names),
        },
        {
            "code": list(CODES),
            "half": list(HALF_NAMES),
            "which": ["all", "middle"],
            "layer": np.arange(subject.layers),
        },
    )


def _name_cells(cells: Sequence[Cell]) -> NDArray[np.str_]:
    """Each cell as "row column" [n]."""
    return np.array(["{} {}".format(*c) for c in cells])


def _compare_codes(
    drawn: Sequence[Trial], states: NDArray[np.float32], scenes: NDArray[np.str_]
) -> dict[str, Comparison]:
    """The states [L, n, d] compared with what each of CODES would make of these trials."""
    model = cosine_rsm(states[:, None])
    slots = np.array([slot_of(t.scene, t.target) for t in drawn], float)
    cells = np.array([locate_target(t) for t in drawn], float)
    truths = {
        "relative": position_rsm(slots)[None],
        "absolute": position_rsm(cells)[None],
        "features": compare_features(drawn),
    }
    return {code: Comparison(model, truths[code], scenes) for code in CODES}


def _correlate_codes(
    compared: Mapping[str, Comparison], halves: Halves, rng: np.random.Generator
) -> dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]:
    """The variables `r`, `r_draws`, `between` and `between_draws` of the measurement."""
    layers = len(compared["relative"].model)
    r = np.zeros((len(CODES), 2, layers))
    draws = np.zeros((len(CODES), 2, DRAWS, layers))
    between, between_draws = np.zeros(2), np.zeros((2, DRAWS))
    for h, half in enumerate((halves.first, halves.second)):
        of_half = {code: comparison.select(half) for code, comparison in compared.items()}
        weights = of_half["relative"].draw_weights(rng)
        for c, code in enumerate(CODES):
            r[c, h] = of_half[code].correlate()
            draws[c, h] = of_half[code].resample(weights)
        # The two codes of position themselves: what one owes to the other is taken out of it.
        relative, absolute = of_half["relative"].truth, of_half["absolute"].truth
        codes = Comparison(relative[None], absolute, of_half["relative"].scenes)
        between[h] = codes.correlate()[0]
        between_draws[h] = codes.resample(weights)[:, 0]
    return {
        "r": (("code", "half", "layer"), r),
        "r_draws": (("code", "half", "draw", "layer"), draws),
        "between": (("half",), between),
        "between_draws": (("half", "draw"), between_draws),
    }


def _compare_neighbours(
    states: NDArray[np.float32],
    planes: NDArray[np.float64],
    slots: NDArray[np.str_],
    halves: Halves,
    middle: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Whether a trial's neighbours in the plane share its slot, bool [which, layer, trial].

    Args:
        states: [L, n, d].
        planes: Of all trials, [L, n, 2].
        slots: [n].
        halves: Neighbours are those of the same half.
        middle: Which targets are in the middle cell, bool [n].
    """
    agrees = np.zeros((2, len(states), len(slots)), bool)
    for half in (halves.first, halves.second):
        for w, among in enumerate((half, half & middle)):
            if among.sum() <= 2 * NEIGHBOURS:
                # The reading says that they are too few.
                continue
            # A plane of its own: among targets in the middle other differences may be the largest.
            for layer, state in enumerate(states):
                points = planes[layer][among] if w == 0 else project_to_plane(state[among])[0]
                agrees[w, layer, among] = neighbours_agree(
                    points, slots[among], halves.scenes[among], NEIGHBOURS
                )
    return agrees
