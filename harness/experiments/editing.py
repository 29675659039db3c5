"""What the experiments that intervene share: heads found by mediation, edits of them, and answers under edits.

Heads are those of the mediation experiment, which has trials of its own: none is chosen on the trials that an
intervention is judged on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.measures.mediation import (
    ROUNDING,
    SMALLEST,
    find_top_heads,
    merge_equals,
    merge_sizes,
    tell_carried,
)
from harness.measuring.batches import cut_batches
from harness.stimuli.contrast import Condition
from harness.stimuli.prompt import Trial
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.answer import compute_logits
from harness.tracing.capture import capture_sites
from harness.tracing.edit import Edit, How
from harness.tracing.footprint import cut_evenly
from harness.tracing.replay import Variant, replay
from harness.tracing.site import Kind, Site

ROWS = 32
"""Trials in one pass at most."""

LOGITS = 2**28
"""Bytes of logits over the whole vocabulary that are held at once, at most."""

Head = tuple[int, int]
"""Layer and head."""


def rank_heads(
    mediation: xr.Dataset, stage: Condition, k: int | None = None, share: float = 0.0
) -> list[Head]:
    """Heads with a positive mean mediation score for a stage, best first (protocol, 6.1).

    Heads that score less than rounding can are no heads of the stage: edits of many of them would only damage.
    Nor are any where no head surely mediates: those that happen to score most then carry something else.
    Heads with equal scores are ordered by what else mediation measured of them, not by their numbers: so two
    models that number the same heads otherwise have the same heads among the first few.

    Args:
        mediation: The measurement of the mediation experiment.
        stage: One of its conditions.
        k: How many at most; all if None.
        share: Heads below this share of the highest score are left out.
    """
    if not tell_carried(*select_kept_scores(mediation, stage), SMALLEST[stage]):
        return []
    scores, *then = list_measured_of_heads(mediation, stage)
    found = find_top_heads(scores, scores.size if k is None else k, share, then)
    return [head for head in found if scores[head] > ROUNDING]


def list_measured_of_heads(
    mediation: xr.Dataset, stage: Condition | None = None
) -> list[NDArray[np.float64]]:
    """What mediation measured of every head, float64 [L, H] each: how it mediates, and how much it writes.

    Args:
        mediation: The measurement of the mediation experiment.
        stage: The condition whose numbers come first; the order of the measurement if None.

    Returns:
        The scores at every stage, then the sizes of what is written at every stage, for `order_heads`.
    """
    stages = sorted(mediation.condition.values.tolist(), key=lambda s: s != stage)
    scores = [merge_equals(average_scores(mediation, s)) for s in stages]
    written = [np.nan_to_num(mediation.written.sel(condition=s)) for s in stages]
    return [*scores, *map(merge_sizes, written)]


def select_kept_scores(
    mediation: xr.Dataset, stage: str
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Scores of all heads on the n trials that mediation kept for a stage, [n, L, H], and their scenes [n]."""
    chosen = mediation.sel(condition=stage)
    kept = int(chosen.kept)
    return chosen.score.values[:kept], chosen.scene.values[:kept]


def average_scores(mediation: xr.Dataset, stage: str) -> NDArray[np.float64]:
    """Average the mediation score of every head over the trials that mediation kept for the stage.

    float64 [L, H]; all 0 if it kept none.
    """
    scores, _ = select_kept_scores(mediation, stage)
    return scores.mean(0) if len(scores) else np.zeros(scores.shape[1:])


WEAK = 0.1
"""Heads below this share of the highest score are in no list (`find_top_heads`)."""


def edit_heads(
    kind: Kind, heads: Iterable[Head], tokens: torch.Tensor, values: torch.Tensor, how: How
) -> list[Edit]:
    """Edits of chosen heads, one for each layer that has any.

    Args:
        kind: "head" or "query".
        heads: (layer, head) pairs.
        tokens: int64 [B, S].
        values: What is written or added, [L, B, S, H, w]; only the parts of the chosen heads are used.
        how: "replace" or "add".
    """
    layers: dict[int, list[int]] = {}
    for layer, head in sorted(heads):
        layers.setdefault(layer, []).append(head)
    return [
        Edit(kind, layer, tokens, values[layer][:, :, of], tuple(of), how)
        for layer, of in layers.items()
    ]


def read_words(subject: Subject, tokens: torch.Tensor | NDArray[np.int64]) -> NDArray[np.str_]:
    """The word that each answer begins, however it is spelled; "" where it begins none.

    Args:
        subject: The model.
        tokens: The first token of each answer, int64 [...].

    Returns:
        Names of colors, of the same shape as `tokens`.
    """
    ids = np.asarray(tokens)
    return np.array([subject.read_word(int(i)) for i in ids.flat]).reshape(ids.shape)


def find_answers(
    subject: Subject,
    trials: Sequence[Trial],
    variants: Callable[[Batch, slice], Sequence[Variant]] | None = None,
) -> NDArray[np.str_]:
    """The answer to every trial under every set of edits, as its likeliest next token begins it.

    Args:
        subject: The model.
        trials: n of them.
        variants: Makes V sets of edits for one batch, from the batch and the slice of `trials` that it holds;
            one run without any edit if None.

    Returns:
        The words, as `read_words` gives them, [V, n].
    """
    found = [
        logits.argmax(-1).numpy()
        for part in cut_batches(len(trials), ROWS)
        for _, logits in replay_whole_vocabulary(subject, trials, part, variants)
    ]
    return read_words(subject, np.concatenate(found, 1))


def replay_whole_vocabulary(
    subject: Subject,
    trials: Sequence[Trial],
    part: slice,
    variants: Callable[[Batch, slice], Sequence[Variant]] | None = None,
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Logits over the whole vocabulary of a batch of trials, of as many at once as can be held.

    Args:
        subject: The model.
        trials: n of them.
        part: Which of `trials` make the batch.
        variants: As `find_answers` takes it.

    Yields:
        Which of `trials`, and their logits at the last token under every set of edits, [V, rows, vocabulary].
    """
    vocabulary = len(subject.model.get_output_embeddings().weight)
    batch = subject.encode(trials[part])
    sets: Sequence[Variant] = variants(batch, part) if variants else [[]]
    size = max(1, LOGITS // (4 * vocabulary * len(sets)))
    for rows in cut_evenly(0, len(batch), size):
        of_rows = [[edit.of_rows(rows) for edit in edits] for edits in sets]
        logits = replay(subject, batch.of_rows(rows), of_rows)
        yield slice(part.start + rows.start, part.start + rows.stop), logits


def read_answers(subject: Subject, residual: torch.Tensor) -> NDArray[np.str_]:
    """The answers, read off residual streams that were captured anyway.

    Args:
        subject: The model.
        residual: [n, d], at the last token after the last layer.

    Returns:
        The words, as `read_words` gives them, [n].
    """
    with torch.no_grad():
        read = [
            compute_logits(subject, residual[part].to(subject.device), None).argmax(-1)
            for part in cut_batches(len(residual), ROWS)
        ]
    return read_words(subject, torch.cat(read))


def capture_all(
    subject: Subject,
    trials: Sequence[Trial],
    kind: Site,
    tokens: Callable[[Batch], torch.Tensor],
) -> torch.Tensor:
    """Activations of all trials at chosen tokens.

    Args:
        subject: The model.
        trials: n of them.
        kind: What is read.
        tokens: Finds the tokens to read in a batch, int64 [B, S].

    Returns:
        float32 on the CPU: [L, n, S, d] for the residual stream and the norm, else [L, n, S, H, w].
    """
    return capture_all_sites(subject, trials, [(kind, tokens)])[0]


def capture_all_sites(
    subject: Subject,
    trials: Sequence[Trial],
    sites: Sequence[tuple[Site, Callable[[Batch], torch.Tensor]]],
) -> list[torch.Tensor]:
    """Activations at several sites, all read in one run of every trial.

    Args:
        subject: The model.
        trials: n of them.
        sites: What is read, each with the function that finds the tokens to read in a batch, int64 [B, S].

    Returns:
        For each of `sites` what `capture_all` returns.
    """
    read = []
    for part in cut_batches(len(trials), ROWS):
        batch = subject.encode(trials[part])
        read.append(capture_sites(subject, batch, [(k, tokens(batch)) for k, tokens in sites]))
    return [torch.cat(pieces, 1) for pieces in zip(*read, strict=True)]


def capture_with_answers(
    subject: Subject, trials: Sequence[Trial], kind: Site
) -> tuple[torch.Tensor, NDArray[np.str_]]:
    """Activations of all trials at the last token, and the answers, from one run of each trial.

    Returns:
        What `capture_all` returns, and the words, as `read_words` gives them, [n].
    """
    # The answer follows from the state of the last token after the last layer, so no second run is needed.
    read, states = capture_all_sites(
        subject, trials, [(kind, find_last_token), ("residual", find_last_token)]
    )
    return read, read_answers(subject, states[-1, :, 0])


def find_last_token(batch: Batch) -> torch.Tensor:
    """The last token of every row, int64 [B, 1]."""
    return torch.full((len(batch), 1), batch.last)


def make_mention_finder(width: int) -> Callable[[Batch], torch.Tensor]:
    """Finds the last `width` tokens of the first mention of every row, int64 [B, width] (protocol, E6)."""
    return lambda batch: torch.tensor([row[0][-width:] for row in batch.mentions])


def average_by_label(values: torch.Tensor, labels: NDArray[np.int64], count: int) -> torch.Tensor:
    """Mean over the trials of each label (protocol, 6.2).

    Args:
        values: [L, n, ...].
        labels: A whole number for each trial, [n].
        count: Labels are 0 to count - 1.

    Returns:
        [count, L, ...].

    Raises:
        ValueError: A label has no trial.
    """
    missing = sorted(set(range(count)) - set(labels.tolist()))
    if missing:
        raise ValueError(f"no trial for position {missing[0]}: raise --trials")
    return torch.stack([values[:, torch.from_numpy(labels == i)].mean(1) for i in range(count)])
