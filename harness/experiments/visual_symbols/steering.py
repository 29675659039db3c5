"""E6: edit the position ID at one of the three stages, and the model names the other object (section 4.2).

IDs are mean activations by side, left or right. Heads come from the mediation experiment; how many, and how
strongly they are pushed, is chosen on the images that the IDs were estimated from, and judged on others.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr

from harness.experiments.editing import ids_of, matched_heads, ranking
from harness.experiments.pushes import NOTHING, Push, Pushes
from harness.experiments.sweeps import ALPHAS, heads_swept
from harness.measuring.experiment import OwnImages, Request
from harness.statistics.halves import estimation_half
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.photographs import digest_of, read_photographs
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import describing, side_of, side_pairs

PHOTOGRAPHS = 200
"""Images (section 4.2)."""

RANDOM_SETS = 5
CONTROLS = ("top", "random", "away", "best on test")
"""The best heads pushed towards the other side; as many others, in the same layers; the best pushed away; and,
as the public reproduction did, the setting that is best on the very images it is judged on."""


def measure(request: Request) -> xr.Dataset:
    """Sweep on one half of the images, and judge the best setting on the other.

    Returns:
        `sweep` [stage, half, k, alpha]: share that names the described object, NaN where not run; `moved`
        bool [stage, control, trial] on the evaluation half at the chosen setting; `chosen_k`,
        `chosen_alpha`, `heads` [stage], 0 where the stage has no heads; `right`, `before` bool [trial]:
        without an edit, whether the answer is right and whether it is the described object; `scene`, `side`
        [trial]: of the target.
    """
    return _measure_pairs(request, _draw_pairs(request, solids=True))


def measure_drawn(request: Request) -> xr.Dataset:
    """As `measure`, on flat shapes on white."""
    return _measure_pairs(request, _draw_pairs(request, solids=False))


def _draw_pairs(request: Request, *, solids: bool) -> list[Trial]:
    """Pairs as the subject can be shown them: solids on textured ground, or flat shapes on white."""
    grid = request.subject.grids[2]
    return side_pairs(grid, HIGH_ENTROPY[3], request.trials, request.rng, solids=solids)


def _measure_pairs(request: Request, drawn: list[Trial]) -> xr.Dataset:
    subject, rng = request.subject, request.rng
    mediation = request.needed["mediation"]
    scenes = np.array([_image(t) for t in drawn])
    first = estimation_half(scenes, rng)
    estimation = [t for t, e in zip(drawn, first, strict=True) if e]
    evaluation = [t for t, e in zip(drawn, first, strict=True) if not e]
    ranked = {stage: ranking(mediation, stage) for stage in CONDITIONS}
    settings = [
        Push(stage, tuple(ranked[stage][:k]), alpha)
        for stage in CONDITIONS
        for k, alpha in product(heads_swept(subject, len(ranked[stage])), ALPHAS[stage])
    ]
    steered = [stage for stage in CONDITIONS if any(s.stage == stage for s in settings)]
    steer = Pushes(subject, steered, estimation)
    request.progress(0, 2)
    swept = steer.moved(estimation, settings)
    best = {stage: _best(stage, settings, swept) for stage in steered}
    others = {
        stage: [
            Push(stage, tuple(heads), best[stage].alpha)
            for heads in matched_heads(best[stage].heads, subject, rng, RANDOM_SETS)
        ]
        for stage in steered
    }
    # All that is asked of an image is asked of one clean run of it: what each setting gives, and the controls.
    request.progress(1, 2)
    asked = dict.fromkeys([NOTHING, *settings])
    for stage in steered:
        asked |= dict.fromkeys([*others[stage], best[stage].away])
    answers = dict(zip(asked, steer.said(evaluation, list(asked)), strict=True))
    described = ids_of(subject, evaluation, [t.described[0].color for t in evaluation])
    right = ids_of(subject, evaluation, [t.answer for t in evaluation])

    tested = np.array([answers[s] == described for s in settings])
    ks = heads_swept(subject, subject.layers * subject.heads)
    alphas = sorted({a for of_stage in ALPHAS.values() for a in of_stage})
    sweep = np.full((len(CONDITIONS), 2, len(ks), len(alphas)), np.nan)
    for half, moved in enumerate((swept, tested)):
        for s, shares in zip(settings, moved, strict=True):
            place = CONDITIONS.index(s.stage), half, ks.index(len(s.heads)), alphas.index(s.alpha)
            sweep[place] = shares.mean()
    moved = np.zeros((len(CONDITIONS), len(CONTROLS), len(evaluation)))
    chosen = np.zeros((3, len(CONDITIONS)))
    chosen[2] = [len(ranked[stage]) for stage in CONDITIONS]
    for stage in steered:
        s = CONDITIONS.index(stage)
        top, best_on_test = best[stage], _best(stage, settings, tested)
        chosen[:2, s] = len(top.heads), top.alpha
        random = np.mean([answers[o] == described for o in others[stage]], 0)
        top, away, peeked = (answers[push] == described for push in (top, top.away, best_on_test))
        moved[s] = top, random, away, peeked
    found = {
        "right": (("trial",), answers[NOTHING] == right),
        "before": (("trial",), answers[NOTHING] == described),
        "scene": (("trial",), scenes[~first]),
        "side": (("trial",), [side_of(t.scene, t.target) for t in evaluation]),
    }
    return xr.Dataset(
        found
        | {
            "sweep": (("stage", "half", "k", "alpha"), sweep),
            "moved": (("stage", "control", "trial"), moved),
            "chosen_k": (("stage",), chosen[0]),
            "chosen_alpha": (("stage",), chosen[1]),
            "heads": (("stage",), chosen[2]),
        },
        {
            "stage": list(CONDITIONS),
            "half": ["estimation", "evaluation"],
            "k": list(ks),
            "alpha": alphas,
            "control": list(CONTROLS),
        },
    )


def _image(trial: Trial) -> str:
    """What a trial's interval is clustered by: a photograph and its mirror image are one."""
    return getattr(trial.scene.setting, "digest", trial.scene.key)


def _best(stage: str, settings: list[Push], moved: np.ndarray) -> Push:
    """The setting of a stage that moves most answers, the first of equals; `moved` [setting, n]."""
    of_stage = [n for n, s in enumerate(settings) if s.stage == stage]
    return settings[of_stage[int(moved[of_stage].mean(1).argmax())]]


def read_images(folder: Path) -> OwnImages:
    """The experiment on a user's photographs, as `harness.stimuli.photographs` reads them.

    Raises:
        harness.stimuli.photographs.NoData: There are none; the message says how to get them.
    """
    scenes = read_photographs(folder, 2 * PHOTOGRAPHS, np.random.default_rng(0))

    def measure_photographs(request: Request) -> xr.Dataset:
        sides = request.rng.integers(2, size=len(scenes)).tolist()
        drawn = [describing(s, side) for s, side in zip(scenes, sides, strict=True)]
        return _measure_pairs(request, drawn[: request.trials])

    return OwnImages(digest_of(scenes), PHOTOGRAPHS, measure_photographs)
