"""E9: where objects share features, IDs are less accurate, and binding errors appear (section 4.5).

Four sets of scenes, 2x2 and 3x3, with all features distinct (high entropy) or few of each (low). And of every
wrong answer it is asked whether it is the object at the position that the last token points to: that tells
more than a correlation over sets. Answers are written out, and color and shape must be right: published
accuracies lie below the third that guessing among three colors gives. Of a subject that says no shape, color
alone is judged. The paper reads positions of mentions at the commas; here also at the nouns and the colors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.correlating import Comparison
from harness.experiments.decoding import CellDecoder
from harness.experiments.halves import HALF_NAMES, Halves, list_scenes
from harness.experiments.mentions import capture_mentions, compare_states
from harness.experiments.naming import Named, Scoring, name_objects, tells_shapes
from harness.experiments.targets import compare_mentions, compare_targets, number_cells
from harness.measuring.experiment import Request
from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.halves import DRAWS
from harness.stimuli.design import draw_entropy_trials
from harness.stimuli.prompt import Trial
from harness.subjects.subject import Subject

ENTROPY_SETS = ("high 2x2", "low 2x2", "high 3x3", "low 3x3")


@dataclass(frozen=True)
class MeasuredSet:
    """What was measured on one set of scenes.

    Attributes:
        trials: n of them.
        halves: Of the trials.
        named: The object that each answer names, n of them.
        states: The residual stream at the last token, float32 [L, n, d].
        places: The tokens where position is looked for: those of mentions, and "last".
        r: Correlation with position, [place, half, L].
        draws: The same in bootstrap draws of the evaluation half, [place, D, L].
    """

    trials: list[Trial]
    halves: Halves
    named: list[Named]
    states: NDArray[np.float32]
    places: tuple[str, ...]
    r: NDArray[np.float64]
    draws: NDArray[np.float64]

    @property
    def evaluation_scenes(self) -> NDArray[np.str_]:
        """The scenes of the trials of the evaluation half."""
        return self.halves.scenes[self.halves.second]

    def find_right(self, scoring: Scoring) -> NDArray[np.bool_]:
        """Which answers are right, bool [n]."""
        return scoring.label(self.named) == scoring.label_targets(self.trials)


def measure(request: Request) -> xr.Dataset:
    """Measure on all four sets of scenes how position is represented and which answers are right.

    Returns:
        `r` [set, place, half, layer], `r_draws` [set, place, draw, layer] on the evaluation half; `right`,
        `right_color` bool [set, trial]: whether the object and whether its color is right; `scene` [set,
        trial]; `n`, `scenes` [set]: trials of the evaluation half, and how many scenes they show; `pointed`,
        `named` [trial] on the 3x3 set of low entropy: what stands in the cell that the last token is decoded
        to, and what is named, "" where it is nothing of the scene; `held`, `decoded` bool [trial] on the 3x3
        set of high entropy: which trials test the decoder, and which of them it decodes to the target. The
        attribute `scored` says what of an answer was compared.
    """
    subject = request.subject
    found: dict[str, MeasuredSet] = {}
    for done, name in enumerate(ENTROPY_SETS):
        request.progress(done, len(ENTROPY_SETS))
        entropy, size = name.split()
        drawn = draw_entropy_trials(
            subject.grids[int(size[0])], entropy, request.trials, request.rng
        )
        found[name] = _measure_set(subject, drawn, request.rng)
    sets, clear, crowded = list(found.values()), found["high 3x3"], found["low 3x3"]
    scoring = Scoring(tells_shapes(clear.named))
    decoder = CellDecoder.learn(
        clear.states,
        number_cells(clear.trials),
        clear.find_right(scoring),
        clear.halves,
        request.rng,
    )
    pointed = scoring.label_cells(crowded.trials, decoder.decode(crowded.states))
    by_color = Scoring(shapes=False)
    return xr.Dataset(
        {
            "r": (("set", "place", "half", "layer"), np.stack([s.r for s in sets])),
            "r_draws": (("set", "place", "draw", "layer"), np.stack([s.draws for s in sets])),
            "right": (("set", "trial"), np.array([s.find_right(scoring) for s in sets])),
            "right_color": (("set", "trial"), np.array([s.find_right(by_color) for s in sets])),
            "scene": (("set", "trial"), np.array([s.halves.scenes for s in sets])),
            "n": (("set",), [len(s.evaluation_scenes) for s in sets]),
            "scenes": (("set",), [len(np.unique(s.evaluation_scenes)) for s in sets]),
            "pointed": (("trial",), pointed),
            "named": (("trial",), _keep_shown(crowded, scoring)),
            "held": (("trial",), decoder.held),
            "decoded": (("trial",), decoder.found),
        },
        {
            "set": list(ENTROPY_SETS),
            "place": list(clear.places),
            "half": list(HALF_NAMES),
            "layer": np.arange(subject.layers),
        },
        {"scored": scoring.scored},
    )


def _measure_set(subject: Subject, drawn: list[Trial], rng: np.random.Generator) -> MeasuredSet:
    states = capture_mentions(subject, drawn)
    halves = Halves.deal(list_scenes(drawn), rng)
    # One set of draws for all tokens of mentions, so that they are compared on the same scenes.
    of_mentions, of_last = (
        draw_cluster_weights(halves.scenes[halves.second], DRAWS, rng) for _ in range(2)
    )
    r, draws = [], []
    for place, read in states.items():
        truth = compare_targets(drawn) if place == "last" else compare_mentions(drawn)
        compared = Comparison(compare_states(read), truth, halves.scenes)
        first, second = compared.select(halves.first), compared.select(halves.second)
        r.append([first.correlate(), second.correlate()])
        draws.append(second.resample(of_last if place == "last" else of_mentions))
    return MeasuredSet(
        drawn,
        halves,
        name_objects(subject, drawn),
        states["last"][:, :, 0],
        tuple(states),
        np.array(r),
        np.array(draws),
    )


def _keep_shown(crowded: MeasuredSet, scoring: Scoring) -> NDArray[np.str_]:
    """What is named, "" where the scene shows nothing of that name."""
    shown = [
        set(scoring.label([Named(o.color, o.shape) for o in t.scene.objects]))
        for t in crowded.trials
    ]
    named = scoring.label(crowded.named).tolist()
    return np.array([n if n in s else "" for n, s in zip(named, shown, strict=True)])
