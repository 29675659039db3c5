"""E11: silencing the heads with the highest mediation scores destroys counting (appendix C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import Head, list_measured_of_heads, rank_heads
from harness.experiments.halves import list_scenes, note_unranked
from harness.experiments.other_heads import OtherHeads
from harness.experiments.random_heads import RandomHeads
from harness.experiments.sweeps import scale_head_share
from harness.experiments.written import continue_prompts, read_number
from harness.measures.mediation import merge_equals, order_heads
from harness.measuring.experiment import Request
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.prompt import Trial, ask_to_enumerate
from harness.stimuli.questions import draw_counting_questions
from harness.subjects.subject import Subject

PUBLISHED_K, OF = (50, 250, 500), 2560
"""Heads silenced in Figure 46, of the heads of Qwen2.5-VL-32B; as large a part is taken elsewhere."""

JUDGED = 250
"""K at which the paper has 0% for the best heads and 87% for the worst."""

TOKENS = 300
"""Tokens of an answer, at most, as in the public reproduction: a list of eight objects and the number (E11)."""

ORDERS = ("top", "bottom", "smallest")
"""Highest scores first, lowest (most negative) first, and smallest in size first: "bottom" may mean either."""


@dataclass(frozen=True)
class Counts:
    """Answers to the question how many objects there are.

    Attributes:
        right: Whether the number is right, bool [n].
        valid: Whether there is a number at all, bool [n].
    """

    right: NDArray[np.bool_]
    valid: NDArray[np.bool_]


@note_unranked
def measure(request: Request) -> xr.Dataset:
    """Ask how many objects there are while heads are silenced at every token.

    Nothing is silenced where no head surely mediates a stage, or where no count is right as it is.

    Returns:
        `plain` bool [trial]: the count is right without ablation; `count` int64 [trial]: the right one;
        `scene` [trial]; `heads`: how many mediate a stage. And where heads were silenced
        `right`, `valid` bool [which, k, trial]: the count is right, and there is a number at all; `random` bool
        [trial]: right under random heads, as many in every layer as the best at the judged K; `draw` int64
        [trial]: which of their draws; `silenced`, `others`: how many heads are the best at the judged K, and
        how many random ones there are in their place, at least. `k` is the published number of heads that the
        part taken stands for; "top" has no head that mediates no stage.
    """
    subject, rng = request.subject, request.rng
    drawn = draw_counting_questions(subject.grids[3], request.trials, rng)
    mediation = request.needed["mediation"]
    ranked = _rank_heads(mediation)
    plain = _count_without(subject, drawn, [])
    found = xr.Dataset(
        {
            "plain": (("trial",), plain.right),
            "count": (("trial",), np.array([len(t.scene) for t in drawn])),
            "scene": (("trial",), list_scenes(drawn)),
            "heads": len(ranked["top"]),
            "judged": JUDGED,
        }
    )
    if not ranked["top"] or not plain.right.any():
        return found
    chosen = [
        ranked[order][: scale_head_share(subject, k, OF)] for order in ORDERS for k in PUBLISHED_K
    ]
    counts = []
    for done, heads in enumerate(chosen):
        request.progress(done, len(chosen) + 1)
        counts.append(_count_without(subject, drawn, heads))
    best = ranked["top"][: scale_head_share(subject, JUDGED, OF)]
    random = RandomHeads.deal(best, OtherHeads.find(mediation), list_scenes(drawn), rng)
    by_chance = random.ask(
        drawn, lambda trials, heads: _count_without(subject, trials, heads).right
    )
    shape = (len(ORDERS), len(PUBLISHED_K), request.trials)
    return found.assign(
        right=(("which", "k", "trial"), np.reshape([c.right for c in counts], shape)),
        valid=(("which", "k", "trial"), np.reshape([c.valid for c in counts], shape)),
        random=(("trial",), by_chance),
        draw=(("trial",), random.draws),
        silenced=len(best),
        others=random.fewest,
    ).assign_coords(which=list(ORDERS), k=list(PUBLISHED_K))


def _rank_heads(mediation: xr.Dataset) -> dict[str, list[Head]]:
    """The heads in each of ORDERS, from the measurement of the mediation experiment.

    At the top are only heads of a stage that some head surely mediates, and that score more than rounding can:
    of heads that do nothing half have a positive score by luck. Equal ones are ordered by all that was measured
    of them, not by their numbers.
    """
    measured = list_measured_of_heads(mediation)
    scores = merge_equals(np.max(measured[: len(CONDITIONS)], 0))
    keys = {"top": scores, "bottom": -scores, "smallest": -np.abs(scores)}
    ranked = {order: order_heads(merge_equals(key), *measured) for order, key in keys.items()}
    mediating = {head for stage in CONDITIONS for head in rank_heads(mediation, stage)}
    ranked["top"] = [head for head in ranked["top"] if head in mediating]
    return ranked


def _count_without(subject: Subject, trials: Sequence[Trial], heads: Sequence[Head]) -> Counts:
    """Let the subject count while heads are silenced at every token.

    Small subjects give the number at once; all others are asked as in the paper, for a list that ends with it.
    """
    asked, tokens = list(trials), 1
    if subject.entry.scale != "embedded":
        asked, tokens = [ask_to_enumerate(t) for t in trials], TOKENS
    named = [read_number(text) for text in continue_prompts(subject, asked, tokens, ablated=heads)]
    return Counts(
        np.array([n == len(t.scene) for n, t in zip(named, trials, strict=True)]),
        np.array([n is not None for n in named]),
    )
