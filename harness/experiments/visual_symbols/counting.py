"""E11: silencing the heads with the highest mediation scores destroys counting (appendix C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import Head, average_scores
from harness.experiments.halves import list_scenes
from harness.experiments.sweeps import scale_head_count
from harness.experiments.written import continue_prompts, read_number
from harness.measuring.experiment import Request
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.prompt import Trial, ask_to_enumerate
from harness.stimuli.questions import draw_counting_questions
from harness.subjects.subject import Subject

PUBLISHED_K, OF = (50, 250, 500), 2560
"""Heads silenced in Figure 46, of the heads of Qwen2.5-VL-32B; as large a part is taken elsewhere."""

JUDGED = 250
"""K at which the paper has 0% for the best heads and 87% for the worst."""

RANDOM_SETS = 5
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


def measure(request: Request) -> xr.Dataset:
    """Ask how many objects there are while heads are silenced at every token.

    Returns:
        `right`, `valid` bool [which, k, trial]: the count is right, and there is a number at all; `random`
        bool [draw, trial]: right under random heads at the judged K; `plain`, `plain_valid` [trial];
        `scene` [trial]. `k` is the published number of heads that the part taken stands for.
    """
    subject, rng = request.subject, request.rng
    drawn = draw_counting_questions(subject.grids[3], request.trials, rng)
    scores = np.max([average_scores(request.needed["mediation"], c) for c in CONDITIONS], 0)
    ranked = _rank_heads(scores)
    chosen = [
        ranked[order][: scale_head_count(subject, k, OF)] for order in ORDERS for k in PUBLISHED_K
    ]
    counts = []
    for done, heads in enumerate(chosen):
        request.progress(done, len(chosen))
        counts.append(_count_without(subject, drawn, heads))
    shape = (len(ORDERS), len(PUBLISHED_K), request.trials)
    many = scale_head_count(subject, JUDGED, OF)
    random = []
    for _ in range(RANDOM_SETS):
        heads = [divmod(int(i), subject.heads) for i in rng.permutation(scores.size)[:many]]
        random.append(_count_without(subject, drawn, heads))
    plain = _count_without(subject, drawn, [])
    return xr.Dataset(
        {
            "right": (("which", "k", "trial"), np.reshape([c.right for c in counts], shape)),
            "valid": (("which", "k", "trial"), np.reshape([c.valid for c in counts], shape)),
            "random": (("draw", "trial"), np.array([c.right for c in random])),
            "plain": (("trial",), plain.right),
            "plain_valid": (("trial",), plain.valid),
            "scene": (("trial",), list_scenes(drawn)),
            "judged": JUDGED,
        },
        {"which": list(ORDERS), "k": list(PUBLISHED_K)},
    )


def _rank_heads(scores: NDArray[np.float64]) -> dict[str, list[Head]]:
    """All heads in each of ORDERS, from their scores [L, H]; of equals the earlier layer, the lower head."""
    keys = {"top": -scores, "bottom": scores, "smallest": np.abs(scores)}
    return {
        order: [divmod(int(i), scores.shape[1]) for i in np.argsort(key, axis=None, kind="stable")]
        for order, key in keys.items()
    }


def _count_without(subject: Subject, trials: list[Trial], heads: Sequence[Head]) -> Counts:
    """Let the subject count while heads are silenced at every token.

    Small subjects give the number at once; all others are asked as in the paper, for a list that ends with it.
    """
    asked, words = trials, 1
    if subject.entry.scale != "embedded":
        asked, words = [ask_to_enumerate(t) for t in trials], 100
    named = [read_number(text) for text in continue_prompts(subject, asked, words, ablated=heads)]
    return Counts(
        np.array([n == len(t.scene) for n, t in zip(named, trials, strict=True)]),
        np.array([n is not None for n in named]),
    )
