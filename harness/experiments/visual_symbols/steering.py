"""E6: edit the position ID at one of the three stages, and the model names the other object (section 4.2).

IDs are mean activations by side, left or right. Heads come from the mediation experiment; how many, and how
strongly they are pushed, is chosen on the images that the IDs were estimated from, and judged on others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from harness.experiments.editing import Head, rank_heads
from harness.experiments.examples import describe_trials, keep_examples
from harness.experiments.halves import (
    HALF_NAMES,
    Halves,
    draw_unranked_trials,
    list_ranked_scenes,
    note_unranked,
)
from harness.experiments.other_heads import OtherHeads, count_fewest
from harness.experiments.pushes import (
    NO_PUSH,
    Push,
    Pushes,
    choose_push,
    find_best,
    list_settings,
)
from harness.experiments.rivals import find_unnamed_color, tabulate_rivals
from harness.experiments.sweeps import ALPHAS, list_head_counts
from harness.measures.mediation import spell_stage
from harness.measuring.experiment import OwnImages, Request
from harness.stimuli.contrast import CONDITIONS, Condition
from harness.stimuli.photographs import digest_of, read_photographs
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import (
    describe_other_side,
    draw_side_pairs,
    draw_side_triples,
    side_of,
)

CONTROLS = ("top", "random", "away", "best", "best on test")
"""The best heads pushed towards the other side; as many others, in the same layers; the best pushed away. And
the setting that is best on the estimation half, beside, as the public reproduction has it, the one that is best
on the very images it is judged on.

Every image has a set of other heads of its own, so that an interval over images knows that they were drawn."""


@note_unranked
def measure(request: Request) -> xr.Dataset:
    """Sweep on one half of the images, and judge the best setting on the other.

    Returns:
        `sweep` [stage, half, k, alpha]: share that names the described object, NaN where not run; `moved`
        bool [stage, control, trial] on the evaluation half at the chosen setting; `chosen_k`,
        `chosen_alpha`, `heads` [stage], 0 where the stage has no heads, and `others` [stage]: how many others
        are pushed in their place, at least; `right`, `before` bool [trial]:
        without an edit, whether the answer is right and whether it is the described object; `scene`, `side`
        [trial]: of the target. `said`, `predicted`, `asked_scene` as `tabulate_rivals` gives them for every
        stage, of the evaluation half and of `trials` triples (`draw_side_triples`). The attribute `examples`
        keeps the first trials in words.
    """
    return _measure_drawn(request, solids=True)


@note_unranked
def measure_drawn(request: Request) -> xr.Dataset:
    """Sweep and judge as `measure` does, on flat shapes on white."""
    return _measure_drawn(request, solids=False)


def _measure_drawn(request: Request, *, solids: bool) -> xr.Dataset:
    """Steer solids on textured ground, or flat shapes on white, in scenes that ranked no heads."""
    grid, objects, rng = request.subject.grids[2], request.subject.pair_objects, request.rng
    drawn = draw_unranked_trials(
        lambda count: draw_side_pairs(grid, objects, count, rng, solids=solids),
        request.trials,
        list_ranked_scenes(request.needed["mediation"]),
    )
    triples = draw_side_triples(grid, objects, request.trials, rng, solids=solids)
    return _measure_pairs(request, drawn, triples)


@dataclass(frozen=True)
class ChosenSetting:
    """What is judged of one stage.

    Attributes:
        push: The gentlest setting that is as good as the best one on the estimation half.
        others: The same push of as many other heads of the same layers, drawn anew for each image from those
            that matter for no stage.
    """

    push: Push
    others: Push


def _measure_pairs(request: Request, drawn: list[Trial], triples: list[Trial]) -> xr.Dataset:
    subject, rng, mediation = request.subject, request.rng, request.needed["mediation"]
    halves = Halves.deal(np.array([_find_image(t) for t in drawn]), rng)
    estimation, evaluation = halves.split(drawn)
    ranked = {stage: rank_heads(mediation, stage) for stage in CONDITIONS}
    settings = list_settings(subject, ranked)
    steered = [stage for stage in CONDITIONS if any(s.stage == stage for s in settings)]
    pushes = Pushes(subject, steered, estimation)
    request.progress(0, 2)
    swept = pushes.moved(estimation, settings)
    gentle = {
        stage: choose_push(stage, settings, swept, halves.scenes[halves.first]) for stage in steered
    }
    scenes = halves.scenes[halves.second]
    chosen = {
        stage: ChosenSetting(
            push, _draw_others(push, OtherHeads.find(mediation, stage), scenes, rng)
        )
        for stage, push in gentle.items()
    }
    request.progress(1, 2)
    answers = _ask_all(pushes, evaluation, settings, chosen.values())
    described = np.array([t.described[0].color for t in evaluation])
    right = np.array([t.answer for t in evaluation])
    tested = np.array([answers[s] == described for s in settings])
    moved = {push: answer == described for push, answer in answers.items()}
    ks = list(list_head_counts(subject, subject.layers * subject.heads))
    alphas: list[float] = sorted({a for of_stage in ALPHAS.values() for a in of_stage})
    return xr.Dataset(
        {
            "right": (("trial",), answers[NO_PUSH] == right),
            "before": (("trial",), moved[NO_PUSH]),
            "scene": (("trial",), scenes),
            "side": (("trial",), [side_of(t.scene, t.target) for t in evaluation]),
            "sweep": _tabulate_sweep(settings, (swept, tested), ks, alphas),
            "moved": _tabulate_controls(chosen, settings, (swept, tested), moved),
            **_tabulate_choice(ranked, chosen),
            **_ask_triples(pushes, gentle, answers, evaluation, triples),
        },
        {
            "stage": list(CONDITIONS),
            "half": list(HALF_NAMES),
            "k": ks,
            "alpha": alphas,
            "control": list(CONTROLS),
        },
        keep_examples(
            describe_trials(
                evaluation,
                {"as it is": answers[NO_PUSH]}
                | {
                    f"{spell_stage(stage)} pushed to the other side": answers[of_stage.push]
                    for stage, of_stage in chosen.items()
                },
            )
        ),
    )


def _find_image(trial: Trial) -> str:
    """What a trial's interval is clustered by: a photograph and its mirror image are one."""
    return getattr(trial.scene.setting, "digest", trial.scene.key)


def _draw_others(
    push: Push, others: OtherHeads, scenes: NDArray[np.str_], rng: np.random.Generator
) -> Push:
    """The same push of other heads, drawn anew for each of the scenes [n]."""
    labels, numbers = np.unique(scenes, return_inverse=True)
    sets = others.draw(push.heads, rng, len(labels))
    by_trial = tuple(tuple(sorted(sets[number])) for number in numbers.tolist())
    return Push(push.stage, (), push.alpha, by_trial)


def _ask_triples(
    pushes: Pushes,
    best: Mapping[Condition, Push],
    answers: Mapping[Push, NDArray[np.str_]],
    evaluation: list[Trial],
    triples: list[Trial],
) -> xr.Dataset:
    """What is said under the chosen push of every stage beside what rivals predict, of pairs and of triples."""
    asked = [*evaluation, *triples]
    every = [NO_PUSH, *best.values()]
    of_triples = dict(zip(every, pushes.said(triples, every), strict=True)) if triples else {}
    both = {
        push: np.concatenate([answers[push], of_triples[push]]) if triples else answers[push]
        for push in every
    }
    said = np.array([both[best.get(stage, NO_PUSH)] for stage in CONDITIONS])
    predicted = [_predict(asked, stage) | {"nothing": both[NO_PUSH]} for stage in CONDITIONS]
    scenes = np.array([_find_image(t) for t in asked])
    return tabulate_rivals(said, ("stage", list(CONDITIONS)), predicted, scenes)


def _predict(asked: Sequence[Trial], stage: Condition) -> dict[str, ArrayLike]:
    """What each explanation predicts of the answers to pairs and triples, pushed at a stage: words [n] each.

    In a pair the object on the other side is the named one. A triple has an unnamed one there. ID retrieval is
    edited at the mention of the named object: in a triple, that leaves open which of the two others is named.
    """
    other = []
    for trial in asked:
        across = [o for o in trial.scene.objects if side_of(trial.scene, o) != _own_side(trial)]
        alone = len(trial.scene) == 2 or stage != "id_retrieval"
        other.append(across[0].color if alone else "")
    named = [t.described[0].color for t in asked]
    return {
        "relative": other,
        "absolute": other,
        "ordinal": named,
        "content": [find_unnamed_color(t) for t in asked],
        "copying": named,
    }


def _own_side(trial: Trial) -> int:
    return side_of(trial.scene, trial.target)


def _ask_all(
    pushes: Pushes,
    evaluation: list[Trial],
    settings: Sequence[Push],
    chosen: Iterable[ChosenSetting],
) -> dict[Push, NDArray[np.str_]]:
    """The answers to the images of the evaluation half under every push, words [n] each.

    All is asked of one clean run of each image: no push, every setting, and the controls of the chosen ones.
    """
    asked = dict.fromkeys([NO_PUSH, *settings])
    for of_stage in chosen:
        asked |= dict.fromkeys([of_stage.others, of_stage.push.away])
    return dict(zip(asked, pushes.said(evaluation, list(asked)), strict=True))


def _tabulate_sweep(
    settings: Sequence[Push],
    moved: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    ks: Sequence[int],
    alphas: Sequence[float],
) -> xr.Variable:
    """Share of answers moved by each setting [stage, half, k, alpha]; NaN where there is no such setting.

    Args:
        settings: All that were tried.
        moved: Which answers each of them moved in the two halves, bool [setting, n] each.
        ks: All numbers of heads.
        alphas: All strengths.
    """
    shares = np.full((len(CONDITIONS), len(moved), len(ks), len(alphas)), np.nan)
    for half, of_half in enumerate(moved):
        for s, answers in zip(settings, of_half, strict=True):
            place = CONDITIONS.index(s.stage), half, ks.index(len(s.heads)), alphas.index(s.alpha)
            shares[place] = answers.mean()
    return xr.Variable(("stage", "half", "k", "alpha"), shares)


def _tabulate_controls(
    chosen: Mapping[Condition, ChosenSetting],
    settings: Sequence[Push],
    halves: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    moved: Mapping[Push, NDArray[np.bool_]],
) -> xr.Variable:
    """Answers moved by the chosen push and by its controls [stage, control, trial]; 0 for stages without heads.

    Args:
        chosen: For each stage that has heads.
        settings: All that were tried.
        halves: Whether each of them moved each answer of the two halves, bool [setting, trial] each.
        moved: The same for every push that was asked of the evaluation half, by push.
    """
    found = np.zeros((len(CONDITIONS), len(CONTROLS), len(moved[NO_PUSH])), bool)
    for stage, of_stage in chosen.items():
        best, best_on_test = (find_best(stage, settings, half) for half in halves)
        top = of_stage.push
        pushes = (top, of_stage.others, top.away, best, best_on_test)
        found[CONDITIONS.index(stage)] = [moved[push] for push in pushes]
    return xr.Variable(("stage", "control", "trial"), found)


def _tabulate_choice(
    ranked: Mapping[Condition, Sequence[Head]], chosen: Mapping[Condition, ChosenSetting]
) -> dict[str, tuple[tuple[str], NDArray[np.float64]]]:
    """How many heads were pushed, how strongly, how many there are, and of others, float64 [stage] each."""
    others = [count_fewest(chosen[s].others.by_trial) if s in chosen else 0 for s in CONDITIONS]
    pushes = [chosen[s].push if s in chosen else NO_PUSH for s in CONDITIONS]
    return {
        "chosen_k": (("stage",), np.array([len(p.heads) for p in pushes], float)),
        "chosen_alpha": (("stage",), np.array([p.alpha for p in pushes], float)),
        "heads": (("stage",), np.array([len(ranked[s]) for s in CONDITIONS], float)),
        "others": (("stage",), np.array(others, float)),
    }


def read_images(folder: Path, trials: int) -> OwnImages:
    """The experiment on a user's photographs, as `harness.stimuli.photographs` reads them.

    Args:
        folder: Where they are.
        trials: How many are asked about, if there are as many.

    Raises:
        harness.stimuli.photographs.NoData: There are none; the message says how to get them.
    """
    scenes = read_photographs(folder, 2 * trials, np.random.default_rng(0))

    @note_unranked
    def measure_photographs(request: Request) -> xr.Dataset:
        sides = request.rng.integers(2, size=len(scenes)).tolist()
        drawn = [describe_other_side(s, side) for s, side in zip(scenes, sides, strict=True)]
        shown = request.subject.add_words(o.color for s in scenes for o in s.objects)
        return _measure_pairs(replace(request, subject=shown), drawn[: request.trials], [])

    return OwnImages(digest_of(scenes), min(trials, len(scenes)), measure_photographs)
