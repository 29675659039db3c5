"""Oracles that know every answer and write it in one fixed spelling.

What such a subject will write stands in the last token of its prompt, and in each token that it has just
written: no layer adds anything, and the token follows whose row of the output embedding is most like that
state. So all that stands between the prompt and the answer is the suite's own code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from harness.stimuli.prompt import NUMBERS, Trial
from harness.stimuli.scene import Scene
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.subjects.wording import tell_form

SHARP = 20.0
"""Length of the rows of the output embedding, so that the likeliest token has all the probability."""


@dataclass(frozen=True)
class Voice:
    """How an oracle writes its answers.

    Attributes:
        word: Writes one word, told whether it begins the model's turn.
        before: What it writes before the answer, such as "The ".
        digits: Whether it counts in digits.
        of: Which of the rows of a batch are written so; others are written without anything before.
        instead: What it writes in place of every answer; None for the answer.
        only_after: Without this in a question it ends its turn at once.
    """

    word: Callable[[str, bool], str] = lambda word, begins: word
    before: str = ""
    digits: bool = False
    of: Callable[[int], bool] = lambda row: True
    instead: str | None = None
    only_after: str = ""


VOICES = {
    "red": Voice(),
    "Red": Voice(lambda word, begins: word.capitalize()),
    "RED": Voice(lambda word, begins: word.upper()),
    "grey": Voice(lambda word, begins: word.replace("gray", "grey")),
    "Grey": Voice(lambda word, begins: word.replace("gray", "grey").capitalize()),
    "The red": Voice(before="The "),
    "digits": Voice(digits=True),
    "new line": Voice(before="\n"),
    "new line, Red": Voice(lambda word, begins: word.capitalize(), before="\n"),
    "Red where a turn begins": Voice(
        lambda word, begins: word.capitalize() if begins else word,
    ),
}


KINDS = {
    "bytes": ("qwen2_vl", True),
    "meta space first": ("llava", True),
    "meta space": ("gemma3", True),
    "tekken": ("pixtral", True),
    "no space after the header": ("pixtral", False),
}
"""Kinds of tokenizer and template: a family, and whether a space is written after a header that has none."""


@dataclass
class Script:
    """What is written next in each row of the batch that was encoded last.

    Attributes:
        directions: Rows of the output embedding, [vocabulary, d].
        ends: The token after the last one.
        rows: The tokens that follow the prompt, for each row.
        step: How many were written.
    """

    directions: torch.Tensor
    ends: int
    rows: list[list[int]] = field(default_factory=list)
    step: int = 0

    def point(self) -> torch.Tensor:
        """The states that make the model write the next token of each row, [B, d]."""
        following = [row[self.step] if self.step < len(row) else self.ends for row in self.rows]
        return self.directions[following]


@dataclass
class Speaker(Subject):
    """A subject that writes the right answer, in one voice.

    Attributes:
        voice: How.
        script: What it goes on to write.
        spaced: Whether it writes a space after a header that ends without one.
        seen: Encoded images by the size of the canvas; it looks at none.
    """

    voice: Voice = VOICES["red"]
    script: Script | None = None
    spaced: bool = True
    seen: dict[int, tuple[torch.Tensor, object]] = field(default_factory=dict)

    def encode(self, trials: Sequence[Trial]) -> Batch:
        batch = super().encode(trials)
        self.script.rows = [self._go_on(t, row) for row, t in enumerate(trials)]
        self.script.step = 0
        embeds = batch.inputs["inputs_embeds"].clone()
        embeds[:, -1] = self.script.point()
        return replace(batch, inputs={**batch.inputs, "inputs_embeds": embeds})

    def _encode_images(self, scenes: Sequence[Scene]) -> None:
        for scene in scenes:
            if scene.grid.canvas not in self.seen:
                super()._encode_images([scene])
                self.seen[scene.grid.canvas] = self._images[scene.key]
            self._images[scene.key] = self.seen[scene.grid.canvas]

    def _go_on(self, trial: Trial, row: int) -> list[int]:
        """The tokens that it writes after the prompt and the lead that it was given."""
        text = trial.prompt.text
        whole, _ = self._arrange(text, self.anatomy.image_token)
        lead = self.speech.choose(text).lead
        if self.voice.only_after not in whole and tell_form(text) == "question":
            return []
        words = self._answer(trial) if self.voice.instead is None else self.voice.instead
        if not words:
            return []
        before = self.voice.before if self.voice.of(row) else ""
        if lead:
            given = self._tokenise(whole, self._space(whole, before) + before + words)
            if tuple(given[: len(lead)]) == lead:
                return given[len(lead) :]
            # It was made to begin in another way, and goes on from there.
            whole, before = whole + self.tokenizer.decode(lead), ""
        return self._tokenise(whole, self._space(whole, before) + before + words)

    def _space(self, whole: str, before: str) -> str:
        told = whole[-1:].isspace() or before[:1].isspace()
        header = not whole[-1:].isalpha() and self.entry.arrangement != "plain"
        return "" if told or (header and not self.spaced) else " "

    def _answer(self, trial: Trial) -> str:
        """The right answer with all that follows it, in the subject's spelling."""
        text, completion = trial.prompt.text, trial.prompt.completion.strip()
        if not completion:
            [*others] = [o.name for o in trial.scene.objects if o.name not in text.lower()]
            completion = others[0]
        first, _, rest = completion.partition(" ")
        bare = first.strip(".,")
        if self.voice.digits and bare in NUMBERS:
            return first.replace(bare, str(NUMBERS.index(bare)))
        begins = self.entry.arrangement == "chat" or (
            self.entry.arrangement == "prefilled" and tell_form(text) == "question"
        )
        return f"{self.voice.word(first, begins)} {rest}".strip()

    def _tokenise(self, whole: str, text: str) -> list[int]:
        """The tokens of a text as they follow another one."""
        special = self._adds_special(whole)
        before = self.tokenizer(whole, add_special_tokens=special)["input_ids"]
        joined = self.tokenizer(whole + text, add_special_tokens=special)["input_ids"]
        if joined[: len(before)] == before:
            return joined[len(before) :]
        read = self.tokenizer("a" + text, return_offsets_mapping=True, add_special_tokens=False)
        return [
            i
            for i, (_, end) in zip(read["input_ids"], read["offset_mapping"], strict=True)
            if end > 1
        ]


@torch.no_grad()
def make_speaker(subject: Subject, ends: str = ".") -> Speaker:
    """Make an oracle of a tiny subject, whose weights are replaced.

    Args:
        subject: Of any family; its tokenizer and template are used.
        ends: What is written after the answer, where the tokenizer has no token that ends a text.
    """
    model, tokenizer = subject.model, subject.tokenizer
    for name, parameter in model.named_parameters():
        of_text = "language_model" in name or "text_model" in name
        if of_text and name.endswith(("o_proj.weight", "down_proj.weight")):
            parameter.zero_()
    head = model.get_output_embeddings()
    directions = torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(0))
    directions = SHARP * directions / directions.norm(dim=-1, keepdim=True)
    head.weight = torch.nn.Parameter(directions, requires_grad=False)
    last = tokenizer.eos_token_id
    if last is None:
        last = tokenizer(ends, add_special_tokens=False)["input_ids"][-1]
    script = Script(directions, last)

    def write(module: torch.nn.Module, given: tuple, output: torch.Tensor) -> torch.Tensor | None:
        if given[0].shape[1] > 1:
            return None
        script.step += 1
        return script.point()[:, None].to(output)

    model.get_input_embeddings().register_forward_hook(write)
    kept = {name: getattr(subject, name) for name in Subject.__dataclass_fields__}
    return Speaker(**kept, script=script)
