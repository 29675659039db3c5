"""A loaded model with what it needs to read trials: `Subject.encode` turns them into a `Batch`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.stimuli.draw import draw
from harness.stimuli.prompt import Prompt, Span, Trial
from harness.stimuli.scene import COLOURS, EMBEDDED_GRIDS, PAPER_GRIDS, Grid, Scene
from harness.subjects.anatomy import Anatomy
from harness.subjects.registry import Entry, Refused

SYSTEM_TURN = (
    "Complete the sentence describing the scene, starting by the color of the missing object."
)
"""System turn of the chat arrangement, as the public reproduction gives it."""

IMAGES_KEPT, IMAGE_BYTES = 256, 2**28
"""Encoded images kept at most, by number and by size, oldest dropped first; those of a batch always are."""


class SharedFirstPiece(Refused, ValueError):
    """Two answers start with the same token, so the first token cannot tell them apart."""


@dataclass(frozen=True)
class Batch:
    """Trials as a model takes them: B rows of T tokens, padded on the left.

    Attributes:
        trials: The B trials.
        input_ids: int64 [B, T].
        inputs: What the model's forward takes: `inputs_embeds` [B, T, d] with the image in place,
            `attention_mask` [B, T], `position_ids` [B, T] or [3, B, T], and what else the family needs.
            All on the subject's device.
        mentions: For each row, the token indices of each described object, colour to shape.
        separators: For each row, the token index of the comma after each described object, or None.
        image_start: int64 [B], index of the first image token.
        image_grid: (rows, columns) of image tokens, the same for all rows; one row where they are no grid.
    """

    trials: tuple[Trial, ...]
    input_ids: torch.Tensor
    inputs: dict[str, torch.Tensor]
    mentions: tuple[tuple[tuple[int, ...], ...], ...]
    separators: tuple[tuple[int | None, ...], ...]
    image_start: torch.Tensor
    image_grid: tuple[int, int]

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def last(self) -> int:
        """Index of the last token, whose logits are the answer."""
        return self.input_ids.shape[1] - 1

    def of_rows(self, rows: slice) -> Batch:
        """Some of the rows, as long as they are here."""
        inputs = {
            k: v[:, rows] if k == "position_ids" and v.ndim == 3 else v[rows]
            for k, v in self.inputs.items()
        }
        return Batch(
            self.trials[rows],
            self.input_ids[rows],
            inputs,
            self.mentions[rows],
            self.separators[rows],
            self.image_start[rows],
            self.image_grid,
        )


@dataclass
class Subject:
    """A model under test.

    Attributes:
        name: As people type it.
        entry: Its row of the registry.
        anatomy: Where its sites are.
        model: In evaluation mode, without gradients.
        tokenizer: Fast, since spans are mapped by character offsets.
        image_processor: PIL backend.
        fingerprint: Hash of weights, configuration and arrangement.
    """

    name: str
    entry: Entry
    anatomy: Anatomy
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    image_processor: Any
    fingerprint: str
    _images: OrderedDict[str, tuple[torch.Tensor, tuple[int, int]]] = field(
        default_factory=OrderedDict, repr=False
    )

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    @property
    def layers(self) -> int:
        """Decoder layers."""
        return self.model.config.get_text_config().num_hidden_layers

    @property
    def heads(self) -> int:
        """Query heads per layer."""
        return self.model.config.get_text_config().num_attention_heads

    @property
    def key_heads(self) -> int:
        """Heads of keys and values per layer; several query heads may share one."""
        return self.model.config.get_text_config().num_key_value_heads

    @property
    def head_width(self) -> int:
        """Features of one head."""
        config = self.model.config.get_text_config()
        return getattr(config, "head_dim", None) or config.hidden_size // self.heads

    @property
    def grids(self) -> dict[int, Grid]:
        """The canvases this subject is shown, by rows."""
        return EMBEDDED_GRIDS if self.entry.scale == "embedded" else PAPER_GRIDS

    def encode(self, trials: Sequence[Trial]) -> Batch:
        """Trials as one batch.

        Images are encoded once per scene and shared by the prompts about them. Spans are mapped to
        tokens by character offsets, so a word of several pieces keeps all of them.

        Raises:
            ValueError: No trials, or images of different sizes in one batch.
        """
        if not trials:
            raise ValueError("no trials to encode")
        self._encode_images([t.scene for t in trials])
        encoded = [self._images[t.scene.key] for t in trials]
        grids = [grid for _, grid in encoded]
        if len(set(grids)) > 1:
            raise ValueError(f"images of different sizes in one batch: {sorted(set(grids))}")
        rows, columns = grids[0]
        texts, shifts = zip(
            *(self._arranged(t.prompt.text, rows * columns) for t in trials), strict=True
        )
        tokens = self.tokenizer(
            list(texts),
            return_offsets_mapping=True,
            add_special_tokens=self._adds_special,
            padding=False,
        )
        longest = max(len(ids) for ids in tokens["input_ids"])
        pad = self.tokenizer.pad_token_id or 0
        input_ids = torch.full((len(trials), longest), pad)
        mask = torch.zeros(len(trials), longest, dtype=torch.int64)
        mentions, separators = [], []
        for r, (ids, offsets) in enumerate(
            zip(tokens["input_ids"], tokens["offset_mapping"], strict=True)
        ):
            left = longest - len(ids)
            input_ids[r, left:] = torch.tensor(ids)
            mask[r, left:] = 1
            prompt, shift = trials[r].prompt, shifts[r]
            spans = [s for s in prompt.mentions if s[1] <= len(prompt.text)]
            mentions.append(tuple(tokens_of(s, offsets, shift, left) for s in spans))
            commas = prompt.separators[: len(spans)]
            separators.append(
                tuple(tokens_of(c, offsets, shift, left)[-1] if c else None for c in commas)
            )
        input_ids, mask = input_ids.to(self.device), mask.to(self.device)
        embeds = self.model.get_input_embeddings()(input_ids)
        is_image = input_ids == self.model.config.image_token_id
        if not bool((is_image.sum(-1) == rows * columns).all()):
            raise ValueError(
                f"{self.name}: the tokenizer does not keep {self.anatomy.image_token!r} whole: "
                f"{int(is_image[0].sum())} image tokens where {rows * columns} were written"
            )
        image = torch.stack([e for e, _ in encoded]).to(embeds.dtype)
        embeds = embeds.masked_scatter(is_image[..., None], image)
        positions = self.anatomy.position_ids(self.model, input_ids, mask, grids)
        inputs = {"inputs_embeds": embeds, "attention_mask": mask, "position_ids": positions}
        if self.anatomy.token_types:
            inputs[self.anatomy.token_types] = is_image.long()
        return Batch(
            tuple(trials),
            input_ids,
            inputs,
            tuple(mentions),
            tuple(separators),
            is_image.int().argmax(-1),
            (rows, columns),
        )

    def answer_id(self, prompt: Prompt, word: str) -> int:
        """The token with which this subject begins `word` after `prompt`.

        It is read off the tokenised text, not from the word alone: most tokenizers write a word after
        a space differently.
        """
        key = (prompt.text[-1:], word)
        if key not in self._answers:
            text, _ = self._arranged(prompt.text, 1)
            glue = "" if text[-1:].isspace() else " "
            joined = self.tokenizer(
                text + glue + word,
                return_offsets_mapping=True,
                add_special_tokens=self._adds_special,
            )
            span = (len(text) + len(glue), len(text) + len(glue) + len(word))
            first = tokens_of(span, joined["offset_mapping"], 0, 0)[0]
            self._answers[key] = joined["input_ids"][first]
        return self._answers[key]

    def check_answers(self, prompt: Prompt, words: Sequence[str] = tuple(COLOURS)) -> None:
        """Every answer must start with a token of its own.

        Raises:
            SharedFirstPiece: Two words share their first token, or one is unknown to the tokenizer.
        """
        unknown = self.tokenizer.unk_token_id
        seen: dict[int, str] = {}
        for word in words:
            token = self.answer_id(prompt, word)
            piece = self.tokenizer.convert_ids_to_tokens(token)
            if token == unknown:
                raise SharedFirstPiece(
                    f"{self.name}: the tokenizer does not know the answer {word!r}"
                )
            if token in seen:
                raise SharedFirstPiece(
                    f"{self.name}: the answers {seen[token]!r} and {word!r} start with the same token "
                    f"{piece!r}, so the first token cannot tell them apart; use other colours or tokenizer"
                )
            seen[token] = word

    @cached_property
    def _answers(self) -> dict[tuple[str, str], int]:
        return {}

    @property
    def _adds_special(self) -> bool:
        # A chat template writes its own special tokens.
        return self.entry.arrangement == "plain"

    def _arranged(self, text: str, image_tokens: int) -> tuple[str, int]:
        """The whole text that the tokenizer sees, and where the prompt begins in it."""
        image = self.anatomy.image_token * image_tokens
        if self.entry.arrangement == "plain":
            before = self.anatomy.plain.format(image=image)
            return before + text, len(before)
        turns = [
            {"role": "system", "content": [{"type": "text", "text": SYSTEM_TURN}]},
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]},
        ]
        whole = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        whole = whole.replace(self.anatomy.image_token, image, 1)
        return whole, whole.rindex(text)

    @torch.no_grad()
    def _encode_images(self, scenes: Sequence[Scene]) -> None:
        new = {s.key: s for s in scenes if s.key not in self._images}
        if new:
            drawn = [draw(s) for s in new.values()]
            images = [[image] for image in drawn] if self.anatomy.images_nested else drawn
            pixels = self.image_processor(images=images, return_tensors="pt")
            inputs = {k: pixels[k].to(self.device) for k in self.anatomy.image_inputs}
            inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
            features = self.model.model.get_image_features(**inputs, return_dict=True).pooler_output
            if self.anatomy.image_grid is None:
                grids = [(1, len(f)) for f in features]
            else:
                grids = self.anatomy.image_grid(self.model.config, pixels)
            for key, embedding, grid in zip(new, features, grids, strict=True):
                if len(embedding) != grid[0] * grid[1]:
                    raise ValueError(
                        f"{self.name}: {len(embedding)} image tokens for a {grid} grid"
                    )
                # A copy: a view would keep the whole batch that it was encoded in.
                self._images[key] = (embedding.clone(), grid)
        wanted = dict.fromkeys(s.key for s in scenes)
        for key in wanted:
            self._images.move_to_end(key)
        held = sum(e.nbytes for e, _ in self._images.values())
        while len(self._images) > len(wanted) and (
            len(self._images) > IMAGES_KEPT or held > IMAGE_BYTES
        ):
            held -= self._images.popitem(last=False)[1][0].nbytes


def tokens_of(span: Span, offsets: Sequence[Span], shift: int, left: int) -> tuple[int, ...]:
    """Indices of the tokens that overlap a span of characters.

    Args:
        span: Half open, in characters of the prompt.
        offsets: Half-open span of each token, in characters of the whole text.
        shift: Where the prompt begins in the whole text.
        left: Padding tokens before the text, added to every index.

    Raises:
        ValueError: No token overlaps the span.
    """
    begin, end = span[0] + shift, span[1] + shift
    found = tuple(left + i for i, (a, b) in enumerate(offsets) if a < end and b > begin and b > a)
    if not found:
        raise ValueError(f"no token covers characters {begin} to {end}")
    return found
