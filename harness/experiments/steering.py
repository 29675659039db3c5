"""E6: edit the position ID at one of the three stages, and the model names the other object (section 4.2).

IDs are mean activations by side, left or right. Heads come from the mediation experiment; how many, and how
strongly they are pushed, is chosen on the images that the IDs were estimated from, and judged on others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from harness.experiments.editing import (
    Head,
    beyond_controls,
    captured,
    head_edits,
    ids_of,
    last_token,
    matched_heads,
    mean_by,
    mention_tokens,
    ranking,
    said,
)
from harness.experiments.halves import estimation_half
from harness.experiments.measuring import Experiment, Progress
from harness.experiments.mediation import MEDIATION
from harness.experiments.sweeps import ALPHAS, heads_swept
from harness.judging.stats import Estimate, difference, proportion
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.photographs import digest_of, read_photographs
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import SIDES, describing, side_of, side_pairs
from harness.subjects.subject import Subject
from harness.tracing.site import Kind

KIND: dict[str, Kind] = {
    "id_retrieval": "head",
    "id_selection": "head",
    "feature_retrieval": "query",
}
"""What is edited at each stage; queries before rotation, as the paper has keys (section 4.2)."""

RANDOM_SETS = 5
CONTROLS = ("top", "random", "away", "best on test")
"""The best heads pushed towards the other side; as many others, in the same layers; the best pushed away; and,
as the public reproduction did, the setting that is best on the very images it is judged on."""


def draw_pairs(
    subject: Subject, trials: int, rng: np.random.Generator, *, solids: bool
) -> list[Trial]:
    """Pairs as the subject can be shown them: solids on textured ground, or flat shapes on white."""
    return side_pairs(subject.grids[2], HIGH_ENTROPY[3], trials, rng, solids=solids)


def run(
    subject: Subject,
    trials: int,
    rng: np.random.Generator,
    progress: Progress,
    mediation: xr.Dataset,
    *,
    solids: bool = True,
    drawn: list[Trial] | None = None,
) -> xr.Dataset:
    """Sweep on one half of the images, and judge the best setting on the other.

    Returns:
        `sweep` [stage, half, k, alpha]: share that names the described object, NaN where not run; `moved`
        bool [stage, control, trial] on the evaluation half at the chosen setting; `chosen_k`,
        `chosen_alpha`, `heads` [stage], 0 where the stage has no heads; `right`, `before` bool [trial]:
        without an edit, whether the answer is right and whether it is the described object; `scene`, `side`
        [trial]: of the target.
    """
    drawn = drawn or draw_pairs(subject, trials, rng, solids=solids)
    scenes = np.array([_image(t) for t in drawn])
    first = estimation_half(scenes, rng)
    estimation = [t for t, e in zip(drawn, first, strict=True) if e]
    evaluation = [t for t, e in zip(drawn, first, strict=True) if not e]
    untouched = said(subject, evaluation)[0]
    named = [t.described[0].colour for t in evaluation]
    found = {
        "right": (
            ("trial",),
            untouched == ids_of(subject, evaluation, [t.answer for t in evaluation]),
        ),
        "before": (("trial",), untouched == ids_of(subject, evaluation, named)),
        "scene": (("trial",), scenes[~first]),
        "side": (("trial",), [side_of(t.scene, t.target) for t in evaluation]),
    }
    ks = heads_swept(subject, subject.layers * subject.heads)
    alphas = sorted({a for swept in ALPHAS.values() for a in swept})
    sweep = np.full((len(CONDITIONS), 2, len(ks), len(alphas)), np.nan)
    moved = np.zeros((len(CONDITIONS), len(CONTROLS), len(evaluation)))
    chosen = np.zeros((3, len(CONDITIONS)))
    for s, stage in enumerate(CONDITIONS):
        progress(s, len(CONDITIONS))
        heads = ranking(mediation, stage)
        settings = [(k, a) for k, a in product(heads_swept(subject, len(heads)), ALPHAS[stage])]
        chosen[2, s] = len(heads)
        if not settings:
            continue
        steer = _Steering(subject, stage, estimation)
        for half, part in enumerate((estimation, evaluation)):
            shares = steer.moved(part, [(heads[:k], a) for k, a in settings]).mean(1)
            for (k, a), share in zip(settings, shares, strict=True):
                sweep[s, half, ks.index(k), alphas.index(a)] = share
            if half == 0:
                best = settings[int(shares.argmax())]
        k, alpha = best
        test_k, test_alpha = settings[int(shares.argmax())]
        chosen[:2, s] = k, alpha
        others = matched_heads(heads[:k], subject, rng, RANDOM_SETS)
        sets = [
            (heads[:k], alpha),
            (heads[:k], -alpha),
            (heads[:test_k], test_alpha),
            *((o, alpha) for o in others),
        ]
        top, away, tested, *random = steer.moved(evaluation, sets).astype(float)
        moved[s] = top, np.mean(random, 0), away, tested
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


class _Steering:
    """The IDs of one stage, estimated, and edits with them."""

    def __init__(self, subject: Subject, stage: str, estimation: list[Trial]) -> None:
        self.subject, self.kind = subject, KIND[stage]
        self.at_mention = stage == "id_retrieval"
        self.tokens = last_token
        if self.at_mention:
            width = min(len(row[0]) for row in subject.encode(estimation[:64]).mentions)
            self.tokens = mention_tokens(width)
        values = captured(subject, estimation, self.kind, self.tokens)
        self.ids = mean_by(values, self._sides(estimation), SIDES)

    def _sides(self, trials: list[Trial]) -> np.ndarray:
        """Where the object is that the stage's ID points to: the described one, or the target."""
        shown = [t.described[0] if self.at_mention else t.target for t in trials]
        return np.array([side_of(t.scene, o) for t, o in zip(trials, shown, strict=True)])

    def moved(self, trials: list[Trial], settings: list[tuple[list[Head], float]]) -> np.ndarray:
        """Whether the described object's color is named under each (heads, alpha): bool [setting, n]."""
        own = torch.from_numpy(self._sides(trials))
        # [L, n, S, H, w]
        shift = (self.ids[1 - own] - self.ids[own]).transpose(0, 1)
        answers = said(
            self.subject,
            trials,
            lambda batch, part: [
                head_edits(self.kind, heads, self.tokens(batch), alpha * shift[:, part], "add")
                for heads, alpha in settings
            ],
        )
        return answers == ids_of(self.subject, trials, [t.described[0].colour for t in trials])


def on_photographs(folder: Path) -> Experiment:
    """The experiment on a user's photographs, as `harness.stimuli.photographs` reads them.

    Raises:
        harness.stimuli.photographs.NoData: There are none; the message says how to get them.
    """
    scenes = read_photographs(folder, 2 * PHOTOGRAPHS, np.random.default_rng(0))

    def asked(subject, trials, rng, progress, mediation):
        sides = rng.integers(2, size=len(scenes)).tolist()
        drawn = [describing(s, side) for s, side in zip(scenes, sides, strict=True)]
        return run(subject, trials, rng, progress, mediation, drawn=drawn[:trials])

    return Experiment(f"steering on {digest_of(scenes)}", asked, PHOTOGRAPHS, needs=(MEDIATION,))


PHOTOGRAPHS = 200
"""Images (section 4.2)."""

STEERING = Experiment("steering", run, trials=142, needs=(MEDIATION,))
STEERING_DRAWN = Experiment(
    "steering_drawn", partial(run, solids=False), trials=142, needs=(MEDIATION,)
)


@dataclass(frozen=True)
class Steered:
    """Reading of the steering; stages are named as in mediation."""

    data: xr.Dataset

    def accuracy(self) -> Estimate:
        """Share of the evaluation images answered right without an edit."""
        return proportion(self.data.right.values.astype(bool), self.data.scene.values)

    def swapped(self, stage: str) -> Estimate:
        """Share of answers that are the described object's, at the setting chosen on the other half."""
        missing = self._missing(stage)
        if missing:
            return missing
        moved = self.data.moved.sel(stage=stage, control="top").values
        return proportion(moved.astype(bool), self.data.scene.values)

    def specific(self, stage: str) -> Estimate:
        """How much more often than with the stronger of the two controls: other heads, or pushed away."""
        missing = self._missing(stage)
        if missing:
            return missing
        moved = self.data.moved.sel(stage=stage)
        return beyond_controls(
            moved.sel(control="top").values,
            [moved.sel(control=c).values for c in ("random", "away")],
            self.data.side.values,
            self.data.scene.values,
        )

    def optimism(self, stage: str) -> Estimate:
        """How much higher the share is at the setting that is best on the very images it is judged on."""
        missing = self._missing(stage)
        if missing:
            return missing
        moved = self.data.moved.sel(stage=stage)
        best, top = (moved.sel(control=c).values for c in ("best on test", "top"))
        return difference(best, top, self.data.scene.values)

    def _missing(self, stage: str) -> Estimate | None:
        if int(self.data.heads.sel(stage=stage)):
            return None
        scenes = self.data.scene.values
        return Estimate.absent(
            "no head has a positive mediation score for this stage, so there is none to steer",
            n=len(scenes),
            clusters=len(np.unique(scenes)),
        )
