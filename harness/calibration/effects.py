"""Published effects as simulated measurements: what a run would estimate if a published value were true.

For each claim with published values, the kind of quantity that it judges, and how many trials of its experiment
judge it. What a paper does not print is assumed, and `ASSUMPTIONS` says what.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.calibration.bases import (
    CLEAR_ACCURACY,
    CLEAR_POSITION,
    COUNTS_WITHOUT_TOP,
    CROWDED_BEFORE,
    SPACE_BEFORE,
)
from harness.calibration.judged import Judged
from harness.calibration.row_effects import LEFT_SHAPES, LEFT_SQUARES, PROBABLE
from harness.calibration.spreads import read_spreads
from harness.readings.reading import estimate_drawn
from harness.readings.visual_symbols.entropy import PRESENT
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate, mean, proportion
from harness.statistics.halves import DRAWS, draw_estimation_half
from harness.statistics.shares import add_shares, subtract_shares
from harness.stimuli.blocks import draw_transplants
from harness.stimuli.contrast import draw_contrasts
from harness.stimuli.design import EVERY_OBJECT, HIGH_ENTROPY, draw_entropy_trials
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import (
    draw_color_questions,
    draw_counting_questions,
    draw_spatial_questions,
)
from harness.stimuli.scene import PAPER_GRIDS

LOST = 0.05
"""Share of right answers that an edit turns wrong while it turns more of the wrong ones right.

Assumed. No paper prints before and after trial by trial. Where nearly all is right before (Figure 5: Qwen2-VL,
two relations of Qwen2.5-VL-3B; the reproduction of Table 1 on Qwen2.5-VL-7B) at most 1 in 100 right answers can
have been lost; more are where an edit breaks something.
"""

SCORE_SPREAD = 0.2
"""Standard deviation over trials of a head's mediation score in logits, at least.

Assumed, about as large as the published means of ID retrieval (0.144 to 0.44): a patch that works in some
trials and not in others varies by as much as its mean. Higher scores vary more, see
`harness.calibration.spreads`.
"""

ASSUMPTIONS = (
    "trials of one scene answer independently of each other, and the same prompt on the same scene alike",
    f"an edit that turns wrong answers right turns {LOST:.0%} of the right ones wrong",
    f"a head's score varies by {SCORE_SPREAD} logits from trial to trial, or by {{share_of_score}} of itself "
    "if that is more (measured on embedded subjects and the control planted)",
    "a correlation, or a difference of two, has a standard error of {correlation} over the root of the judged "
    "trials (largest of the same subjects)",
    "the head that carries a stage is the one that the other half of the trials chooses",
    "photographs show a scene of their own each, and all of them can be listed",
    "probabilities of words are 0 or 1 in each trial, questions about rows show a row of their own each, and "
    "onsets are known to a layer",
)
"""What the powers rest on besides published values; the spreads are to be filled in."""


Draw = Callable[[float, float, Judged, np.random.Generator], Estimate]
"""Simulates one estimate: from the published value, what it was before or is compared with, and the trials."""


@dataclass(frozen=True)
class Effect:
    """What a claim with published values judges.

    Attributes:
        experiment: Name of the experiment that measures it.
        draw: Simulates an estimate if a value is true.
        base: For each subject the published number that the value is a change of; what it is, each kind says.
        one_in: How many trials of the experiment there are for one that judges, each of which shows a scene of
            its own; 0 if the experiment tells which judge.
    """

    experiment: str
    draw: Draw
    base: Mapping[str, float] = field(default_factory=dict)
    one_in: int = 0

    def draw_judged(self, trials: int) -> Judged:
        """The trials that judge, of so many of the experiment."""
        if self.one_in:
            return _judge_images(trials // self.one_in)
        # Both sets of scenes are judged whole: which answers are right needs no layer to be chosen.
        return draw_judged("accuracy" if self.draw is draw_fall else self.experiment, trials)

    @property
    def exact(self) -> bool:
        """Whether the estimate follows from a count of right answers alone where each trial has its scene."""
        return self.draw is draw_share


def draw_share(value: float, base: float, judged: Judged, rng: np.random.Generator) -> Estimate:
    """A share of answers, as `proportion` estimates it."""
    return proportion(judged.answer(value, rng), judged.scenes.tolist())


def draw_gain(value: float, base: float, judged: Judged, rng: np.random.Generator) -> Estimate:
    """A share of right answers with an edit less that without; `base` is the share without."""
    lost = max(0.0, min(LOST * base, 1 - base - value))
    kinds = rng.random(int(judged.items.max()) + 1)[judged.items]
    before = kinds < base
    # Of those right before a part is lost; of those wrong before as many more are won.
    after = np.where(before, kinds >= lost, kinds < base + value + lost)
    return subtract_shares(after, before, judged.scenes.tolist())


def draw_fall(value: float, base: float, judged: Judged, rng: np.random.Generator) -> Estimate:
    """A share in one set of scenes less that in another set; `base` is the share in the first."""
    n = len(judged.items)
    # Each trial has its own scene.
    first, second = (proportion(rng.random(n) < p, range(n)) for p in (base, base - value))
    return add_shares([(1, first), (-1, second)], n=n, clusters=n)


def draw_score(value: float, base: float, judged: Judged, rng: np.random.Generator) -> Estimate:
    """The mean score of a head, in logits."""
    spread = max(SCORE_SPREAD, read_spreads().share_of_score * value)
    return mean(rng.normal(value, spread, len(judged.items)), judged.scenes.tolist())


def draw_correlation(
    value: float, base: float, judged: Judged, rng: np.random.Generator
) -> Estimate:
    """A correlation of similarities, or the difference of two."""
    n, scenes = len(judged.items), len(np.unique(judged.scenes))
    error = read_spreads().correlation / math.sqrt(n)
    found = rng.normal(value, error)
    return from_draws(found, rng.normal(found, error, DRAWS), n=n, clusters=scenes)


def draw_ratio(value: float, base: float, judged: Judged, rng: np.random.Generator) -> Estimate:
    """A correlation as a share of another one, which is `base`; unsettled where that may be absent."""
    n, scenes = len(judged.items), len(np.unique(judged.scenes))
    # The spread is that of a difference of two.
    error = read_spreads().correlation / math.sqrt(2 * n)
    high, low = rng.normal((base, value * base), error)
    highs, lows = (rng.normal(centre, error, DRAWS) for centre in (high, low))
    if np.quantile(highs, 0.025) <= PRESENT:
        return Estimate.unsettled("what is lost may not be there", n=n, clusters=scenes)
    return estimate_drawn(low / high, lows / highs, n=n, clusters=scenes)


def _number(labels: Sequence[object]) -> NDArray[np.int64]:
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels], np.int64)


def _judge_all(trials: Sequence[Trial]) -> Judged:
    """All trials judge."""
    keys = [t.scene.key for t in trials]
    items = [(key, t.prompt.text) for key, t in zip(keys, trials, strict=True)]
    return Judged(_number(items), _number(keys))


def _judge_half(trials: Sequence[Trial], rng: np.random.Generator) -> Judged:
    """The trials judge that are not in the estimation half."""
    first = draw_estimation_half([t.scene.key for t in trials], rng)
    return _judge_all([t for t, chosen in zip(trials, first.tolist(), strict=True) if not chosen])


def _judge_images(trials: int) -> Judged:
    """The trials of an experiment that asks one question about each of its images."""
    return Judged(np.arange(trials), np.arange(trials))


@cache
def draw_judged(experiment: str, trials: int) -> Judged:
    """Draw the trials of an experiment as it draws them, and keep those that judge.

    Raises:
        LookupError: It is not known which trials judge.
    """
    rng = np.random.default_rng(0)
    two, three, objects = PAPER_GRIDS[2], PAPER_GRIDS[3], HIGH_ENTROPY[3]
    match experiment:
        case "keys":
            return _judge_half(draw_color_questions(two, EVERY_OBJECT, trials, rng), rng)
        case "transplant":
            pairs = draw_transplants(three, objects, trials, rng)
            return _judge_half([p.recipient for p in pairs], rng)
        case "repair":
            return _judge_half(draw_entropy_trials(three, "low", trials, rng), rng)
        case "reuse":
            asked = draw_spatial_questions(three, objects, trials, rng)
            return _judge_all([a.trial for a in asked])
        case "counting":
            return _judge_all(draw_counting_questions(three, trials, rng))
        case "mediation":
            drawn = draw_contrasts("id_selection", two, objects, trials, rng)
            return _judge_half([c.clean for c in drawn], rng)
        case "accuracy":
            return _judge_images(trials)
        case "steering" | "similarity" | "blocks" | "entropy":
            return _judge_images(trials // 2)
        case "listing":
            # Half are sources, and half of the others choose how many heads.
            return _judge_images(trials // 4)
    raise LookupError(f"nothing says which trials of {experiment!r} judge its claims")


def _make_effects(
    experiment: str,
    draw: Draw,
    claims: Sequence[str],
    base: Mapping[str, float] | None = None,
) -> dict[str, Effect]:
    return {f"visual_symbols.{c}": Effect(experiment, draw, base or {}) for c in claims}


EFFECTS: dict[str, Effect] = {
    **_make_effects(
        "similarity",
        draw_correlation,
        ("3.3.position_at_mentions", "3.3.position_at_last", "3.3.features_at_last"),
    ),
    **_make_effects(
        "mediation",
        draw_score,
        (
            *("3.4.id_retrieval", "3.4.id_selection", "3.4.feature_retrieval"),
            *("3.4.retrieval_size", "3.4.selection_size", "3.4.features_size"),
        ),
    ),
    **_make_effects(
        "blocks", draw_correlation, ("4.1.relative_position", "4.1.relative_over_absolute")
    ),
    **_make_effects(
        "transplant", draw_share, ("4.1.transplant_relative", "4.1.transplant_not_absolute")
    ),
    **_make_effects(
        "steering",
        draw_share,
        ("4.2.steer_selection", "4.2.steer_features", "4.2.steer_retrieval"),
    ),
    **_make_effects("keys", draw_share, ("4.3.keys",)),
    **_make_effects("reuse", draw_gain, ("4.4.reuse",), SPACE_BEFORE),
    **_make_effects(
        "entropy",
        draw_correlation,
        (
            "4.5.mentions_lose_position",
            "4.5.last_token_loses_position",
            "4.5.four_objects_lose_position",
        ),
    ),
    **_make_effects("entropy", draw_ratio, ("4.5.less_than_half_is_left",), CLEAR_POSITION),
    **_make_effects("entropy", draw_fall, ("4.5.accuracy_falls",), CLEAR_ACCURACY),
    **_make_effects("listing", draw_share, ("b.repeats_first",)),
    **_make_effects("counting", draw_share, ("c.top_heads_needed", "c.bottom_heads_not_needed")),
    **_make_effects(
        "counting", draw_gain, ("c.gap", "c.more_heads_more_errors"), COUNTS_WITHOUT_TOP
    ),
    **_make_effects("repair", draw_gain, ("d.repair",), CROWDED_BEFORE),
}
"""By claim; every claim with published values has one."""

DRAFTS: dict[str, Effect] = {
    **{f"dual_mechanisms.{claim}": Effect(*told) for claim, told in PROBABLE.items()},
    **{
        f"dual_mechanisms.5.3.{name}": Effect(f"removal{setting}", draw, base, 1)
        for setting, left in (("", LEFT_SHAPES), ("_squares", LEFT_SQUARES))
        for name, draw, base in (
            (f"drop{setting}", draw_gain, left),
            (f"left_third{setting}", draw_share, {}),
            (f"left_half{setting}", draw_share, {}),
        )
    },
}
"""What claims of the second paper judge, by claim; no run asks them yet, since they are drafts."""
