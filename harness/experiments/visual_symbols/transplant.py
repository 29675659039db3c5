"""E5: an ID transplanted into another image, does it point to the same slot or to the same place? (Figure 13)

The outputs of the ID selection heads at the last token of one run replace those of another, whose image has the
same objects in another block and whose prompt leaves two of them open.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from harness.experiments.editing import (
    capture_with_answers,
    edit_heads,
    find_answers,
    find_last_token,
    rank_heads,
)
from harness.experiments.halves import Halves, list_scenes, note_unranked
from harness.experiments.rivals import find_kth_color, find_unnamed_color, tabulate_rivals
from harness.experiments.sweeps import list_head_counts
from harness.measuring.experiment import Request
from harness.stimuli.blocks import Transplant, draw_contested_transplants, draw_transplants
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.batch import Batch
from harness.tracing.replay import Variant

CANDIDATES = ("relative", "absolute")


@note_unranked
def measure(request: Request) -> xr.Dataset:
    """Ask about each recipient with the ID selection heads of its source, for every number of heads.

    Returns:
        `names` bool [candidate, k, trial]: whether the answer is that candidate's color, with the k best
        heads transplanted (none for k = 0); `right` bool [trial]: whether the source is answered right;
        `scene` [trial] of the recipient; `part` [trial]. `said`, `predicted`, `asked_scene` as
        `tabulate_rivals` gives them for every number of heads, of these trials and of as many again in which
        the rivals name different objects (`draw_contested_transplants`); `asked_part` [asked].
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    pairs = draw_transplants(subject.grids[3], HIGH_ENTROPY[3], trials, rng)
    contested = draw_contested_transplants(subject.grids[3], HIGH_ENTROPY[3], trials, rng)
    every = [*pairs, *contested]
    sources, recipients = [p.source for p in every], [p.recipient for p in every]
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
    names = np.stack([answers[:, :trials] == np.array(colors[c]) for c in CANDIDATES])
    halves = Halves.deal(list_scenes(recipients), rng)
    explained = _predict(every) | {"nothing": answers[0]}
    rivals = tabulate_rivals(answers, ("k", [0, *counts]), [explained], halves.scenes)
    return xr.Dataset(
        {
            "names": (("candidate", "k", "trial"), names),
            "right": (
                ("trial",),
                named[:trials] == np.array([t.answer for t in sources[:trials]]),
            ),
            "scene": (("trial",), halves.scenes[:trials]),
            "part": (("trial",), halves.names[:trials]),
            "asked_part": (("asked",), halves.names),
            **rivals,
        },
        {"candidate": list(CANDIDATES), "k": [0, *counts]},
    )


def _predict(pairs: list[Transplant]) -> dict[str, ArrayLike]:
    """What each explanation predicts of the recipients' answers, words [n] each.

    An ID that is a place in the text is that of the source's target, which comes after all mentions.
    """
    return {
        "relative": [p.relative.color for p in pairs],
        "absolute": [p.absolute.color for p in pairs],
        "ordinal": [find_kth_color(p.recipient, len(p.source.described) + 1) for p in pairs],
        "content": [find_unnamed_color(p.recipient) for p in pairs],
        "copying": [p.source.answer for p in pairs],
    }
