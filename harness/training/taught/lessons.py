"""The losses of one step: the task, read-outs, and answers that follow heads patched from another scene.

A patch means what the contrasts of section 3.4 say (`harness/stimuli/contrast.py`), on scenes of two to six
objects: the place retrieved at the mentions or selected at the last token is that of the swapped scene, and the
features retrieved are those of the scene with another target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from harness.stimuli.contrast import CONDITIONS, Condition
from harness.stimuli.draw import draw
from harness.stimuli.scene import COLORS, SHAPES
from harness.training.architectures import HEADS, LAYERS, WIDTH, Untrained
from harness.training.taught.decoder import Decoder, Pass, Patch, mark
from harness.training.taught.groups import KINDS, PROMPTS, REPLACED, SWAPPED, Group
from harness.training.taught.recipes import Recipe

SIDE = 8
"""Image tokens in a row of an image."""

OTHERS = "all other heads"
"""The lesson in which every head outside the stages is patched, which must change nothing."""

PART = "part of a stage"
"""The lesson in which some heads of a stage are patched, which must move the answer by their share."""

LESSONS = (*CONDITIONS, OTHERS, PART)


@dataclass(frozen=True)
class Sheet:
    """The groups of a step as tensors: R images with K prompts of T tokens each.

    Attributes:
        pixels: What the image processor gives.
        ids: Tokens of the prompts [R, K, T].
        start: The first token of the first mention.
        mentions: Tokens that name each of M described objects, with the comma after it.
        ends: Tokens at which an object has been named in full: its noun, and the comma after it.
        described_cells: Cell of each described object [R, K, M].
        cells: Cell of the target [R, K].
        colors, shapes: Its color and shape, as numbers [R, K].
        described_tokens: Image tokens that each described object covers, bool [R, K, M, 64].
        target_tokens: Image tokens that the target covers, bool [R, K, 64].
        color_ids: Token of the target's color [R, K].
        partner_ids: Token of the color of the object that trades places with it [R, K].
    """

    pixels: dict[str, torch.Tensor]
    ids: torch.Tensor
    start: int
    mentions: tuple[tuple[int, ...], ...]
    ends: tuple[tuple[int, ...], ...]
    described_cells: torch.Tensor
    cells: torch.Tensor
    colors: torch.Tensor
    shapes: torch.Tensor
    described_tokens: torch.Tensor
    target_tokens: torch.Tensor
    color_ids: torch.Tensor
    partner_ids: torch.Tensor

    @property
    def tokens(self) -> int:
        """The number of tokens of a prompt."""
        return self.ids.shape[-1]


def write_sheet(groups: Sequence[Group], subject: Untrained) -> Sheet:
    """Tokenize the groups of a step, which have one layout, and draw their images."""
    tokenizer = subject.tokenizer
    scenes = [s for g in groups for s in g.scenes]
    prompts = [p for g in groups for row in g.prompts for p in row]
    encoded = tokenizer(
        [p.text for p in prompts], return_offsets_mapping=True, add_special_tokens=False
    )
    ids = torch.tensor(encoded["input_ids"])
    first, offsets = prompts[0], encoded["offset_mapping"][0]
    mentions, ends = [], []
    read = len(first.text)
    for span, comma in zip(first.mentions, first.separators, strict=True):
        if span[1] > read:
            continue
        named = [j for j, (a, b) in enumerate(offsets) if a >= span[0] and b <= span[1]]
        after = [j for j, (a, _) in enumerate(offsets) if comma and a == comma[0]]
        mentions.append((*named, *after))
        ends.append((named[-1], *after))
    shape = (len(scenes), PROMPTS)
    grid = groups[0].scenes[0].grid
    cells = grid.cells
    covered = torch.zeros(len(cells), SIDE * SIDE, dtype=torch.bool)
    for index, cell in enumerate(cells):
        covered[index, list(grid.tokens(cell, SIDE))] = True
    colors, kinds = list(COLORS), list(SHAPES)

    def number(values: list[int]) -> torch.Tensor:
        return torch.tensor(values).view(*shape)

    rows = [(g, k, q) for g in groups for k in range(KINDS) for q in range(PROMPTS)]
    targets = [g.targets[k][q] for g, k, q in rows]
    word = {c: int(tokenizer.convert_tokens_to_ids(c)) for c in COLORS}
    described = torch.tensor(
        [cells.index(g.scenes[k].cell_of(o)) for g, k, q in rows for o in g.described[k][q]]
    ).view(*shape, -1)
    where = number([cells.index(g.scenes[k].cell_of(g.targets[k][q])) for g, k, q in rows])
    return Sheet(
        dict(subject.image_processor(images=[draw(s) for s in scenes], return_tensors="pt")),
        ids.view(*shape, -1),
        mentions[0][0],
        tuple(mentions),
        tuple(ends),
        described,
        where,
        number([colors.index(t.color) for t in targets]),
        number([kinds.index(t.shape) for t in targets]),
        covered[described],
        covered[where],
        number([word[t.color] for t in targets]),
        number([word[g.swapped[k][q].color] for g, k, q in rows]),
    )


@torch.no_grad()
def embed(subject: Untrained, pixels: dict[str, torch.Tensor]) -> torch.Tensor:
    """Embeddings of images [R, 64, WIDTH] from the vision tower and the projector, which stay as they are."""
    found = subject.model.model.get_image_features(**pixels).pooler_output
    return found if isinstance(found, torch.Tensor) else torch.stack(list(found))


@dataclass(frozen=True)
class Clean:
    """A sheet as the model reads it.

    Attributes:
        sheet: What is read.
        seen: The run of the images.
        read: The run of the prompts, K x T tokens a row.
    """

    sheet: Sheet
    seen: Pass
    read: Pass

    def at(self, state: int, tokens: Sequence[int]) -> torch.Tensor:
        """States [R, K, tokens, WIDTH] at the input of a layer (or the output of the last)."""
        rows = self.read.states[state]
        return rows.view(len(rows), PROMPTS, self.sheet.tokens, -1)[:, :, list(tokens)]


def read_sheet(decoder: Decoder, sheet: Sheet) -> Clean:
    """Run the images, and then all prompts, each blind to the others."""
    seen = decoder.see(embed(decoder.subject, sheet.pixels))
    rows = len(sheet.ids)
    before, tokens = seen.keys[0].shape[2], sheet.tokens
    block = torch.arange(PROMPTS).repeat_interleave(tokens)
    own = (block[:, None] == block) & torch.ones(len(block), len(block), dtype=torch.bool).tril()
    sees = torch.cat([torch.ones(len(block), before, dtype=torch.bool), own], 1)
    hidden = decoder.language.embed_tokens(sheet.ids.view(rows, -1))
    cos, sin = (t.repeat(1, PROMPTS, 1) for t in decoder.turn_prompt(tokens))
    return Clean(sheet, seen, decoder.run(hidden, (cos, sin), past=(seen,), sees=sees))


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
    logits = _rerun(decoder, clean, where, source)
    instead = sheet.color_ids[..., None].expand_as(wanted)
    return Lessons(logits, wanted, instead, share)


def _rerun(
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


class ReadOuts(torch.nn.Module):
    """Linear read-outs of places and features, one for each layer and canvas, which are thrown away later."""

    def __init__(self, recipe: Recipe) -> None:
        """Make them with zero weights, so that the generator of the weights is not asked."""
        super().__init__()
        self.recipe = recipe
        sizes = {
            **{f"mention {n} {layer}": n for n in (4, 9) for layer in recipe.mention_layers},
            **{f"place {n} {layer}": n for n in (4, 9) for layer in recipe.place_layers},
            **{f"color {layer}": len(COLORS) for layer in recipe.feature_layers},
            **{f"shape {layer}": len(SHAPES) for layer in recipe.feature_layers},
        }
        parts = {k: torch.nn.Linear(WIDTH, n) for k, n in sizes.items()}
        for part in parts.values():
            torch.nn.init.zeros_(part.weight)
            torch.nn.init.zeros_(part.bias)
        self.parts = torch.nn.ModuleDict(parts)

    def losses(self, clean: Clean, cells: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Mean cross-entropy of all read-outs, and the share that each gets right."""
        sheet = clean.sheet
        found, right = [], {}
        last = (sheet.tokens - 1,)
        asked: list[tuple[str, int, list[int], torch.Tensor]] = []
        for layer in self.recipe.mention_layers:
            tokens = [t for end in sheet.ends for t in end]
            which = [i for i, end in enumerate(sheet.ends) for _ in end]
            asked.append((f"mention {cells}", layer, tokens, sheet.described_cells[:, :, which]))
        for layer in self.recipe.place_layers:
            asked.append((f"place {cells}", layer, list(last), sheet.cells[..., None]))
        for layer in self.recipe.feature_layers:
            asked.append(("color", layer, list(last), sheet.colors[..., None]))
            asked.append(("shape", layer, list(last), sheet.shapes[..., None]))
        for code, layer, tokens, truth in asked:
            state = clean.at(layer + 1, tokens)
            state = functional.rms_norm(state, (WIDTH,))
            logits = self.parts[f"{code} {layer}"](state)
            found.append(functional.cross_entropy(logits.flatten(0, -2), truth.flatten()))
            right[f"{code} {layer}"] = float((logits.argmax(-1) == truth).float().mean())
        codes = [code.split()[0] for code, *_ in asked]
        means = [
            torch.stack([x for x, c in zip(found, codes, strict=True) if c == code]).mean()
            for code in dict.fromkeys(codes)
        ]
        return torch.stack(means).sum(), right


def measure_early(clean: Clean, recipe: Recipe) -> torch.Tensor:
    """How much of a code stands before its heads: relative squared differences of states across a contrast.

    Places must not stand at mentions before retrieval or at the last token before selection; with `strict`,
    features must not stand at the last token before feature retrieval.
    """
    sheet = clean.sheet
    rows = len(sheet.ids)
    group, kind = torch.arange(rows) // KINDS * KINDS, torch.arange(rows) % KINDS
    swapped, replaced = (group + torch.tensor(of)[kind] for of in (SWAPPED, REPLACED))
    mentions = [t for m in sheet.mentions for t in m]
    last = [sheet.tokens - 1]
    first = {stage: min(layer for layer, _ in recipe.heads[stage]) for stage in CONDITIONS}
    asked: list[tuple[Condition, list[int], torch.Tensor, int]] = [
        ("id_retrieval", mentions, swapped, PROMPTS),
        ("id_selection", last, swapped, PROMPTS),
    ]
    if recipe.strict:
        asked.append(("feature_retrieval", last, replaced, 1))
    found = []
    for stage, tokens, other, prompts in asked:
        of_stage = []
        for state in range(1, first[stage] + 1):
            here = clean.at(state, tokens)[:, :prompts]
            apart = (here - here[other]).square().sum(-1).mean()
            of_stage.append(apart / here.detach().square().sum(-1).mean())
        found.append(torch.stack(of_stage).mean())
    return torch.stack(found)


def measure_looks(decoder: Decoder, clean: Clean, recipe: Recipe) -> dict[str, torch.Tensor]:
    """How much of their attention heads give to what they should look at, in equal parts.

    Retrieval heads should look at the object that was named, where it has been named in full. At the last
    token selection heads should look at the mentions, the gathering head at all objects, and feature heads at
    the target.

    Returns:
        By stage the share of attention [..., parts], times the number of parts: 1 where all goes as it should.
    """
    sheet = clean.sheet
    ends = [t for end in sheet.ends for t in end]
    which = [i for i, end in enumerate(sheet.ends) for _ in end]
    last = [sheet.tokens - 1]
    prefix = len(decoder.prefix)
    at = int(torch.nonzero(decoder.prefix == decoder.subject.model.config.image_token_id)[0])
    rows, count = len(sheet.ids), len(sheet.ends)
    image = slice(at, at + SIDE * SIDE)

    def blank(tokens: int, parts: int) -> torch.Tensor:
        return torch.zeros(rows, PROMPTS, tokens, parts, prefix + sheet.tokens)

    named = blank(len(ends), 1)
    named[:, :, :, 0, image] = sheet.described_tokens[:, :, which].float()
    mentions = blank(1, count)
    for part, end in enumerate(sheet.ends):
        mentions[..., part, [prefix + t for t in end]] = 1
    target = blank(1, 1)
    target[:, :, 0, 0, image] = sheet.target_tokens.float()
    shown = blank(1, count + 1)
    shown[:, :, 0, :count, image] = sheet.described_tokens.float()
    shown[:, :, 0, count, image] = sheet.target_tokens.float()
    asked = {
        "id_retrieval": (recipe.heads["id_retrieval"], ends, named),
        "id_selection": (recipe.heads["id_selection"], last, mentions),
        "gather": ((recipe.gather,), last, shown),
        "feature_retrieval": (recipe.heads["feature_retrieval"], last, target),
    }
    return {k: _look(clean, places, t, w) for k, (places, t, w) in asked.items()}


def _look(
    clean: Clean, places: Sequence[tuple[int, int]], tokens: Sequence[int], wanted: torch.Tensor
) -> torch.Tensor:
    """Attention that heads give from tokens to parts of a sequence, `wanted` [R, K, tokens, parts, T]."""
    rows, length = len(clean.sheet.ids), clean.sheet.tokens
    causal = torch.arange(length) <= torch.tensor(list(tokens))[:, None]
    shares = []
    for layer, head in places:
        seen, read = clean.seen.keys[layer], clean.read.keys[layer]
        key_head = head * seen.shape[1] // HEADS
        query = clean.read.queries[layer][:, head].view(rows, PROMPTS, length, -1)
        query = query[:, :, list(tokens)] / query.shape[-1] ** 0.5
        own = read[:, key_head].view(rows, PROMPTS, length, -1)
        before = torch.einsum("rktd,rpd->rktp", query, seen[:, key_head])
        here = torch.einsum("rktd,rkpd->rktp", query, own).masked_fill(~causal, -torch.inf)
        share = torch.cat([before, here], -1).softmax(-1)
        shares.append(torch.einsum("rktp,rktnp->rktn", share, wanted) * wanted.shape[3])
    return torch.stack(shares, -1)
