"""E5: an ID transplanted into another image, does it point to the same slot or to the same place? (Figure 13)

The outputs of the ID selection heads at the last token of one run replace those of another, whose image has the
same objects in another block and whose prompt leaves two of them open.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.experiments.editing import (
    capture_with_answers,
    edit_heads,
    find_answers,
    find_last_token,
    rank_heads,
)
from harness.experiments.halves import Halves, list_scenes
from harness.experiments.sweeps import list_head_counts
from harness.measuring.experiment import Request
from harness.stimuli.blocks import draw_transplants
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.batch import Batch
from harness.tracing.replay import Variant

CANDIDATES = ("relative", "absolute")


def measure(request: Request) -> xr.Dataset:
    """Ask about each recipient with the ID selection heads of its source, for every number of heads.

    Returns:
        `names` bool [candidate, k, trial]: whether the answer is that candidate's color, with the k best
        heads transplanted (none for k = 0); `right` bool [trial]: whether the source is answered right;
        `scene` [trial] of the recipient; `part` [trial].
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    pairs = draw_transplants(subject.grids[3], HIGH_ENTROPY[3], trials, rng)
    sources, recipients = [p.source for p in pairs], [p.recipient for p in pairs]
    heads = rank_heads(request.needed["mediation"], "id_selection")
    counts = list_head_counts(subject, len(heads))
    request.progress(0, 2)
    values, named = capture_with_answers(subject, sources, "head")
    request.progress(1, 2)

    def transplant(batch: Batch, part: slice) -> list[Variant]:
        """No edit, and one of each number of heads."""
        tokens, of_part = find_last_token(batch), values[:, part]
        return [[], *(edit_heads("head", heads[:k], tokens, of_part, "replace") for k in counts)]

    answers = find_answers(subject, recipients, transplant)
    colors = {
        "relative": [p.relative.color for p in pairs],
        "absolute": [p.absolute.color for p in pairs],
    }
    names = np.stack([answers == np.array(colors[c]) for c in CANDIDATES])
    halves = Halves.deal(list_scenes(recipients), rng)
    return xr.Dataset(
        {
            "names": (("candidate", "k", "trial"), names),
            "right": (
                ("trial",),
                named == np.array([t.answer for t in sources]),
            ),
            "scene": (("trial",), halves.scenes),
            "part": (("trial",), halves.names),
        },
        {"candidate": list(CANDIDATES), "k": [0, *counts]},
    )
