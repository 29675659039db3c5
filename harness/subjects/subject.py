"""A loaded model with its tokenizer and image processor: `Subject.encode` turns trials into a `Batch`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.stimuli.design import EVERY_OBJECT, HIGH_ENTROPY
from harness.stimuli.draw import draw
from harness.stimuli.prompt import Prompt, Span, Trial
from harness.stimuli.rows import choose_row_grid
from harness.stimuli.scene import EMBEDDED_GRIDS, PAPER_GRIDS, Grid, Object, Scene
from harness.subjects.anatomy import Anatomy
from harness.subjects.arrangement import arrange_text
from harness.subjects.batch import Batch, group_by_image
from harness.subjects.contents import Contents
from harness.subjects.deepstack import ADDED
from harness.subjects.layout import Layout
from harness.subjects.registry import EndsTexts, Entry
from harness.subjects.spelling import FirstTokens, Speech, Style

if TYPE_CHECKING:
    from transformers import BaseImageProcessor, BatchFeature

IMAGE_BYTES = 2**28
"""Most bytes of encoded images to keep, oldest dropped first; those of the current batch are always kept."""


@dataclass
class Subject:
    """A model under test.

    Attributes:
        name: The name that people type after --subject.
        entry: Its row of the registry.
        anatomy: Where its layers, heads and image tokens are.
        model: In evaluation mode, without gradients.
        tokenizer: Fast, since spans are mapped by character offsets.
        image_processor: PIL backend.
        fingerprint: Hash of weights, configuration and arrangement.
        commit: The commit of the repository that it was loaded from; None for a folder.
        contents: What its folder held when it was loaded; None for a repository.
        elsewhere: A `harness.tracing.elsewhere.Elsewhere` that runs its decoder layers; None if they are here.
        speech: How it writes its answers, as far as that was found out.
    """

    name: str
    entry: Entry
    anatomy: Anatomy
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    image_processor: BaseImageProcessor
    fingerprint: str
    commit: str | None = None
    contents: Contents | None = None
    elsewhere: Any = None
    speech: Speech = field(default_factory=Speech)
    _images: OrderedDict[str, tuple[torch.Tensor, Layout]] = field(
        default_factory=OrderedDict, repr=False
    )

    @property
    def device(self) -> torch.device:
        """The device that the model is on."""
        return self.model.device

    @property
    def layers(self) -> int:
        """Number of decoder layers."""
        return self.model.config.get_text_config().num_hidden_layers

    @property
    def heads(self) -> int:
        """Number of query heads per layer."""
        return self.model.config.get_text_config().num_attention_heads

    @property
    def key_heads(self) -> int:
        """Number of heads of keys and values per layer; several query heads may share one."""
        return self.model.config.get_text_config().num_key_value_heads

    @property
    def head_width(self) -> int:
        """Number of features of one head."""
        config = self.model.config.get_text_config()
        return getattr(config, "head_dim", None) or config.hidden_size // self.heads

    @property
    def grids(self) -> dict[int, Grid]:
        """The grids that this subject is shown, by their number of rows."""
        embedded = self.entry.scale == "embedded"
        return self.entry.stimuli.change_grids(EMBEDDED_GRIDS if embedded else PAPER_GRIDS)

    @property
    def row_grid(self) -> Grid:
        """The grid on which this subject is shown three items in a row or column."""
        family, scale = self.anatomy.family, self.entry.scale
        return self.grids[3] if scale == "embedded" else choose_row_grid(family, scale)

    @property
    def pair_objects(self) -> tuple[Object, ...]:
        """The objects of which two are shown side by side.

        Nine make only 144 such scenes, most of which rank heads in models of the paper's size; so those are
        shown every color with every shape.
        """
        return HIGH_ENTROPY[3] if self.entry.scale == "embedded" else EVERY_OBJECT

    def encode(self, trials: Sequence[Trial]) -> Batch:
        """Encode trials as one batch.

        Images are encoded once per scene and shared by the prompts about them. Spans are mapped to
        tokens by character offsets, so a word of several pieces keeps all of them.

        Raises:
            ValueError: No trials, or images of different sizes in one batch.
            EndsTexts: The tokenizer writes a token after every text.
        """
        if not trials:
            raise ValueError("no trials to encode")
        given, trials = tuple(trials), [self.entry.stimuli.say(t) for t in trials]
        self._encode_images([t.scene for t in trials])
        encoded = [self._images[t.scene.key] for t in trials]
        layout = encoded[0][1]
        if any(other != layout for _, other in encoded):
            sizes = sorted({str(other.grid or other.tokens) for _, other in encoded})
            raise ValueError(f"images of different sizes in one batch: {', '.join(sizes)}")
        texts, shifts = zip(
            *(self._arrange(t.prompt.text, layout.text) for t in trials), strict=True
        )
        tokens = self.tokenizer(
            list(texts),
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            add_special_tokens=self._adds_special(texts[0]),
            padding=False,
        )
        self._check_end(tokens["input_ids"][0][-1], tokens["special_tokens_mask"][0][-1])
        leads = [self.speech.choose(t.prompt.text).lead for t in trials]
        rows = [[*ids, *lead] for ids, lead in zip(tokens["input_ids"], leads, strict=True)]
        longest = max(map(len, rows))
        input_ids = torch.full((len(trials), longest), self.tokenizer.pad_token_id or 0)
        mask = torch.zeros(len(trials), longest, dtype=torch.int64)
        mentions, colors, separators = [], [], []
        for r, (ids, offsets) in enumerate(zip(rows, tokens["offset_mapping"], strict=True)):
            left = longest - len(ids)
            input_ids[r, left:] = torch.tensor(ids)
            mask[r, left:] = 1
            prompt, shift = trials[r].prompt, shifts[r]
            spans = [s for s in prompt.mentions if s[1] <= len(prompt.text)]
            mentions.append(tuple(find_tokens(s, offsets, shift, left) for s in spans))
            words = [(a, a + len(prompt.text[a:b].split()[0])) for a, b in spans]
            colors.append(tuple(find_tokens(w, offsets, shift, left)[-1] for w in words))
            commas = prompt.separators[: len(spans)]
            separators.append(
                tuple(find_tokens(c, offsets, shift, left)[-1] if c else None for c in commas)
            )
        input_ids, mask = input_ids.to(self.device), mask.to(self.device)
        embeds = self.model.get_input_embeddings()(input_ids)
        is_image = input_ids == self.model.config.image_token_id
        if not bool((is_image.sum(-1) == layout.tokens).all()):
            raise ValueError(
                f"{self.name}: the tokenizer does not keep {self.anatomy.image_token!r} whole: "
                f"{int(is_image[0].sum())} image tokens where {layout.tokens} were written"
            )
        # [B, 1 + n, S, d]: what is put in place of image tokens, and what is added to them later.
        image = torch.stack([e for e, _ in encoded]).to(embeds.dtype)
        embeds = embeds.masked_scatter(is_image[..., None], image[:, 0])
        grids = [layout.grid] * len(trials)
        positions = self.anatomy.position_ids(self.model, input_ids, mask, grids)
        inputs = {"inputs_embeds": embeds, "attention_mask": mask, "position_ids": positions}
        if self.anatomy.deepstack:
            added = embeds.new_zeros(len(trials), image.shape[1] - 1, *embeds.shape[1:])
            inputs[ADDED] = added.masked_scatter(is_image[:, None, :, None], image[:, 1:])
        if self.anatomy.token_types:
            inputs[self.anatomy.token_types] = is_image.long()
        return Batch(
            given,
            input_ids,
            inputs,
            tuple(mentions),
            tuple(colors),
            tuple(separators),
            is_image.nonzero()[:, 1].view(len(trials), -1).cpu(),
            layout.grid,
        )

    def answer_id(self, prompt: Prompt, word: str) -> int:
        """The token with which this subject begins `word` after `prompt`, in its own spelling.

        Raises:
            SharedFirstPiece: In no spelling can the word be told from others by its first token.
        """
        spelling = self.speech.choose(prompt.text)
        style = spelling.style or self._find_usual_style(prompt.text)
        own = self.entry.stimuli.names.get(word, word)
        return self.first_tokens.choose(word, spelling.words.get(word, own), style)

    def read_word(self, token: int) -> str:
        """The word that an answer with this first token begins, however it is spelled; "" if it is none."""
        return self.first_tokens.meanings.get(token, "")

    def check_answers(self) -> None:
        """Check that every color has a token by which it can be told from the others.

        Raises:
            SharedFirstPiece: One shares its first token with others in every spelling, or the tokenizer knows
                it in none.
        """
        for word in self.first_tokens.words:
            self.first_tokens.check(word)

    def add_words(self, words: Iterable[str]) -> Subject:
        """The same subject, of whose answers these words are read as well, such as colors of photographs.

        Raises:
            SharedFirstPiece: A word cannot be told from the others by its first token.
        """
        every = tuple(dict.fromkeys([*self.first_tokens.words, *words]))
        subject = replace(self)
        subject.first_tokens = FirstTokens(
            self.tokenizer, every, self.name, self.entry.stimuli.names
        )
        subject.check_answers()
        return subject

    @cached_property
    def first_tokens(self) -> FirstTokens:
        """The tokens that begin colors."""
        return FirstTokens(self.tokenizer, name=self.name, own=self.entry.stimuli.names)

    def _find_usual_style(self, text: str) -> Style:
        """The style of a subject that goes on with the text as it stands: lower case, and no second space."""
        if text[-1:] not in self._usual:
            whole, _ = self._arrange(text, self.anatomy.image_token)
            self._usual[text[-1:]] = Style(not whole[-1:].isspace(), "lower")
        return self._usual[text[-1:]]

    @cached_property
    def _usual(self) -> dict[str, Style]:
        return {}

    def _adds_special(self, text: str) -> bool:
        # Most chat templates write the token that begins a text; some leave it to the tokenizer.
        begins = self.tokenizer.bos_token
        return not (begins and text.startswith(begins))

    def _check_end(self, token: int, added: int) -> None:
        # Some checkpoints are saved with the tokenizer of their training, which ends what is to be learned.
        if added:
            end = self.tokenizer.convert_ids_to_tokens(token)
            raise EndsTexts(
                f"{self.name}: the tokenizer writes {end!r} after every text, which is then over and cannot be "
                "gone on with: take it out of the post_processor in tokenizer.json (add_eos_token in training)"
            )

    def _arrange(self, text: str, image: str) -> tuple[str, int]:
        """The whole text that the tokenizer sees, and where the prompt begins in it."""
        how, suffix = self.entry.arrangement, self.speech.choose(text).suffix
        return arrange_text(self.tokenizer, self.anatomy, how, text, image, suffix)

    def processed(self, scenes: Sequence[Scene]) -> tuple[BatchFeature, dict[str, torch.Tensor]]:
        """Output of the image processor, and the part of it that the vision tower takes."""
        drawn = [draw(s) for s in scenes]
        images = [[image] for image in drawn] if self.anatomy.images_nested else drawn
        asked = dict.fromkeys(self.anatomy.asked, True)
        pixels = self.image_processor(images=images, return_tensors="pt", **asked)
        inputs = {k: pixels[k].to(self.device) for k in self.anatomy.image_inputs}
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        return pixels, inputs

    @torch.no_grad()
    def _encode_images(self, scenes: Sequence[Scene]) -> None:
        new = {s.key: s for s in scenes if s.key not in self._images}
        if new:
            pixels, inputs = self.processed(list(new.values()))
            seen = self.model.model.get_image_features(**inputs, return_dict=True)
            features = group_by_image(seen.pooler_output, pixels)
            how = self.anatomy
            later = zip(*seen.deepstack_features, strict=True) if how.deepstack else ()
            added = list(later) or [()] * len(features)
            layouts = how.layouts(how.image_token, self.model.config, pixels, features)
            for key, first, more, layout in zip(new, features, added, layouts, strict=True):
                if len(first) != layout.tokens:
                    raise ValueError(
                        f"{self.name}: {len(first)} image tokens for {layout.grid or layout.tokens}"
                    )
                # A copy, since a view would keep the whole batch that the image was encoded in.
                self._images[key] = (torch.stack([first, *more]), layout)
        wanted = dict.fromkeys(s.key for s in scenes)
        for key in wanted:
            self._images.move_to_end(key)
        held = sum(e.nbytes for e, _ in self._images.values())
        while len(self._images) > len(wanted) and held > IMAGE_BYTES:
            held -= self._images.popitem(last=False)[1][0].nbytes


def find_tokens(span: Span, offsets: Sequence[Span], shift: int, left: int) -> tuple[int, ...]:
    """Indices of the tokens that overlap a span of characters.

    Args:
        span: Half open, in characters of the prompt.
        offsets: Half-open span of each token, in characters of the whole text.
        shift: Where the prompt begins in the whole text.
        left: Number of padding tokens before the text, added to every index.

    Raises:
        ValueError: No token overlaps the span.
    """
    begin, end = span[0] + shift, span[1] + shift
    found = tuple(left + i for i, (a, b) in enumerate(offsets) if a < end and b > begin and b > a)
    if not found:
        raise ValueError(f"no token covers characters {begin} to {end}")
    return found
