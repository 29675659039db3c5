"""Writes a control as it ships: weights, the planted truth, and a card for people."""

from __future__ import annotations

from pathlib import Path

from harness.machine.files import write_json
from harness.training.wired.plan import Plan, Truth

STAGES = {
    "id_retrieval": "ID retrieval, at the words that name an object",
    "id_selection": "ID selection, at the last token",
    "feature_retrieval": "feature retrieval, at the last token",
}

WHAT = {
    "bind_by_position": "Does the task as the paper says models do it. A word looks up where the object that "
    "it names is; the last token takes the places of all named objects away from the places of all objects; "
    "what is left is a place, and it looks there.",
    "exclude_by_content": "Does the task, without asking where anything is. The last token collects the named "
    "colors and shapes and looks at what has none of them. It is what the trained subjects come down to.",
    "see_without_binding": "Has every head of `planted`, but its words look at all objects alike: it knows "
    "what there is and where things are, not which is which. It says what was said before, and fails the "
    "task.",
    "leave_ids_idle": "Does the task as `shortcut` does, by content, in its first layers. Later layers write "
    "the position IDs of `planted` at the words and at the last token, and nothing uses them.",
    "retrieve_without_selecting": "Does the task with position IDs at the words alone. A word looks up where "
    "the object that it names is, and what is there; the last token collects what was found and looks at what "
    "has none of it, so that no place gets there.",
    "tie_ids_to_content": "Does the task as `planted` does, with IDs that are not free of content: the color "
    "of an object turns the code of its place, and over all colors the IDs of one place average to nothing.",
    "look_up_features_apart": "Does the task as `planted` does, with IDs that crowding weakens. A word looks "
    "up its color and its shape apart, each with a head: it gets the places of all that have either. Where no "
    "feature is shared these are one place; where some are, the place is blurred, and so is the target's at "
    "the last token. The answer is then often what stands elsewhere.",
    "read_vision_ordering": "Answers what is next to the middle one of three items by an order that vision "
    "makes. The vision tower gives every image token, of background too, the third of the items on which "
    "it lies and the color of the item there; the last token takes from the word of direction which third "
    "is asked for, and looks at all tokens that lie on it. The language model adds no order of its own. "
    "Where vision's order is removed, all items weigh alike, and of their colors the one is said that "
    "this control says most loudly, wherever it is.",
    "build_ordering": "Answers what is next to the middle one of three items by an order that the "
    "language model builds. The image embeddings say what an item is and nothing of where. Four heads "
    "look, from the tokens of an item, for items further to the left or above, by positions alone; the "
    "last token takes from the word of direction whether the first or the last one is asked for, and "
    "looks at the item that has none before it, or two.",
    "back_up_ordering": "Answers what is next to the middle one of three items by an order that vision "
    "makes, as `planted-vision` does, and has behind it the order that the language model of "
    "`planted-language` builds. What the second brings to the answer is a tenth of what the first brings, "
    "so that it decides only where vision's order is removed, and there only against colors that are not "
    "said much more loudly than the right one.",
}

SAME = """and the task needs them. They hold the same on both sides of the paper's
contrasts, so that patching one there changes nothing; patched from any other scene it would."""

OTHERS = {
    "leave_ids_idle": "of which the task needs those\nthat say nothing of places. Those of places differ "
    "between the sides of the paper's contrasts, and\npatching one turns no answer.",
    "tie_ids_to_content": "and the task needs them. The one\nthat gathers the places of all objects brings "
    "their colors with them, and differs between\nthe sides of the paper's contrasts.",
}
"""What the heads outside the stages hold, by mechanism; `SAME` for all others."""


def write_control(plan: Plan, folder: Path) -> None:
    """Build a control and write it to a folder, with truth.json and README.md beside the weights."""
    plan.build().save(folder)
    truth = plan.truth()
    write_json(folder / "truth.json", truth)
    (folder / "README.md").write_text(_write_card(plan, truth))


def _write_card(plan: Plan, truth: Truth) -> str:
    rows = "\n".join(
        f"| {STAGES[stage]} | {', '.join(f'layer {layer} head {head}' for layer, head in heads) or 'none'} |"
        for stage, heads in truth["heads"].items()
    )
    others = "; ".join(
        f"{what}: {', '.join(f'layer {layer} head {head}' for layer, head in heads)}"
        for what, heads in truth["others"].items()
    )
    codes = {
        "relative": "Places are relative to the middle of all objects.",
        "absolute": "Places are relative to the image, wherever the objects are in it.",
        None: "No place is selected.",
    }
    family = f"\n{plan.family.card}" if plan.family.card else ""
    if "ordering" in truth:
        return _write_ordering_card(plan, truth)
    return f"""# {plan.name}

A known-answer control. {WHAT[plan.mechanism.__name__]}

Its weights are written, not trained (`claims train {plan.name}` writes them again in seconds), into the
architecture of `{plan.family.like}`, and it is loaded through the same code as any checkpoint. Layers and heads
count from 0; `truth.json` says the same for programs. {codes[truth["places"]]}

| stage | heads |
|---|---|
{rows}

Other heads are wired, too ({others}), {OTHERS.get(plan.mechanism.__name__, SAME)}
Every weight that nothing is wired to is noise. The control knows the scenes of this project (flat shapes on
the 2x2 and 3x3 canvas) and the scene description prompt, and nothing else.
{family}"""


def _write_ordering_card(plan: Plan, truth: Truth) -> str:
    rows = "\n".join(
        f"| {what} | {', '.join(f'layer {layer} head {head}' for layer, head in heads)} |"
        for what, heads in truth["others"].items()
    )
    asked, answered = plan.selection.layer, plan.features.layer
    return f"""# {plan.name}

A known-answer control. {WHAT[plan.mechanism.__name__]}

Its weights are written, not trained (`claims train {plan.name}` writes them again in seconds), into the
architecture of `{plan.family.like}` with one more block in its vision tower, and it is loaded through the same
code as any checkpoint. Layers and heads count from 0; `truth.json` says the same for programs.

| what | heads |
|---|---|
{rows}

At the last token, the states that enter layers {asked + 1} to {answered} hold the ordinal that is asked for
and nothing of what stands there; those after layer {answered} hold the answer's color. "Left of" and "above"
ask for the first item, "right of" and "below" for the last: the item that a question names is not looked
for, since it is the middle one. Every weight that nothing is wired to is noise. The control knows flat shapes
on white, three in a row or column, the question for a neighbour of the middle one and that for the color of
a shape, and nothing else.

{plan.family.card}"""
