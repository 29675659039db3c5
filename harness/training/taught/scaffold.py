"""What helps codes and heads to come to be where they should: read-outs, directions of attention, absences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from harness.stimuli.contrast import Condition
from harness.stimuli.scene import COLORS, SHAPES
from harness.training.architectures import HEADS, WIDTH
from harness.training.taught.decoder import Decoder
from harness.training.taught.groups import KINDS, PROMPTS, REPLACED, SWAPPED
from harness.training.taught.recipes import Place, Recipe
from harness.training.taught.sheets import SIDE, Clean


class ReadOuts(torch.nn.Module):
    """Linear read-outs of places and features, one for each layer and canvas, used in training only."""

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

    def losses(self, clean: Clean) -> tuple[torch.Tensor, dict[str, float]]:
        """Mean cross-entropy of all read-outs, and the share that each gets right."""
        sheet, cells = clean.sheet, clean.sheet.grid_cells
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


def measure_strays(clean: Clean, recipe: Recipe) -> torch.Tensor:
    """How much of a code heads outside its stage bring: relative squared differences across a contrast.

    No other head may bring places to the mentions or to the last token before they are used there; with
    `strict`, no other may bring features of the target to the last token. Outputs are compared before the
    output projection.

    Returns:
        One number for each stage that is asked, about 1 where what heads bring is all code.
    """
    sheet = clean.sheet
    rows = len(sheet.ids)
    group, kind = torch.arange(rows) // KINDS * KINDS, torch.arange(rows) % KINDS
    swapped, replaced = (group + torch.tensor(of)[kind] for of in (SWAPPED, REPLACED))
    mentions = [t for m in sheet.mentions for t in m]
    last = [sheet.tokens - 1]
    asked: list[tuple[Condition, Condition, list[int], torch.Tensor, int]] = [
        ("id_retrieval", "id_selection", mentions, swapped, PROMPTS),
        ("id_selection", "id_selection", last, swapped, PROMPTS),
    ]
    if recipe.strict:
        asked.append(("feature_retrieval", "feature_retrieval", last, replaced, 1))
    found = []
    for stage, until, tokens, other, prompts in asked:
        of_stage = []
        for layer in range(max(layer for layer, _ in recipe.heads[until]) + 1):
            free = [h for h in range(HEADS) if (layer, h) not in recipe.heads[stage]]
            heads = clean.read.heads[layer].view(rows, PROMPTS, sheet.tokens, HEADS, -1)
            here = heads[:, :prompts, tokens][..., free, :]
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
    clean: Clean, places: Sequence[Place], tokens: Sequence[int], wanted: torch.Tensor
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
