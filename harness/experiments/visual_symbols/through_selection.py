"""Whether ID retrieval acts through ID selection: with selection held as it was, its effect must vanish.

The paper shows that heads of each stage change the answer and not that they form a chain. In contrasts of ID
retrieval (section 3.4) the best retrieval heads are patched together at the mention, which moves the answer
to the described object. In the same run the selection heads' outputs at the last token are then held at their
clean values, or those of as many other heads of the same layers, drawn anew for every scene. Objects are all
pairings of colors and shapes, so that hardly any scene is one that ranked heads; those that are one are left
out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import Head, edit_heads, find_last_token, rank_heads, read_words
from harness.experiments.halves import Halves, list_ranked_scenes, note_unranked
from harness.experiments.mixing import mark_heads, mark_other_heads, mix_in
from harness.experiments.other_heads import OtherHeads
from harness.experiments.patching import find_patched_tokens
from harness.experiments.sweeps import list_head_counts
from harness.measures.mediation import mediation_score
from harness.measuring.batches import cut_batches
from harness.measuring.experiment import Request
from harness.stimuli.contrast import Contrast, draw_contrasts
from harness.stimuli.scene import COLORS, SHAPES, objects
from harness.subjects.subject import Subject
from harness.tracing.capture import capture, capture_sites, read_last_logits
from harness.tracing.edit import Edit
from harness.tracing.replay import replay

ROWS = 16
"""Contrasts in one pass at most."""

PATIENCE = 4
"""Contrasts drawn at most, as a multiple of those wanted."""

ENOUGH = 0.95
"""Share of the largest effect that a number of heads must reach; fewer heads are held with less beside them."""

HELD = ("nothing", "selection", "other heads")
"""What is held at its clean value while retrieval heads are patched."""

Marked = list[torch.Tensor | None]
"""For each set of edits the heads that are held, bool [n, L, H], or None."""


@dataclass(frozen=True)
class Chain:
    """Contrasts of ID retrieval in one batch, with what is needed to patch one stage and hold another.

    Attributes:
        subject: The model.
        pairs: n of them.
    """

    subject: Subject
    pairs: list[Contrast]

    def score(self, patched: list[list[Head]], held: Marked) -> NDArray[np.float64]:
        """The mediation score (Eq. 1) of sets of edits, float64 [edit, n], in logits.

        Args:
            patched: For each set the heads that are patched at the mention.
            held: For each set the heads whose outputs at the last token are held at their clean values.
        """
        subject = self.subject
        clean = subject.encode([p.clean for p in self.pairs])
        other = subject.encode([p.counterfactual for p in self.pairs])
        mention, last = find_patched_tokens(clean, self.pairs), find_last_token(clean)
        values = capture(subject, other, "head", mention)
        [as_it_was] = capture_sites(subject, clean, [("head", last)])
        read = torch.tensor(
            [
                [subject.answer_id(p.clean.prompt, w) for w in (p.patched_answer, p.clean_answer)]
                for p in self.pairs
            ]
        )
        variants: list[list[Edit]] = [[]]
        for heads, marked in zip(patched, held, strict=True):
            edits = edit_heads("head", heads, mention, values, "replace")
            if marked is not None:
                edits += mix_in(marked, last, as_it_was, 1.0)
            variants.append(edits)
        before, *after = replay(subject, clean, variants, read).numpy()
        return mediation_score(np.stack(after), before)


@note_unranked
def measure(request: Request) -> xr.Dataset:
    """Measure what patched retrieval heads do to the answer while other heads are held.

    How many retrieval heads are patched is chosen on the estimation half by their effect; how many selection
    heads are held, by the difference from holding as many others: the fewest that nearly reach the largest.

    Returns:
        `effect` float [held, trial] in logits, on the evaluation half: the mediation score of all patched heads
        together; `scene` [trial]; `retrieving`, `selecting`: heads that mediation ranked; `patched`,
        `held_heads`: how many heads of those, 0 if there are none of one stage; `others`: how many others are
        held in place of the selection heads, at least; `drawn`, `kept`: contrasts tried on new scenes, and
        those answered right on both sides.
    """
    subject, rng, mediation = request.subject, request.rng, request.needed["mediation"]
    retrieval, selection = (rank_heads(mediation, s) for s in ("id_retrieval", "id_selection"))
    pairs, drawn = _draw_pairs(request, list_ranked_scenes(mediation))
    request.progress(1, 3)
    scenes = np.array([p.clean.scene.key for p in pairs], dtype=np.str_)
    others, fewest = OtherHeads.find(mediation, "id_selection"), 0
    counts = [list_head_counts(subject, len(heads)) for heads in (retrieval, selection)]
    effect, judged, chosen = np.zeros((len(HELD), 0)), scenes[:0], (0, 0)
    if all(counts) and len(np.unique(scenes)) > 1:
        halves = Halves.deal(scenes, rng)
        choosing, judging = halves.split(pairs)
        judged = scenes[halves.second]
        effect = np.zeros((len(HELD), len(judged)))
        alone = _score_all(
            subject, choosing, [retrieval[:k] for k in counts[0]], [None] * len(counts[0])
        )
        patched = retrieval[: counts[0][_find_enough(alone.mean(1))]]
        sets = [selection[:k] for k in counts[1]]
        own = [mark_heads(of_count, subject, len(choosing)) for of_count in sets]
        beside = [
            mark_other_heads(of_count, others, subject, scenes[halves.first], rng)
            for of_count in sets
        ]
        held = _score_all(subject, choosing, [patched] * 2 * len(own), [*own, *beside])
        gap = held[len(own) :].mean(1) - held[: len(own)].mean(1)
        # With fewer others beside it, a number of heads would be compared with less than itself.
        full = [int(m.sum((1, 2)).min()) == len(s) for m, s in zip(beside, sets, strict=True)]
        gap = np.where(full, gap, -np.inf)
        holding = selection[: counts[1][_find_enough(gap)]]
        request.progress(2, 3)
        spared = mark_other_heads(holding, others, subject, judged, rng)
        fewest = int(spared.sum((1, 2)).min())
        marked = [None, mark_heads(holding, subject, len(judging)), spared]
        effect = _score_all(subject, judging, [patched] * len(HELD), marked)
        chosen = (len(patched), len(holding))
    return xr.Dataset(
        {
            "effect": (("held", "trial"), effect),
            "scene": (("trial",), judged),
            "patched": chosen[0],
            "held_heads": chosen[1],
            "retrieving": len(retrieval),
            "selecting": len(selection),
            "others": fewest,
            "drawn": drawn,
            "kept": len(pairs),
        },
        {"held": list(HELD)},
    )


def _find_enough(reached: NDArray[np.float64]) -> int:
    """The first place at which nearly the largest value is reached."""
    return int(np.argmax(reached >= ENOUGH * reached.max() if reached.max() > 0 else reached))


def _score_all(
    subject: Subject, pairs: list[Contrast], patched: list[list[Head]], held: Marked
) -> NDArray[np.float64]:
    """The scores of all contrasts under every set of edits, float64 [edit, n], in logits."""
    found = []
    for part in cut_batches(len(pairs), ROWS):
        of_part = [None if marked is None else marked[part] for marked in held]
        found.append(Chain(subject, pairs[part]).score(patched, of_part))
    return np.concatenate(found, 1)


def _draw_pairs(request: Request, ranked: set[str]) -> tuple[list[Contrast], int]:
    """Contrasts answered right on both sides, on scenes that ranked no heads, and how many were tried."""
    subject, shown = request.subject, objects(f"{c} {s}" for c in COLORS for s in SHAPES)
    found: list[Contrast] = []
    tried = 0
    while len(found) < request.trials and tried < PATIENCE * request.trials:
        drawn = draw_contrasts("id_retrieval", subject.grids[2], shown, ROWS, request.rng)
        tried += len(drawn)
        new = [p for p in drawn if not {p.clean.scene.key, p.counterfactual.scene.key} & ranked]
        found += _keep_right(subject, new) if new else []
    return found[: request.trials], tried


def _keep_right(subject: Subject, pairs: list[Contrast]) -> list[Contrast]:
    """The contrasts that the subject answers right on both sides."""
    right = np.ones(len(pairs), bool)
    for trials in ([p.clean for p in pairs], [p.counterfactual for p in pairs]):
        named = read_last_logits(subject, subject.encode(trials)).argmax(-1)
        right &= read_words(subject, named) == [t.answer for t in trials]
    return [p for p, keep in zip(pairs, right, strict=True) if keep]
