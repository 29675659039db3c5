"""Show which heads carry each stage on the two sides: as text, as Markdown, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, TypedDict

from harness.measures.mediation import spell_stage
from harness.reporting.moved import MEANINGS, HeadChange, Move, StageMove
from harness.reporting.wording import number, one_line

BARE = (Move.same, Move.renumbered, Move.nowhere, Move.unmeasured)
"""Moves of which the lists of heads tell enough."""


class HeadFacts(TypedDict):
    """One head as plain values; `before` and `after` are mean and ends of a 95% interval, in logits."""

    layer: int
    head: int
    before: list[float] | None
    after: list[float] | None
    listed_before: bool
    listed_after: bool
    change: str


class StageFacts(TypedDict):
    """What became of the heads of one stage, as plain values; see `harness.reporting.moved.StageMove`."""

    subject: str
    stage: str
    move: str
    reason: str
    heads: list[HeadFacts]


class StageRow(NamedTuple):
    """What became of the heads of one stage, as texts.

    Attributes:
        subject: Its name in the run.
        stage: In words.
        move: What became of them, in one word.
        heads: The lists of both sides.
        changes: One text for each head that came, went or does another share.
        changed: Whether surely other heads carry the stage, or none where some did.
    """

    subject: str
    stage: str
    move: str
    heads: str
    changes: list[str]
    changed: bool


def render_stages(stages: Sequence[StageMove], *, each: bool = False) -> Iterator[str]:
    """Lines on every stage: what became of its heads, and each head where they changed.

    Args:
        stages: From a comparison.
        each: Whether to show every head of every stage.
    """
    if not stages:
        return
    yield from ("", "Heads that carry each stage, as layer.head, with mediation scores in logits:")
    for subject, members in groupby(stages, lambda s: s.subject):
        rows = list(members)
        yield f"  {one_line(subject)}"
        if len({(s.move, s.reason) for s in rows}) == 1 and rows[0].move is Move.unmeasured:
            yield f"    {Move.unmeasured}: {one_line(rows[0].reason)}"
            continue
        for stage in rows:
            word = stage.move.upper() if stage.changed else str(stage.move)
            yield f"    {spell_stage(stage.stage):18} {word:11} {spell_lists(stage)}"
            if each or stage.move not in BARE:
                for head in stage.heads:
                    yield f"      {_name(head):>6}  {_spell_score(head)}"


def stages_to_rows(stages: Sequence[StageMove]) -> list[StageRow]:
    """One row of text for each stage, for a table."""
    return [
        StageRow(
            one_line(stage.subject),
            spell_stage(stage.stage),
            str(stage.move),
            spell_lists(stage),
            # In a layer that is numbered anew every head has come or gone, which tells nothing.
            [f"{_name(h)}: {_spell_score(h)}" for h in stage.heads if h.change]
            if stage.move is not Move.renumbered
            else [],
            stage.changed,
        )
        for stage in stages
    ]


def stages_markdown(stages: Sequence[StageMove]) -> str:
    """The heads of every stage as a Markdown table; "" if there is no stage."""
    if not stages:
        return ""
    rows = ["| stage | subject | | heads | what changed |", "|---|---|---|---|---|"]
    for row in stages_to_rows(stages):
        word = f"**{row.move}**" if row.changed else row.move
        cells = (row.stage, row.subject, word, row.heads, "; ".join(row.changes))
        rows.append(
            "| " + " | ".join(c.replace("|", "\\|").replace("<", "&lt;") for c in cells) + " |"
        )
    return "\n".join(rows)


def stages_to_json(stages: Sequence[StageMove]) -> list[StageFacts]:
    """The stages as plain values."""
    return [
        {
            "subject": stage.subject,
            "stage": stage.stage,
            "move": str(stage.move),
            "reason": stage.reason,
            "heads": [
                {
                    "layer": h.layer,
                    "head": h.head,
                    "before": None if h.before is None else list(h.before),
                    "after": None if h.after is None else list(h.after),
                    "listed_before": h.listed[0],
                    "listed_after": h.listed[1],
                    "change": h.change,
                }
                for h in stage.heads
            ],
        }
        for stage in stages
    ]


def tell_moved(moved: Sequence[StageMove]) -> str:
    """The stages whose heads changed or are not known, in a few words: "feature retrieval moved (planted)"."""
    return ", ".join(f"{spell_stage(s.stage)} {s.move} ({one_line(s.subject)})" for s in moved)


def spell_lists(stage: StageMove) -> str:
    """The heads on both sides: "6.4, 6.5", or where they differ "6.4, 6.5 before, 7.1 after", and why."""
    before, after = (", ".join(_name(h) for h in stage.heads if h.listed[i]) for i in (0, 1))
    if stage.move in (Move.nowhere, Move.uncertain, Move.unmeasured):
        why = f" ({one_line(stage.reason)})" if stage.reason else ""
        held = "; ".join(
            f"{heads} {when}" for heads, when in ((before, "before"), (after, "after")) if heads
        )
        return MEANINGS[stage.move] + why + (f": {held}" if held else "")
    if before == after:
        return before
    return f"{before or 'none'} before, {after or 'none'} after"


def _name(head: HeadChange) -> str:
    return f"{head.layer}.{head.head}"


def _spell_score(head: HeadChange) -> str:
    before, after = (
        "not measured" if s is None else f"{number(s[0])} [{number(s[1])}, {number(s[2])}]"
        for s in (head.before, head.after)
    )
    text = f"{before} to {after}"
    if head.before is not None and head.after is not None and head.before[1] > 0:
        text += f", {max(0.0, head.after[0] / head.before[0]):.0%} of that"
    return text + (f", {head.change}" if head.change else "")
