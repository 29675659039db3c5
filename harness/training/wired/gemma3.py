"""What is Gemma 3's own in a written control: its sizes, its norms and its windows.

Queries, keys and what attention writes are divided by their own norms. So each of them carries one entry by far
larger than all others, read off the constant slot: the norm divides by it, and its weight drops the entry
afterwards. What is left is what was written, counted from the constant that every token holds. Image tokens
attend to each other in both directions, and every other layer sees no further back than a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    SiglipVisionConfig,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.gemma3.modeling_gemma3 import Gemma3Attention

from harness.training.architectures import CANVAS, HEADS, LAYERS, TOKEN, Untrained
from harness.training.vocabulary import build_tokenizer
from harness.training.wired import siglip
from harness.training.wired.heads import HEAD_DIM, ROPE_THETA, WiredHead
from harness.training.wired.slots import WIDTH, read_constant

IMAGE_TOKENS = ("<image_soft_token>", "<start_of_image>", "<end_of_image>")
KEY_HEADS = 2
WINDOW = 16
"""How many tokens a token sees up to itself in layers between the stages; an image alone has 64."""

QUERY, KEY, WRITTEN = 3e4, 300.0, 3000.0
"""Entries by which the norms of queries, keys and what attention writes divide: eight times all others."""
NORM = 6.5
"""Norm of a token that holds the constant and little else: sizes are those that its normed entries have."""
QUIET = 0.001
"""Size of what the norm after an MLP of noise lets through."""
UNWIRED = 0.1
"""Share of what attention brings that is written in layers of noise: there the norm would make it larger."""


def build() -> Untrained:
    """Build a Gemma 3 of the sizes that the mechanism needs, with weights that are still random."""
    tokenizer = build_tokenizer(IMAGE_TOKENS[0], IMAGE_TOKENS)
    image, begin, end = tokenizer.convert_tokens_to_ids(list(IMAGE_TOKENS))
    kinds = ("sliding_attention", "full_attention")
    text = Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=8,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        head_dim=HEAD_DIM,
        query_pre_attn_scalar=HEAD_DIM,
        sliding_window=WINDOW,
        layer_types=[kinds[layer % 2] for layer in range(LAYERS)],
        rope_parameters={
            kind: {"rope_type": "default", "rope_theta": ROPE_THETA} for kind in kinds
        },
        max_position_embeddings=512,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=None,
    )
    vision = SiglipVisionConfig(
        hidden_size=siglip.TOWER_WIDTH,
        intermediate_size=siglip.TOWER_MLP,
        num_hidden_layers=siglip.TOWER_LAYERS,
        num_attention_heads=siglip.TOWER_HEADS,
        image_size=CANVAS,
        patch_size=TOKEN // siglip.POOLED,
        vision_use_head=False,
    )
    config = Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=siglip.SIDE**2,
        image_token_index=image,
        boi_token_index=begin,
        eoi_token_index=end,
        tie_word_embeddings=False,
    )
    processor = Gemma3ImageProcessorPil(size={"height": CANVAS, "width": CANVAS})
    return Untrained(Gemma3ForConditionalGeneration(config), tokenizer, processor)


@torch.no_grad()
def write_norms(subject: Untrained, heads: Sequence[WiredHead]) -> None:
    """Write what the norms of the text model divide by, and what they let through.

    Args:
        subject: A Gemma 3 of these sizes into which the heads are written.
        heads: The wired heads: where the values of a key head have room left, every head that shares it brings
            its part of the entry that the norm after attention divides by.
    """
    language = subject.model.model.language_model
    # The family multiplies the embeddings of words by the root of its width.
    language.embed_tokens.weight /= WIDTH**0.5
    language.norm.weight.zero_()
    for index, layer in enumerate(language.layers):
        attention = layer.self_attn
        for projection, norm, large in (
            (attention.q_proj, attention.q_norm, QUERY),
            (attention.k_proj, attention.k_norm, KEY),
        ):
            _enlarge(projection.weight, large)
            norm.weight.fill_(_divide(large, HEAD_DIM))
            norm.weight[-1] = -1
        wired = {h.head for h in heads if h.layer == index}
        _bring_constant(attention, wired)
        layer.input_layernorm.weight.zero_()
        share = 1 if wired else UNWIRED
        layer.post_attention_layernorm.weight.fill_(_divide(share * WRITTEN, WIDTH))
        layer.post_attention_layernorm.weight[-1] = -1
        layer.pre_feedforward_layernorm.weight.zero_()
        layer.post_feedforward_layernorm.weight.fill_(QUIET - 1)


def _divide(large: float, width: int) -> float:
    """Weight of a norm (which adds one to it) that undoes its division by the large entry of a usual token."""
    return large * (WIDTH / width) ** 0.5 / NORM - 1


def _enlarge(weight: torch.Tensor, large: float) -> None:
    """Write the large entry into the last dimension of every head.

    Raises:
        ValueError: A head already uses that dimension.
    """
    for last in range(HEAD_DIM - 1, len(weight), HEAD_DIM):
        # Where nothing is wired, all weights have one size.
        sizes = weight[last].abs()
        if sizes.max() > sizes.min():
            raise ValueError(f"row {last} of a query or key is not free")
        weight[last] = torch.tensor(read_constant(large)[0])


def _bring_constant(attention: Gemma3Attention, wired: set[int]) -> None:
    """Let heads bring the constant to the last entry of what attention writes, equally and WRITTEN in sum."""
    shared = attention.num_key_value_groups
    value, output = attention.v_proj.weight, attention.o_proj.weight
    columns = []
    for key_head in range(KEY_HEADS):
        sharing = range(key_head * shared, (key_head + 1) * shared)
        row = (key_head + 1) * HEAD_DIM - 1
        if wired & set(sharing) and bool(value[row].any()):
            continue
        value[row] = torch.tensor(read_constant()[0])
        columns += [(head + 1) * HEAD_DIM - 1 for head in sharing]
    output[-1] = 0
    output[:, columns] = 0
    output[-1, columns] = WRITTEN / len(columns)
