"""Reads and replaces outputs of heads by hooks of torch, in the model's own forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.stimuli.draw import draw
from harness.stimuli.prompt import Trial
from harness.stimuli.scene import COLORS
from harness.training.architectures import HEADS, Untrained
from harness.training.packing import image_prefix
from harness.training.taught.recipes import Place


@dataclass(frozen=True)
class Read:
    """N trials as the model gets them.

    Attributes:
        inputs: What the model takes.
        mentions: Tokens that name each described object, in every trial the same [M][2].
        commas: The comma after each, where there is one.
        last: The last token.
    """

    inputs: dict[str, torch.Tensor]
    mentions: list[list[int]]
    commas: list[int]
    last: int


@dataclass(frozen=True)
class Seen:
    """What hooks saw in a run: `heads` [LAYERS, N, T, HEADS, d], `states` [LAYERS, N, T, width], `said` [N]."""

    heads: torch.Tensor
    states: torch.Tensor
    said: NDArray[np.str_]


Edit = Callable[[int, torch.Tensor], torch.Tensor]
"""From a layer and the output of its heads [N, T, HEADS, d] to what takes its place."""


class Hooked:
    """A subject whose heads are read and replaced by hooks."""

    def __init__(self, subject: Untrained) -> None:
        """Take a subject in evaluation mode."""
        self.subject = subject
        self.layers = subject.model.model.language_model.layers
        self.words = {int(subject.tokenizer.convert_tokens_to_ids(c)): c for c in COLORS}

    def encode(self, trials: Sequence[Trial]) -> Read:
        """Tokenize trials whose prompts have one layout."""
        tokenizer, model = self.subject.tokenizer, self.subject.model
        prefix, _ = image_prefix(tokenizer, model)
        text = tokenizer(
            [t.prompt.text for t in trials], return_offsets_mapping=True, add_special_tokens=False
        )
        ids = torch.cat(
            [torch.tensor(prefix).expand(len(trials), -1), torch.tensor(text["input_ids"])], 1
        )
        images = self.subject.image_processor(
            images=[draw(t.scene) for t in trials], return_tensors="pt"
        )
        inputs = {"input_ids": ids, **images}
        if model.config.model_type == "qwen2_vl":
            inputs["mm_token_type_ids"] = (ids == model.config.image_token_id).int()
        prompt, offsets = trials[0].prompt, text["offset_mapping"][0]
        named = [s for s in prompt.mentions if s[1] <= len(prompt.text)]
        commas = [c[0] for c in prompt.separators if c is not None]
        at = len(prefix)
        return Read(
            inputs,
            [
                [at + j for j, (a, b) in enumerate(offsets) if a >= s[0] and b <= s[1]]
                for s in named
            ],
            [at + j for j, (a, _) in enumerate(offsets) if a in commas],
            ids.shape[1] - 1,
        )

    @torch.no_grad()
    def run(self, read: Read, edit: Edit | None = None) -> Seen:
        """Run the model once, with the heads of every layer replaced by what `edit` gives."""
        heads: list[torch.Tensor] = []
        states: list[torch.Tensor] = []

        def at_heads(layer: int) -> Callable[..., tuple[torch.Tensor]]:
            def hook(module: torch.nn.Module, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
                rows, tokens = args[0].shape[:2]
                out = args[0].view(rows, tokens, HEADS, -1)
                out = out if edit is None else edit(layer, out.clone())
                heads.append(out)
                return (out.reshape(rows, tokens, -1),)

            return hook

        def at_state(module: torch.nn.Module, args: Any, output: Any) -> None:
            states.append(output if isinstance(output, torch.Tensor) else output[0])

        with _hooked(self.layers, at_heads, at_state):
            logits = self.subject.model(**read.inputs, use_cache=False).logits[:, -1]
        said = [self.words.get(i, "") for i in logits.argmax(-1).tolist()]
        return Seen(torch.stack(heads), torch.stack(states), np.array(said))


@contextmanager
def _hooked(layers: Sequence[Any], at_heads: Callable[[int], Any], at_state: Any) -> Iterator[None]:
    handles = []
    for index, layer in enumerate(layers):
        handles.append(layer.self_attn.o_proj.register_forward_pre_hook(at_heads(index)))
        handles.append(layer.register_forward_hook(at_state))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def replace_heads(source: torch.Tensor, at: Callable[[Place], Sequence[int]]) -> Edit:
    """An edit that takes heads from other values.

    Args:
        source: Output of the heads [LAYERS, N, T, HEADS, d], or [LAYERS, 1, T, HEADS, d] for all trials.
        at: From (layer, head) to the tokens at which it is replaced.
    """

    def edit(layer: int, out: torch.Tensor) -> torch.Tensor:
        for head in range(HEADS):
            tokens = list(at((layer, head)))
            if tokens:
                out[:, tokens, head] = source[layer][:, tokens, head]
        return out

    return edit
