"""E5: an ID transplanted into another image, does it point to the same slot or to the same place? (Figure 13)

The outputs of the ID selection heads at the last token of one run replace those of another, whose image has the
same objects in another block and whose prompt leaves two of them open.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.experiments.editing import (
    captured_with_answers,
    head_edits,
    ids_of,
    last_token,
    ranking,
    said,
)
from harness.experiments.sweeps import heads_swept
from harness.measuring.experiment import Request
from harness.statistics.halves import estimation_half
from harness.stimuli.blocks import transplants
from harness.stimuli.design import HIGH_ENTROPY

CANDIDATES = ("relative", "absolute")


def measure(request: Request) -> xr.Dataset:
    """What is said for every number of heads.

    Returns:
        `names` bool [candidate, k, trial]: whether the answer is that candidate's color, with the k best
        heads transplanted (none for k = 0); `right` bool [trial]: whether the source is answered right;
        `scene` [trial] of the recipient; `part` [trial].
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    mediation = request.needed["mediation"]
    pairs = transplants(subject.grids[3], HIGH_ENTROPY[3], trials, rng)
    sources, recipients = [p.source for p in pairs], [p.recipient for p in pairs]
    heads = ranking(mediation, "id_selection")
    counts = heads_swept(subject, len(heads))
    request.progress(0, 2)
    values, named = captured_with_answers(subject, sources, "head")
    request.progress(1, 2)
    answers = said(
        subject,
        recipients,
        lambda batch, part: [
            [],
            *(
                head_edits("head", heads[:k], last_token(batch), values[:, part], "replace")
                for k in counts
            ),
        ],
    )
    names = np.stack(
        [
            answers == ids_of(subject, recipients, [getattr(p, c).color for p in pairs])
            for c in CANDIDATES
        ]
    )
    right = named == ids_of(subject, sources, [t.answer for t in sources])
    scenes = np.array([t.scene.key for t in recipients])
    first = estimation_half(scenes, rng)
    return xr.Dataset(
        {
            "names": (("candidate", "k", "trial"), names),
            "right": (("trial",), right),
            "scene": (("trial",), scenes),
            "part": (("trial",), np.where(first, "estimation", "evaluation")),
        },
        {"candidate": list(CANDIDATES), "k": [0, *counts]},
    )
