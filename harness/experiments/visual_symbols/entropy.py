"""E9: where objects share features, IDs are less accurate, and binding errors appear (section 4.5).

Four sets of scenes, 2x2 and 3x3, with all features distinct (high entropy) or few of each (low). And of every
wrong answer it is asked whether it is the color at the position that the last token points to: that tells more
than a correlation over sets. Answers are judged by their first word, the color (protocol, 6.4): guessing among
the three colors of a crowded scene is right in one case of three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from harness.experiments.editing import captured, ids_of, said_from
from harness.measures.probes import nearest_mean
from harness.measures.similarity import cosine_rsm, peak, position_rsm, rsa_draws
from harness.measuring.measuring import Experiment, Progress
from harness.statistics.clusters import cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, difference, proportion
from harness.statistics.halves import DRAWS, estimation_half
from harness.statistics.looks import confidence
from harness.stimuli.design import entropy_trials
from harness.stimuli.prompt import Trial
from harness.subjects.subject import Batch, Subject

SETS = ("high 2x2", "low 2x2", "high 3x3", "low 3x3")
PLACES = ("mentions", "last")
WINDOW = 5
"""Consecutive layers that are averaged, as the published bars do (protocol, E9)."""


def run(subject: Subject, trials: int, rng: np.random.Generator, progress: Progress) -> xr.Dataset:
    """Similarity and answers on all four sets.

    Returns:
        `r` [set, place, half, layer], `r_draws` [set, place, draw, layer] on the evaluation half; `right`
        bool [set, trial]; `scene` [set, trial]; `pointed`, `named` [trial] on the 3x3 set of low entropy:
        the color in the cell that the last token is decoded to, and the color said, "" where it is none of
        the scene's; `reads`: share of held-out high-entropy trials decoded to the target.
    """
    shape = (len(SETS), len(PLACES), 2, subject.layers)
    r, draws = np.zeros(shape), np.zeros((*shape[:2], DRAWS, subject.layers))
    right, scenes, sizes = [], [], []
    kept: dict[str, tuple[list[Trial], torch.Tensor, np.ndarray, np.ndarray]] = {}
    for s, name in enumerate(SETS):
        progress(s, len(SETS))
        entropy, size = name.split()
        grid = subject.grids[int(size[0])]
        drawn = entropy_trials(grid, entropy, trials, rng)
        read = captured(subject, drawn, "residual", _commas_and_last)
        answers = said_from(subject, read[-1, :, -1])
        states = read.numpy()
        right.append(answers == ids_of(subject, drawn, [t.answer for t in drawn]))
        shown = np.array([t.scene.key for t in drawn])
        scenes.append(shown)
        first = estimation_half(shown, rng)
        sizes.append(((~first).sum(), len(np.unique(shown[~first]))))
        where = {
            "mentions": np.array(
                [[grid.centre(t.scene.cell_of(o)) for o in t.described] for t in drawn]
            ).transpose(1, 0, 2),
            "last": np.array([grid.centre(t.scene.cell_of(t.target)) for t in drawn])[None],
        }
        for p, place in enumerate(PLACES):
            read = states[:, :, :-1] if place == "mentions" else states[:, :, -1:]
            model, truth = cosine_rsm(read.transpose(0, 2, 1, 3)), position_rsm(where[place])
            for h, half in enumerate((first, ~first)):
                chosen = np.flatnonzero(half)
                part = np.ix_(range(model.shape[0]), range(model.shape[1]), chosen, chosen)
                target = truth[:, chosen][:, :, chosen]
                ones = np.ones((1, len(chosen)), int)
                r[s, p, h] = rsa_draws(model[part], target, ones, shown[chosen])[0]
            weights = cluster_weights(shown[~first], DRAWS, rng)
            draws[s, p] = rsa_draws(model[part], target, weights, shown[~first])
        cells = np.array([grid.cells.index(t.scene.cell_of(t.target)) for t in drawn])
        kept[name] = (drawn, states[:, :, -1], cells, np.array(first))
        if name == "low 3x3":
            colors = _colors_said(subject, drawn, answers)
    pointed, reads = _pointed(kept["high 3x3"], kept["low 3x3"])
    crowded = kept["low 3x3"][0]
    return xr.Dataset(
        {
            "r": (("set", "place", "half", "layer"), r),
            "r_draws": (("set", "place", "draw", "layer"), draws),
            "right": (("set", "trial"), np.array(right)),
            "scene": (("set", "trial"), np.array(scenes)),
            "n": (("set",), [n for n, _ in sizes]),
            "scenes": (("set",), [c for _, c in sizes]),
            "pointed": (("trial",), _colors_pointed(crowded, pointed)),
            "named": (("trial",), colors),
            "reads": reads,
        },
        {
            "set": list(SETS),
            "place": list(PLACES),
            "half": ["estimation", "evaluation"],
            "layer": np.arange(subject.layers),
        },
    )


def _commas_and_last(batch: Batch) -> torch.Tensor:
    return torch.tensor([[*row, batch.last] for row in batch.separators])


def _colors_said(subject: Subject, trials: list[Trial], answers: np.ndarray) -> np.ndarray:
    """The color that each answer begins with, "" if it is none of the scene's."""
    found = []
    for trial, token in zip(trials, answers, strict=True):
        begins = {subject.answer_id(trial.prompt, o.color): o.color for o in trial.scene.objects}
        found.append(begins.get(int(token), ""))
    return np.array(found)


def _colors_pointed(trials: list[Trial], cells: np.ndarray) -> np.ndarray:
    """The color of what is in the cell that each trial points to."""
    return np.array(
        [t.scene.at(t.scene.grid.cells[c]).color for t, c in zip(trials, cells, strict=True)]
    )


def _pointed(high, low) -> tuple[np.ndarray, float]:
    """Decode the low-entropy trials by the means of the high-entropy ones; the layer is chosen on these."""
    _, states, cells, first = high
    shares = [
        float((nearest_mean(layer[first], cells[first], layer[~first]) == cells[~first]).mean())
        for layer in states
    ]
    best = int(np.argmax(shares))
    return nearest_mean(states[best], cells, low[1][best]), shares[best]


ENTROPY = Experiment("entropy", run, trials=160)


@dataclass(frozen=True)
class Entropy:
    """Reading of the four sets. Grids are "2x2" and "3x3", places "mentions" and "last"."""

    data: xr.Dataset

    def position_gap(self, grid: str, place: str) -> Estimate:
        """Position RSA with high less that with low entropy, mean over five layers at each one's peak."""
        (a, a_draws, n, c), (b, b_draws, m, d) = (
            self._strength(f"{e} {grid}", place) for e in ("high", "low")
        )
        return self._drawn(a - b, a_draws - b_draws, min(n, m), min(c, d))

    def position_ratio(self, grid: str, place: str) -> Estimate:
        """Position RSA with low as a share of that with high entropy, as above."""
        (a, a_draws, n, c), (b, b_draws, m, d) = (
            self._strength(f"{e} {grid}", place) for e in ("high", "low")
        )
        tail = (1 - confidence()) / 2
        known = np.isfinite(a_draws).all()
        low, high = np.quantile(a_draws, (tail, 1 - tail)) if known else (0, 0)
        if low <= 0.1:
            make = Estimate.absent if high < 0.1 else Estimate.unsettled
            return make(
                f"position is {'not ' if high < 0.1 else 'not surely '}represented with high entropy either "
                f"(r = {a:.2f}), so there is nothing to lose",
                n=min(n, m),
                clusters=min(c, d),
            )
        return self._drawn(b / a, b_draws / a_draws, min(n, m), min(c, d))

    def accuracy(self, which: str) -> Estimate:
        """Share of right colors on "high 3x3" and so on."""
        chosen = self.data.sel(set=which)
        return proportion(chosen.right.values.astype(bool), chosen.scene.values)

    def accuracy_gap(self, grid: str) -> Estimate:
        """Accuracy with high less that with low entropy; the sets are independent."""
        rng = np.random.default_rng(0)
        values, draws, sizes = [], [], []
        for entropy in ("high", "low"):
            chosen = self.data.sel(set=f"{entropy} {grid}")
            right, scenes = chosen.right.values.astype(float), chosen.scene.values
            weights = cluster_weights(scenes, DRAWS, rng)
            values.append(right.mean())
            draws.append((weights @ right) / weights.sum(1))
            sizes.append((len(right), len(np.unique(scenes))))
        n, clusters = (min(x) for x in zip(*sizes, strict=True))
        return from_draws(values[0] - values[1], draws[0] - draws[1], n=n, clusters=clusters)

    def errors_predicted(self) -> Estimate:
        """Among wrong answers: how much more often than by chance is it the color pointed to?

        By chance is with what the other wrong trials point to.
        """
        low = self.data.sel(set="low 3x3")
        wrong = ~low.right.values.astype(bool) & (self.data.named.values != "")
        scenes, count = low.scene.values[wrong], int(wrong.sum())
        clusters = len(np.unique(scenes))
        if clusters < MINIMUM_CLUSTERS:
            return Estimate.inapplicable(
                f"{count} of {len(wrong)} answers are binding errors: too few to predict",
                n=count,
                clusters=clusters,
            )
        pointed, named = self.data.pointed.values[wrong], self.data.named.values[wrong]
        hit = pointed == named
        chance = np.array([(np.delete(pointed, i) == named[i]).mean() for i in range(count)])
        return difference(hit.astype(float), chance, scenes)

    def _strength(self, which: str, place: str) -> tuple[float, np.ndarray, int, int]:
        chosen = self.data.sel(set=which, place=place)
        curve = chosen.r.sel(half="estimation").values
        middle = peak(curve)
        first = int(np.clip(middle - WINDOW // 2, 0, max(0, len(curve) - WINDOW)))
        window = slice(first, first + WINDOW)
        return (
            float(chosen.r.sel(half="evaluation").values[window].mean()),
            chosen.r_draws.values[:, window].mean(1),
            int(chosen.n),
            int(chosen.scenes),
        )

    @staticmethod
    def _drawn(value: float, draws: np.ndarray, n: int, clusters: int) -> Estimate:
        if not np.isfinite(draws).all():
            return Estimate.unsettled(
                f"draws of {clusters} scenes have no variation to correlate: raise --trials",
                n=n,
                clusters=clusters,
            )
        return from_draws(value, draws, n=n, clusters=clusters)
