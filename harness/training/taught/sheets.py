"""The groups of a step as tensors, and what the model reads from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from harness.stimuli.draw import draw
from harness.stimuli.scene import COLORS, SHAPES
from harness.training.architectures import Untrained
from harness.training.taught.decoder import Decoder, Pass
from harness.training.taught.groups import KINDS, PROMPTS, Group

SIDE = 8
"""Image tokens in a row of an image."""


@dataclass(frozen=True)
class Sheet:
    """The groups of a step as tensors: R images with K prompts of T tokens each.

    Attributes:
        pixels: What the image processor gives.
        ids: Tokens of the prompts [R, K, T].
        start: The first token of the first mention.
        grid_cells: Number of cells of the canvas.
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
    grid_cells: int
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
        len(cells),
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
