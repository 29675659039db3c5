"""The papers' prompts about scenes, with the character spans that name each object.

A prompt is what the subject reads; its completion is how a correct answer goes on. Spans are half
open and count characters of `text + completion`, so that a tokenizer of any kind can map them to tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.stimuli.scene import Cell, Object, Scene

Span = tuple[int, int]

RELATIONS = {"left": (0, -1), "right": (0, 1), "above": (-1, 0), "below": (1, 0)}
"""Steps in rows and columns from the reference object to the one that is asked for."""

PHRASES = {
    "left": "to the left of",
    "right": "to the right of",
    "above": "above",
    "below": "below",
}

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Text for one scene.

    Attributes:
        text: What the subject reads.
        completion: How a correct text goes on; its first word is the answer. Empty if nothing is asked.
        mentions: Span of each object named in `text + completion`, from color to shape.
        separators: Span of the comma after each mention, or None where none follows.
        statements: Spans that state what the image shows (rather than ask); a caption model learns these.
    """

    text: str
    completion: str
    mentions: tuple[Span, ...] = ()
    separators: tuple[Span | None, ...] = ()
    statements: tuple[Span, ...] = ()

    @property
    def answer(self) -> str:
        """The first word of the completion, as it is compared with what a subject says."""
        words = self.completion.split()
        return words[0].strip(".,") if words else ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One scene with one prompt about it.

    Attributes:
        scene: What is shown.
        prompt: What is read.
        described: The objects that the prompt mentions, in its order.
        target: The object that the answer names.
    """

    scene: Scene
    prompt: Prompt
    described: tuple[Object, ...]
    target: Object

    @property
    def answer(self) -> str:
        """The word that the subject should begin with."""
        return self.prompt.answer


class _Writer:
    """Collects text and remembers where the objects are named."""

    def __init__(self) -> None:
        self.text = ""
        self.mentions: list[Span] = []
        self.separators: list[Span | None] = []
        self.statements: list[Span] = []

    def add(self, text: str) -> _Writer:
        self.text += text
        return self

    def mention(self, obj: Object, *, states: bool = True) -> _Writer:
        span = (len(self.text), len(self.text) + len(obj.name))
        self.mentions.append(span)
        self.separators.append(None)
        if states:
            self.statements.append(span)
        return self.add(obj.name)

    def comma(self) -> _Writer:
        self.separators[-1] = (len(self.text), len(self.text) + 1)
        return self.add(",")

    def state(self, text: str) -> _Writer:
        self.statements.append((len(self.text), len(self.text) + len(text)))
        return self.add(text)

    def prompt(self, read: int) -> Prompt:
        return Prompt(
            self.text[:read],
            self.text[read:],
            tuple(self.mentions),
            tuple(self.separators),
            tuple(self.statements),
        )


def scene_description(
    described: Sequence[Object], target: Object, *, commas: bool = True
) -> Prompt:
    """The prompt that describes objects in order and stops before the target (sections 3.1 and 3.4).

    With `commas` a comma follows every described object, since RSA reads it (section 3.3): "In this
    image there is a red square, a blue circle, and a". Without, the last one is left out, which for
    two objects is the prompt of the mediation analysis: "In this image there is a red square and a".
    """
    writer = _Writer().add("In this image there is")
    for index, obj in enumerate(described):
        writer.add(" a ").mention(obj)
        if commas or index < len(described) - 1:
            writer.comma()
    writer.add(" and a" if described else " a")
    read = len(writer.text)
    return writer.add(" ").mention(target).add(".").prompt(read)


def color_question(shape: str, color: str) -> Prompt:
    """The question of section 4.3: the color of a named shape."""
    text = f"In this image what is the color of the {shape}. Answer with the correct color only."
    return _complete(text, color)


def spatial_question(relation: str, reference: Object, color: str) -> Prompt:
    """The question of section 4.4: the color of the object directly next to a named one."""
    if relation not in RELATIONS:
        raise ValueError(f"unknown relation {relation!r}; known: {', '.join(RELATIONS)}")
    writer = _Writer().add(
        f"In this image, what is the color of the object that is directly {relation} of "
    )
    writer.mention(reference, states=False).add(". Answer with the relevant color only.")
    read = len(writer.text)
    return writer.add(" ").state(color).add(".").prompt(read)


def count_question(count: int) -> Prompt:
    """The question how many objects there are, shorter than that of appendix C, for small subjects."""
    return _complete("In this image how many objects are there. Answer:", NUMBERS[count])


ENUMERATION = (
    "You are given an image containing multiple colored objects. Your task is to carefully observe the "
    "image and identify all the unique colored objects present.\n"
    "Enumerate all the unique colored objects you find in the image, providing a numbered list for clarity.\n"
    "After listing the objects, provide the total count of these unique colored objects.\n"
    "Format the total count by writing 'Answer:' followed by the number. It is crucial to adhere to this "
    "format: 'Answer: TOTAL_COUNT'."
)
"""The paper's prompt for counting (appendix C)."""


def ask_to_enumerate(trial: Trial) -> Trial:
    """The same scene with the paper's counting prompt, whose answer comes at the end of a list."""
    return replace(trial, prompt=Prompt(ENUMERATION, f" {len(trial.scene)}"))


def line_question(relation: str, middle: Object, answer: Object, noun: str = "shape") -> Prompt:
    """The question for the neighbour of the middle one of three objects (Cui et al. 2026, section 3).

    Args:
        relation: One of PHRASES.
        middle: The object that is named.
        answer: The object that is asked for.
        noun: What it is called: "shape" in the Shapes setting, "square" in Squares.
    """
    writer = _Writer().add(f"The color of the {noun} {PHRASES[relation]} the ")
    writer.mention(middle, states=False).add(" is")
    read = len(writer.text)
    return writer.add(" ").state(answer.color).add(".").prompt(read)


def numbered_list(listed: Sequence[Object], given: int) -> Prompt:
    """A numbered list whose first `given` items the subject reads (appendix B): "In this image there is 1. a".

    Raises:
        ValueError: Nothing is left to name.
    """
    writer = _Writer().add("In this image there is")
    read = 0
    for index, obj in enumerate(listed):
        writer.add(f" {index + 1}. a")
        if index == given:
            read = len(writer.text)
        writer.add(" ").mention(obj)
    if given >= len(listed):
        raise ValueError(f"{given} items given of a list of {len(listed)}: nothing is left to name")
    return writer.add(".").prompt(read)


def cell_words(cell: Cell, rows: int) -> str:
    """Two words that point to a cell: "top left", "middle center"."""
    vertical = {2: ("top", "bottom"), 3: ("top", "middle", "bottom")}[rows]
    horizontal = {2: ("left", "right"), 3: ("left", "center", "right")}[rows]
    return f"{vertical[cell.row]} {horizontal[cell.column]}"


def grounded_caption(scene: Scene, order: Sequence[int]) -> Prompt:
    """A caption that ends each mention with its cell: "... a red square at top left, ...".

    The cell of the last object is what is asked.
    """
    writer = _Writer().add("In this image there is")
    read = 0
    for index in order:
        writer.add(" a ").mention(scene.objects[index]).add(" at")
        read = len(writer.text)
        writer.add(" ").state(cell_words(scene.cells[index], scene.grid.rows)).comma()
    return writer.prompt(read)


def _complete(text: str, answer: str) -> Prompt:
    writer = _Writer().add(text)
    read = len(text)
    return writer.add(" ").state(answer).add(".").prompt(read)
