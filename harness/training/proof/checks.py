"""What is checked of every trial: what each stage gives, and what the answer is when heads are replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from harness.stimuli.contrast import CONDITIONS, Condition
from harness.stimuli.prompt import Trial
from harness.stimuli.scene import COLORS, SHAPES
from harness.training.architectures import HEADS, LAYERS
from harness.training.proof.passes import Clean, Passes
from harness.training.proof.places import SIDE, find_leads, list_codes
from harness.training.proof.scenes import Family
from harness.training.taught.hooks import replace_heads
from harness.training.wired.plan import Place, Plan
from harness.training.wired.slots import at

STAGES: dict[Condition, str] = {
    "id_retrieval": "ID retrieval",
    "id_selection": "ID selection",
    "feature_retrieval": "feature retrieval",
}

SLOTS: dict[Condition, str] = {
    "id_retrieval": "retrieved_place",
    "id_selection": "selected_place",
    "feature_retrieval": "answer_color",
}
"""The slot of the residual stream that each stage writes, at its tokens."""


@dataclass(frozen=True)
class Checked:
    """One check of every trial of a family.

    Attributes:
        name: What must be true, as one clause.
        held: Whether it is, [N].
        found: What was found instead, by trial that fails; in words.
    """

    name: str
    held: NDArray[np.bool_]
    found: Mapping[int, str]


def name_check(stage: Condition, what: str) -> str:
    """The name of a check of one stage."""
    return f"{STAGES[stage]}: {what}"


OUTPUT = {
    "id_retrieval": "the mention holds the place of the object that it names",
    "id_selection": "the last token holds the place of the target",
    "feature_retrieval": "at the last token the color of the target is the highest",
}
EACH_HEAD = "each of its heads speaks for the right object"
PATCHED = "its heads alone bring the answer of the other side of the contrast"
OTHERS = (
    "all heads but its own and later stages', from the other side of the contrast, leave the answer"
)
WITHOUT = "with its heads at their mean, both answers about an image are right less often than by guessing"
SIGHT = "image: its tokens hold color, shape and place of what they show"
UNWIRED = "heads that nothing is wired to, from other objects on other cells, leave the answer"
ANSWER = "answer: the color of the target"


def read_heads(plan: Plan) -> dict[Condition, list[Place]]:
    """(layer, head) of the heads of each stage; none where a stage is absent."""
    heads = plan.truth()["heads"]
    return {stage: [(layer, head) for layer, head in heads[stage]] for stage in CONDITIONS}


def list_tokens(clean: Clean, stage: Condition) -> list[int]:
    """The tokens at which a stage does its work."""
    return clean.mention if stage == "id_retrieval" else [clean.read.last]


def check_sight(clean: Clean, trials: Sequence[Trial], relative: bool) -> Checked:
    """Check what the vision tower gives: each image token shows its object, or none."""
    seen = clean.states.double().numpy()
    found: dict[int, str] = {}
    for row, trial in enumerate(trials):
        codes, grid = list_codes(trial.scene, relative), trial.scene.grid
        shown = {t for cell in trial.scene.cells for t in grid.tokens(cell, SIDE)}
        there = set(np.flatnonzero(seen[row, :, at("seen_object")].sum(-1) > 0.5).tolist())
        if there != shown:
            found[row] = f"objects are seen at image tokens {sorted(there)}, not {sorted(shown)}"
            continue
        for obj, cell in trial.scene:
            own = seen[row, list(grid.tokens(cell, SIDE))]
            colors = {list(COLORS)[i] for i in own[:, at("seen_color")].argmax(-1)}
            shapes = {list(SHAPES)[i] for i in own[:, at("seen_shape")].argmax(-1)}
            place = own[:, at("seen_place")].mean(0)[None]
            lead, near = find_leads(place, codes[None], [grid.cells.index(cell)])
            if (colors, shapes) != ({obj.color}, {obj.shape}) or not lead[0] > 0:
                found[row] = (
                    f"the {obj.name} is seen as {_list(colors)} {_list(shapes)} "
                    f"at {_say_cell(trial, int(near[0]))}"
                )
    return Checked(SIGHT, np.array([row not in found for row in range(len(trials))]), found)


def check_output(clean: Clean, trials: Sequence[Trial], stage: Condition, plan: Plan) -> Checked:
    """Check what a stage leaves in the residual stream behind its last layer, at its last token.

    Where a stage has no heads, behind the last layer of all.
    """
    layer = max((layer for layer, _ in read_heads(plan)[stage]), default=LAYERS - 1)
    token = list_tokens(clean, stage)[-1]
    read = clean.seen.states[layer][:, token][:, at(SLOTS[stage])].double().numpy()
    found: dict[int, str] = {}
    if stage == "feature_retrieval":
        colors = list(COLORS)
        right = [colors.index(t.target.color) for t in trials]
        for row, of in enumerate(right):
            if not read[row, of] > np.delete(read[row], of).max():
                found[row] = f"{colors[int(read[row].argmax())]} is the highest"
    else:
        side = 0 if stage == "id_retrieval" else 1
        codes = np.array([list_codes(t.scene, plan.relative) for t in trials])
        right = [t.scene.grid.cells.index(t.scene.cells[side]) for t in trials]
        leads, near = find_leads(read, codes, right)
        for wrong in np.flatnonzero(~(leads > 0)).tolist():
            place = _say_cell(trials[wrong], int(near[wrong]))
            found[wrong] = f"the nearest place is {place}"
    held = np.array([row not in found for row in range(len(trials))])
    return Checked(name_check(stage, OUTPUT[stage]), held, found)


def check_each_head(
    passes: Passes, clean: Clean, trials: Sequence[Trial], stage: Condition, plan: Plan
) -> Checked:
    """Check that what each head of a stage writes by itself speaks for the right object.

    A place is nearer to the right object's than to the other's; of colors the target's is the highest.
    """
    own = read_heads(plan)[stage]
    token = list_tokens(clean, stage)[-1]
    codes = np.array([_find_right(t, stage, plan.relative) for t in trials])
    found: dict[int, str] = {} if own else dict.fromkeys(range(len(trials)), "it has none")
    for layer, head in own:
        heads = clean.seen.heads[layer][:, token, head]
        width = heads.shape[-1]
        columns = slice(head * width, (head + 1) * width)
        weight = passes.hooked.layers[layer].self_attn.o_proj.weight[at(SLOTS[stage]), columns]
        written = (heads @ weight.T).double().numpy()
        if stage == "feature_retrieval":
            right = codes == 1
            sizes = written[right] - np.where(right, -np.inf, written).max(1)
        else:
            sizes = (written * codes).sum(1)
        for row in np.flatnonzero(~(sizes > 0)):
            says = (
                f"layer {layer} head {head} speaks for it by {sizes[row]:.3g}, not by more than 0"
            )
            found.setdefault(int(row), says)
    held = np.array([row not in found for row in range(len(trials))])
    return Checked(name_check(stage, EACH_HEAD), held, found)


def _find_right(trial: Trial, stage: Condition, relative: bool) -> NDArray[np.float64]:
    """The target's color as one of all; or the way from the wrong object's place to that of the right one."""
    if stage == "feature_retrieval":
        return np.array([float(color == trial.target.color) for color in COLORS])
    codes, cells = list_codes(trial.scene, relative), trial.scene.grid.cells
    named, target = (codes[cells.index(cell)] for cell in trial.scene.cells)
    return named - target if stage == "id_retrieval" else target - named


def check_answer(clean: Clean, trials: Sequence[Trial]) -> Checked:
    """Check that the likeliest of all words is the color of the target."""
    return _compare(ANSWER, clean.seen.said, [t.answer for t in trials])


def check_patched(
    passes: Passes, clean: Clean, family: Family, stage: Condition, plan: Plan
) -> tuple[Checked, Checked]:
    """Check both halves of a contrast of section 3.4, at its tokens.

    The stage's heads from the other side bring the answer that the contrast predicts; all other heads of the
    model from there, at once, leave the answer as it is. The heads of later stages are left to do their work:
    replaced as well, they would give the answer whatever the others carry.
    """
    tokens = list_tokens(clean, stage)
    other = family.replaced if stage == "feature_retrieval" else family.exchanged
    right = [t.answer for t in family.trials]
    if stage == "feature_retrieval":
        wanted = [right[i] for i in other]
    else:
        wanted = [t.described[0].color for t in family.trials]
    heads = read_heads(plan)
    own = set(heads[stage])
    source = clean.seen.heads[:, other]
    onwards = {p for later in CONDITIONS[CONDITIONS.index(stage) :] for p in heads[later]}
    rest = {(la, h) for la in range(LAYERS) for h in range(HEADS)} - onwards
    return (
        _compare(
            name_check(stage, PATCHED), replace_at(passes, clean, source, own, tokens), wanted
        ),
        _compare(name_check(stage, OTHERS), replace_at(passes, clean, source, rest, tokens), right),
    )


def check_unwired(
    passes: Passes, clean: Clean, family: Family, strange: torch.Tensor, plan: Plan
) -> Checked:
    """Check that heads which nothing is wired to do not matter, at all tokens of the sentence.

    Args:
        passes: The control.
        clean: The family's trials.
        family: The trials, and which trial of the other family each takes heads from.
        strange: Heads of a family on other cells, as `Seen.heads`.
        plan: What is wired.
    """
    wired = {(head.layer, head.head) for head in plan.mechanism(plan)}
    free = {(la, h) for la in range(LAYERS) for h in range(HEADS)} - wired
    tokens = list(range(clean.read.last + 1))
    said = replace_at(passes, clean, strange[:, family.strange], free, tokens)
    return _compare(UNWIRED, said, [t.answer for t in family.trials])


def replace_at(
    passes: Passes, clean: Clean, source: torch.Tensor, places: set[Place], tokens: Sequence[int]
) -> NDArray[np.str_]:
    """What each trial says when some heads are replaced at some tokens of the sentence, [N].

    Args:
        passes: The control.
        clean: The trials.
        source: What takes the place of the heads, [LAYERS, N or 1, tokens of the sentence, HEADS, d].
        places: Layer and head of those that are replaced.
        tokens: Where, counted from the sentence's first.
    """
    first = min(tokens)
    moved = [t - first for t in tokens]
    edit = replace_heads(source[:, :, first:], lambda place: moved if place in places else [])
    return passes.again(clean, first, edit)


def _compare(name: str, said: NDArray[np.str_], wanted: Sequence[str]) -> Checked:
    found = {
        row: f"the answer is {str(answer) or 'no color'!r}, not {want!r}"
        for row, (answer, want) in enumerate(zip(said, wanted, strict=True))
        if answer != want
    }
    return Checked(name, np.array([row not in found for row in range(len(wanted))]), found)


def _list(words: set[str]) -> str:
    return " or ".join(sorted(words))


def _say_cell(trial: Trial, index: int) -> str:
    cell = trial.scene.grid.cells[index]
    return f"row {cell.row}, column {cell.column}"


def describe(trial: Trial) -> str:
    """A trial in one line, so that it can be found again."""
    rows = trial.scene.grid.rows
    shown = " and ".join(
        f"a {obj.name} at row {cell.row}, column {cell.column}" for obj, cell in trial.scene
    )
    return f'{rows}x{rows} grid, {shown}; "{trial.prompt.text}"'
