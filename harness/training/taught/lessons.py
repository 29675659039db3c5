"""Answers that should follow heads patched from another scene.

A patch means what the contrasts of section 3.4 say (`harness/stimuli/contrast.py`), on scenes of two to six
objects: the place retrieved at the mentions or selected at the last token is that of the swapped scene, and the
features retrieved are those of the scene with another target.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from harness.stimuli.contrast import CONDITIONS
from harness.training.architectures import HEADS, LAYERS, WIDTH
from harness.training.taught.decoder import Decoder, Patch, mark
from harness.training.taught.groups import KINDS, PROMPTS, REPLACED, SWAPPED
from harness.training.taught.recipes import Recipe
from harness.training.taught.sheets import Clean

OTHERS = "all other heads"
"""The lesson in which every head outside the stages is patched, which must change nothing."""

PART = "part of a stage"
"""The lesson in which some heads of a stage are patched, which must move the answer by their share."""

LESSONS = (*CONDITIONS, OTHERS, PART)


@dataclass(frozen=True)
class Lessons:
    """What patched runs answer and should answer, for R images, K prompts and the lessons of `LESSONS`.

    Attributes:
        logits: [R, K, lessons, vocabulary].
        wanted: Token that should come [R, K, lessons].
        instead: Token of the clean answer [R, K, lessons]; in `PART` it keeps the share of heads left alone.
        share: Share of the stage's heads that are patched [R, K, lessons].
    """

    logits: torch.Tensor
    wanted: torch.Tensor
    instead: torch.Tensor
    share: torch.Tensor

    def losses(self) -> torch.Tensor:
        """Cross-entropy of every patched run [R, K, lessons]."""
        logs = self.logits.log_softmax(-1)
        follow = logs.gather(-1, self.wanted[..., None])[..., 0]
        stay = logs.gather(-1, self.instead[..., None])[..., 0]
        return -(self.share * follow + (1 - self.share) * stay)

    def hits(self) -> torch.Tensor:
        """Whether the wanted answer is the likeliest, bool [R, K, lessons]."""
        return self.logits.argmax(-1) == self.wanted


def teach(decoder: Decoder, clean: Clean, recipe: Recipe, rng: np.random.Generator) -> Lessons:
    """Run every prompt again under the patch of every lesson."""
    sheet = clean.sheet
    rows, tokens, start = len(sheet.ids), sheet.tokens, sheet.start
    late = tokens - start
    stages = {stage: mark(list(recipe.heads[stage])) for stage in CONDITIONS}
    at_mentions = torch.zeros(late, dtype=torch.bool)
    at_mentions[[t - start for m in sheet.mentions for t in m]] = True
    at_last = torch.arange(late) == late - 1
    where_of = {
        stage: (at_mentions if stage == "id_retrieval" else at_last)[:, None, None] & heads
        for stage, heads in stages.items()
    }
    staged = torch.stack(list(where_of.values())).any(0)
    group = torch.arange(rows) // KINDS * KINDS
    kind = torch.arange(rows) % KINDS
    swapped, replaced = (group + torch.tensor(of)[kind] for of in (SWAPPED, REPLACED))
    where = torch.zeros(rows, PROMPTS, len(LESSONS), late, LAYERS, HEADS, dtype=torch.bool)
    source = swapped[:, None, None].repeat(1, PROMPTS, len(LESSONS))
    wanted = sheet.color_ids[..., None].repeat(1, 1, len(LESSONS))
    share = torch.ones(wanted.shape)
    # The prompts of a scene and of the one with another target agree in the first prompt alone.
    for number, stage in enumerate(CONDITIONS):
        where[:, :, number] = where_of[stage]
        if stage == "feature_retrieval":
            source[:, 0, number] = replaced
            wanted[:, 0, number] = sheet.color_ids[replaced, 0]
        else:
            wanted[:, :, number] = sheet.partner_ids
    others, part = LESSONS.index(OTHERS), LESSONS.index(PART)
    where[:, :, others] = ~staged
    both = group + (KINDS - 1) - kind
    choice = torch.from_numpy(rng.integers(3, size=rows))
    source[:, 0, others] = torch.stack([swapped, replaced, both])[choice, torch.arange(rows)]
    for prompt in range(PROMPTS):
        chosen = CONDITIONS[int(rng.integers(3 if prompt == 0 else 2))]
        number = CONDITIONS.index(chosen)
        heads = recipe.heads[chosen]
        some = [heads[i] for i in rng.permutation(len(heads))[: int(rng.integers(1, len(heads)))]]
        where[:, prompt, part] = where_of[chosen] & mark(some)
        source[:, prompt, part] = source[:, prompt, number]
        wanted[:, prompt, part] = wanted[:, prompt, number]
        share[:, prompt, part] = len(some) / len(heads)
    logits = rerun(decoder, clean, where, source)
    instead = sheet.color_ids[..., None].expand_as(wanted)
    return Lessons(logits, wanted, instead, share)


def rerun(
    decoder: Decoder, clean: Clean, where: torch.Tensor, source: torch.Tensor
) -> torch.Tensor:
    """Logits at the last token [R, K, lessons, vocabulary] of every patched run.

    Args:
        decoder: The model.
        clean: Its clean run.
        where: Heads to patch, bool [R, K, lessons, tokens from the first mention on, LAYERS, HEADS].
        source: The row whose heads they take [R, K, lessons].
    """
    sheet = clean.sheet
    rows, tokens, start = len(sheet.ids), sheet.tokens, sheet.start
    lessons, late = where.shape[2:4]
    every = PROMPTS * lessons
    prompt = torch.arange(PROMPTS)[:, None].expand(PROMPTS, lessons).reshape(-1)
    values = []
    for heads in clean.read.heads:
        of = heads.view(rows, PROMPTS, tokens, HEADS, -1)[:, :, start:]
        taken = of[source.view(rows, every), prompt.expand(rows, -1)]
        values.append(taken.view(rows, every * late, HEADS, -1))
    patch = Patch(where.reshape(rows, every * late, LAYERS, HEADS), values)
    before = clean.seen.keys[0].shape[2]
    mine = prompt.repeat_interleave(late)
    read = torch.arange(PROMPTS).repeat_interleave(tokens)
    early = torch.arange(tokens).repeat(PROMPTS) < start
    block = torch.arange(every).repeat_interleave(late)
    own = (block[:, None] == block) & torch.ones(len(block), len(block), dtype=torch.bool).tril()
    sees = torch.cat(
        [
            torch.ones(len(block), before, dtype=torch.bool),
            (mine[:, None] == read) & early,
            own,
        ],
        1,
    )
    hidden = decoder.language.embed_tokens(sheet.ids[:, :, start:])
    hidden = hidden[:, :, None].expand(-1, -1, lessons, -1, -1).reshape(rows, every * late, -1)
    cos, sin = (t[:, start:].repeat(1, every, 1) for t in decoder.turn_prompt(tokens))
    run = decoder.run(hidden, (cos, sin), past=(clean.seen, clean.read), sees=sees, patch=patch)
    last = run.states[-1].view(rows, PROMPTS, lessons, late, WIDTH)[..., -1, :]
    return decoder.read(last)
