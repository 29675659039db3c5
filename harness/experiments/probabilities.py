"""How likely an answer is: the probability of words over all their spellings (Cui et al., arXiv 2603.22278).

The paper sums four spellings, lower and upper case with and without a space. Here every token counts that
begins the word in any spelling and no other word, as everywhere in this suite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from harness.experiments.editing import ROWS, read_words, replay_whole_vocabulary
from harness.measuring.batches import cut_batches
from harness.stimuli.prompt import Trial
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.replay import Variant


def read_probabilities(
    subject: Subject,
    trials: Sequence[Trial],
    words: Sequence[Sequence[str]],
    variants: Callable[[Batch, slice], Sequence[Variant]] | None = None,
    rows: int = ROWS,
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """The probabilities of some words, and the answers, under every set of edits.

    Args:
        subject: The model.
        trials: n of them.
        words: For each trial the words that are scored, W each.
        variants: Makes V sets of edits for one batch, from the batch and the slice of `trials` that it holds;
            one run without any edit if None.
        rows: Trials in one pass at most.

    Returns:
        Probabilities at the last token, float64 [V, n, W]; the answers, as `read_words` gives them, [V, n].
    """
    spelled = _list_spellings(subject)
    probabilities, answers = [], []
    for part in cut_batches(len(trials), rows):
        for at, logits in replay_whole_vocabulary(subject, trials, part, variants):
            likely = torch.softmax(logits.double(), -1)
            answers.append(logits.argmax(-1).numpy())
            probabilities.append(
                np.stack(
                    [
                        np.stack(
                            [likely[:, row, spelled[word]].sum(-1).numpy() for word in named], -1
                        )
                        for row, named in enumerate(words[at])
                    ],
                    1,
                )
            )
    return np.concatenate(probabilities, 1), read_words(subject, np.concatenate(answers, 1))


def _list_spellings(subject: Subject) -> dict[str, list[int]]:
    """The tokens that begin each word and no other."""
    found: dict[str, list[int]] = {word: [] for word in subject.first_tokens.words}
    for token, word in subject.first_tokens.meanings.items():
        found[word].append(token)
    return found
