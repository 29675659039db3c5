"""Patches of single heads from the counterfactual into the clean run, and their scores (section 3.4, Eq. 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from harness.measures.mediation import mediation_score
from harness.stimuli.contrast import Contrast
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.capture import capture
from harness.tracing.edit import Edit
from harness.tracing.replay import replay


def score_heads(subject: Subject, pairs: Sequence[Contrast]) -> NDArray[np.float64]:
    """The mediation score (Eq. 1) of every head in every contrast, each head patched alone.

    Args:
        subject: The model.
        pairs: N contrasts that patch at the same place, the mention or the last token.

    Returns:
        float64 [N, layer, head], in logits.

    Raises:
        ValueError: The two sides of a contrast are not the same prompt.
    """
    clean, patched = read_patched_logits(subject, pairs)
    return mediation_score(patched, clean[:, None, None])


def read_patched_logits(
    subject: Subject, pairs: Sequence[Contrast], values: torch.Tensor | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The logits of the two answers of Eq. 1, without a patch and with each head patched alone.

    Args:
        subject: The model.
        pairs: N contrasts that patch at the same place, the mention or the last token.
        values: What is patched, if the counterfactual sides were run before, see `Patches.of`.

    Returns:
        Logits of (the answer that the patch predicts, the clean answer): float64 [N, 2] without a patch, and
        [N, layer, head, 2] with it.

    Raises:
        ValueError: The two sides of a contrast are not the same prompt.
    """
    heads = list(np.ndindex(subject.layers, subject.heads))
    before, patched = Patches.of(subject, pairs, heads, values).read_logits()
    shape = (len(pairs), subject.layers, subject.heads, 2)
    return before, patched.transpose(1, 0, 2).reshape(shape)


@dataclass(frozen=True)
class Patches:
    """Contrasts, and for each of some heads the edit that patches it alone.

    Attributes:
        subject: The model.
        clean: The clean sides, N rows.
        tokens: int64 [N, S], where each contrast is patched.
        read: int64 [N, 2], the tokens whose logits are read: of the answer that the patch predicts, and of
            the clean one.
        edits: One for each head.
    """

    subject: Subject
    clean: Batch
    tokens: torch.Tensor
    read: torch.Tensor
    edits: list[Edit]

    @classmethod
    def of(
        cls,
        subject: Subject,
        pairs: Sequence[Contrast],
        heads: Sequence[tuple[int, int]],
        values: torch.Tensor | None = None,
    ) -> Patches:
        """Take the values for the patches of these (layer, head) from the counterfactual sides.

        Args:
            subject: The model.
            pairs: N contrasts that patch at the same place.
            heads: Which heads.
            values: The outputs of all heads on the counterfactual sides at the patched tokens, [L, N, S, H, w],
                or at more that repeat the last one; the sides are run if None.

        Raises:
            ValueError: The two sides of a contrast are not the same prompt.
        """
        if values is None:
            clean, other = encode_sides(subject, pairs)
            tokens = find_patched_tokens(clean, pairs)
            values = capture(subject, other, "head", tokens)
        else:
            clean = subject.encode([p.clean for p in pairs])
            tokens = find_patched_tokens(clean, pairs)
        values = values[:, :, : tokens.shape[1]].to(subject.device)
        words = [(p.patched_answer, p.clean_answer) for p in pairs]
        read = torch.tensor(
            [
                [subject.answer_id(p.clean.prompt, w) for w in of]
                for p, of in zip(pairs, words, strict=True)
            ]
        )
        edits = [
            Edit("head", layer, tokens, values[layer][:, :, [head]], (head,))
            for layer, head in heads
        ]
        return cls(subject, clean, tokens, read, edits)

    def scores(self, *, at_patch: bool = False) -> NDArray[np.float64]:
        """The mediation score (Eq. 1) of every patch, float64 [heads, N], in logits; see `read_logits`."""
        before, patched = self.read_logits(at_patch=at_patch)
        return mediation_score(patched, before)

    def read_logits(
        self, *, at_patch: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The logits of the answers of `read` without a patch [N, 2], and under every patch [heads, N, 2].

        Args:
            at_patch: Read the logits at the patched token, as the public reproduction did (protocol, section 9,
                number 1); else at the last token, where the equation has them.
        """
        at = self.tokens[:, -1] if at_patch else None
        variants: list[list[Edit]] = [[], *([edit] for edit in self.edits)]
        logits = replay(self.subject, self.clean, variants, self.read, at=at).double().numpy()
        return logits[0], logits[1:]


def encode_sides(subject: Subject, pairs: Sequence[Contrast]) -> tuple[Batch, Batch]:
    """The clean and the counterfactual sides of contrasts as batches, whose tokens are the same.

    Raises:
        ValueError: The two sides of a contrast are not the same prompt.
    """
    clean = subject.encode([p.clean for p in pairs])
    other = subject.encode([p.counterfactual for p in pairs])
    if not torch.equal(clean.input_ids, other.input_ids):
        raise ValueError(f"{subject.name}: clean and counterfactual differ in the prompt's tokens")
    return clean, other


def find_patched_tokens(batch: Batch, pairs: Sequence[Contrast]) -> torch.Tensor:
    """The tokens that each contrast patches, int64 [B, S]; a shorter mention repeats its last one."""
    if pairs[0].patched == "last":
        return torch.full((len(batch), 1), batch.last)
    mentions = [row[0] for row in batch.mentions]
    longest = max(map(len, mentions))
    return torch.tensor([m + m[-1:] * (longest - len(m)) for m in mentions])
