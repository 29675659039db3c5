"""E3: causal mediation, one head at a time (Assouel et al., section 3.4, Eq. 1).

For each condition the heads' outputs in the counterfactual run replace those of the clean run, one head
at a time; the score is the change of the logit difference between the two answers, always read at the
last token, which is where the equation has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import find_last_token, read_answers
from harness.experiments.examples import describe_scene, keep_examples
from harness.experiments.patching import encode_sides, find_patched_tokens, read_patched_logits
from harness.measures.mediation import mediation_score, spell_stage
from harness.measuring.batches import cut_batches
from harness.measuring.experiment import Request
from harness.stimuli.contrast import CONDITIONS, Contrast, draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.subject import Subject
from harness.tracing.capture import capture_sites
from harness.tracing.site import Site

ROWS = 16
"""Contrasts drawn and measured at a time, so that memory does not grow with their number."""

EXAMPLES = 2
"""Contrasts of each condition that are kept in words."""

PATIENCE = 4
"""Contrasts drawn at most in search of those answered right on both sides, as a multiple of those wanted."""


def measure(request: Request) -> xr.Dataset:
    """Measure mediation scores of all heads, on contrasts answered right on both sides (section 3.4).

    Returns:
        `score` float [condition, trial, layer, head] in logits; `clean` float [condition, trial]: by how many
        logits the clean answer leads the one that the patch predicts in the clean run, which is the reference
        of Eq. 1; both NaN for trials that could not be found. `written` float [condition, layer, head]: mean
        length of what each head adds to the residual stream at the patched tokens of the clean run, NaN where
        no trial was found. `scene`, `counterfactual_scene` [condition, trial]: keys of the scenes of the two
        sides, "" for those trials. `drawn`, `kept` [condition]: contrasts tried, and those that the subject
        got right on both sides. The attribute `examples` keeps the first contrasts in words.
    """
    return _measure_contrasts(request, only_right=True)


def measure_ungated(request: Request) -> xr.Dataset:
    """Measure mediation scores as `measure` does, on all contrasts, also those answered wrong.

    For calibration, which asks subjects that answer none right.
    """
    return _measure_contrasts(request, only_right=False)


def _measure_contrasts(request: Request, *, only_right: bool) -> xr.Dataset:
    subject, trials, rng = request.subject, request.trials, request.rng
    score = np.full((len(CONDITIONS), trials, subject.layers, subject.heads), np.nan)
    clean = np.full(score.shape[:2], np.nan)
    scene, counterfactual = (np.full(score.shape[:2], "", dtype="<U16") for _ in range(2))
    written = np.full((len(CONDITIONS), subject.layers, subject.heads), np.nan)
    drawn, kept, shown = [], [], []
    for c, condition in enumerate(CONDITIONS):
        tried = found = 0
        sums = np.zeros(written.shape[1:])
        while found < trials and tried < PATIENCE * trials:
            pairs = draw_contrasts(condition, subject.grids[2], HIGH_ENTROPY[3], ROWS, rng)
            tried += len(pairs)
            sides = _run_sides(subject, pairs)
            usable = np.flatnonzero(sides.right) if only_right else np.arange(len(pairs))
            chosen = usable[: trials - found]
            wanted = [pairs[i] for i in chosen]
            for part in cut_batches(len(wanted), ROWS):
                span = slice(found + part.start, found + part.stop)
                values = sides.values[:, chosen[part]]
                before, patched = read_patched_logits(subject, wanted[part], values)
                score[c, span] = mediation_score(patched, before[:, None, None])
                sums += sides.sum_written(chosen[part])
                clean[c, span] = before[:, 1] - before[:, 0]
                scene[c, span] = [p.clean.scene.key for p in wanted[part]]
                counterfactual[c, span] = [p.counterfactual.scene.key for p in wanted[part]]
            shown += _describe_contrasts(wanted[: max(0, EXAMPLES - found)])
            found += len(wanted)
            request.progress(c * trials + found, len(CONDITIONS) * trials)
        if found:
            written[c] = sums / found
        drawn.append(tried)
        kept.append(found)
    return xr.Dataset(
        {
            "score": (("condition", "trial", "layer", "head"), score),
            "clean": (("condition", "trial"), clean),
            "written": (("condition", "layer", "head"), written),
            "scene": (("condition", "trial"), scene),
            "counterfactual_scene": (("condition", "trial"), counterfactual),
            "drawn": (("condition",), drawn),
            "kept": (("condition",), kept),
        },
        {"condition": list(CONDITIONS), "layer": np.arange(subject.layers)},
        keep_examples(shown),
    )


def _describe_contrasts(pairs: list[Contrast]) -> list[dict[str, Any]]:
    """Contrasts as plain values, for a reader: both images, the prompt, and what is right for each."""
    return [
        {
            "group": spell_stage(pair.condition),
            "scenes": [describe_scene(t.scene) for t in (pair.clean, pair.counterfactual)],
            "prompt": pair.clean.prompt.text,
            "right": pair.clean_answer,
            "answers": {
                "right for the second image": pair.counterfactual.answer,
                "predicted once patched": pair.patched_answer,
            },
        }
        for pair in pairs
    ]


@dataclass(frozen=True)
class _Sides:
    """What one run of each side of n contrasts gives.

    Attributes:
        right: bool [n], whether both sides are answered right.
        values: Outputs of all heads on the counterfactual side at the patched tokens, [L, n, S, H, w].
        written: On the clean side the length of what each head writes at these tokens, [L, n, S, H].
        patched: int64 [n], how many tokens are patched; of the S the rest repeat the last one.
    """

    right: NDArray[np.bool_]
    values: torch.Tensor
    written: torch.Tensor
    patched: NDArray[np.int64]

    def sum_written(self, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """The mean length at the patched tokens, summed over some of the contrasts, [L, H]."""
        # As many tokens as these contrasts need, where a shorter mention repeats its last one.
        read = self.written[:, chosen, : self.patched[chosen].max()]
        return read.double().mean(2).sum(1).numpy()


def _run_sides(subject: Subject, pairs: list[Contrast]) -> _Sides:
    """Run both sides of contrasts once, for their answers and for all that is taken from either."""
    right: list[NDArray[np.bool_]] = []
    values: list[torch.Tensor] = []
    written: list[torch.Tensor] = []
    patched: list[int] = []
    for part in cut_batches(len(pairs), ROWS):
        asked = pairs[part]
        clean, other = encode_sides(subject, asked)
        tokens = find_patched_tokens(clean, asked)
        last: tuple[Site, torch.Tensor] = ("residual", find_last_token(clean))
        read, states = capture_sites(subject, clean, [("written", tokens), last])
        written.append(read)
        correct = read_answers(subject, states[-1, :, 0]) == [p.clean.answer for p in asked]
        read, states = capture_sites(subject, other, [("head", tokens), last])
        values.append(read)
        named = read_answers(subject, states[-1, :, 0])
        right.append(correct & (named == [p.counterfactual.answer for p in asked]))
        patched += [len(set(row)) for row in tokens.tolist()]
    return _Sides(
        np.concatenate(right), _join(values), _join(written), np.array(patched, dtype=np.int64)
    )


def _join(parts: list[torch.Tensor]) -> torch.Tensor:
    """Join activations [L, n, S, ...] of batches; where S differs, the last of the S is repeated."""
    longest = max(part.shape[2] for part in parts)
    return torch.cat(
        [torch.cat([p, *[p[:, :, -1:]] * (longest - p.shape[2])], 2) for p in parts], 1
    )
