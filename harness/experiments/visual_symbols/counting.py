"""E11: silencing the heads with the highest mediation scores destroys counting (appendix C)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.experiments.answers import continued, counted
from harness.experiments.editing import Head, head_means
from harness.experiments.sweeps import share_of_heads
from harness.measuring.experiment import Request
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.prompt import enumeration
from harness.stimuli.questions import counting_questions

PUBLISHED_K, OF = (50, 250, 500), 2560
"""Heads silenced in Figure 46, of the heads of Qwen2.5-VL-32B; as large a part is taken elsewhere."""

JUDGED = 250
"""K at which the paper has 0% for the best heads and 87% for the worst."""

RANDOM_SETS = 5
ORDERS = ("top", "bottom", "smallest")
"""Highest scores first, lowest (most negative) first, and smallest in size first: "bottom" may mean either."""


def measure(request: Request) -> xr.Dataset:
    """Answers with heads silenced at every token.

    Returns:
        `right`, `valid` bool [which, k, trial]: the count is right, and there is a number at all; `random`
        bool [draw, trial]: right under random heads at the judged K; `plain`, `plain_valid` [trial];
        `scene` [trial]. `k` is the published number of heads that the part taken stands for.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    mediation = request.needed["mediation"]
    drawn = counting_questions(subject.grids[3], trials, rng)
    words = 1
    if subject.entry.scale != "embedded":
        drawn, words = [enumeration(t) for t in drawn], 100
    truth = [len(t.scene) for t in drawn]
    scores = np.max([head_means(mediation, c) for c in CONDITIONS], 0)
    ranked = {
        "top": np.argsort(-scores, axis=None, kind="stable"),
        "bottom": np.argsort(scores, axis=None, kind="stable"),
        "smallest": np.argsort(np.abs(scores), axis=None, kind="stable"),
    }

    def silenced(heads: list[Head]) -> tuple[np.ndarray, np.ndarray]:
        said = [counted(x) for x in continued(subject, drawn, words, ablated=heads)]
        return np.array([s == t for s, t in zip(said, truth, strict=True)]), np.array(
            [s is not None for s in said]
        )

    def pairs(flat: np.ndarray) -> list[Head]:
        return [(int(i) // subject.heads, int(i) % subject.heads) for i in flat]

    shape = (len(ORDERS), len(PUBLISHED_K), trials)
    right, valid = np.zeros(shape, bool), np.zeros(shape, bool)
    for o, order in enumerate(ORDERS):
        for i, k in enumerate(PUBLISHED_K):
            request.progress(o * len(PUBLISHED_K) + i, len(ORDERS) * len(PUBLISHED_K))
            many = share_of_heads(subject, k, OF)
            right[o, i], valid[o, i] = silenced(pairs(ranked[order][:many]))
    many = share_of_heads(subject, JUDGED, OF)
    random = [silenced(pairs(rng.permutation(scores.size)[:many]))[0] for _ in range(RANDOM_SETS)]
    plain, plain_valid = silenced([])
    return xr.Dataset(
        {
            "right": (("which", "k", "trial"), right),
            "valid": (("which", "k", "trial"), valid),
            "random": (("draw", "trial"), np.array(random)),
            "plain": (("trial",), plain),
            "plain_valid": (("trial",), plain_valid),
            "scene": (("trial",), np.array([t.scene.key for t in drawn])),
            "judged": JUDGED,
        },
        {"which": list(ORDERS), "k": list(PUBLISHED_K)},
    )
