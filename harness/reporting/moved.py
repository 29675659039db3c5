"""Tell which heads carry each stage on the two sides of a comparison, and whether these are other heads.

A claim is about the best heads of a stage, whichever these are. So a model whose mechanism has moved to other
heads keeps its verdicts, and only the heads themselves tell it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from harness.measures.mediation import EQUAL, ROUNDING, find_top_heads
from harness.statistics.head_scores import Carried, HeadScores

SHARE = 0.1
"""A head that scores less than this share of the best one is not on a list of heads (`find_top_heads`)."""

SHIFT = 0.5
"""Chosen by us: a head has moved, too, if its score, as a share of the best, changed by more than this."""

LEVEL = 0.95
"""Of the intervals by which a head is told to have come or gone; they cover all heads of the model at once."""


class Move(StrEnum):
    """What became of the heads that carry a stage."""

    same = "same"
    renumbered = "renumbered"
    moved = "moved"
    lost = "lost"
    found = "found"
    nowhere = "nowhere"
    uncertain = "uncertain"
    unmeasured = "unmeasured"


MEANINGS = {
    Move.same: "carried by the same heads",
    Move.renumbered: "carried by the same heads under other numbers: each layer has the same scores",
    Move.moved: "carried by other heads",
    Move.lost: "was carried by heads, and is carried by none",
    Move.found: "was carried by no head, and is carried by heads",
    Move.nowhere: "carried by no head on either side",
    Move.uncertain: "which heads carry it is not sure",
    Move.unmeasured: "not measured on both sides",
}


@dataclass(frozen=True)
class HeadChange:
    """One head of a stage on the two sides.

    Attributes:
        layer: Counted from 0.
        head: Counted from 0.
        before: Its mean score in the baseline with the ends of a 95% interval, in logits; None if not measured.
        after: The same in the run.
        listed: Whether it is on the list of heads that carry the stage in the baseline, and in the run.
        change: "gone", "new", "more" or "less" if that is sure, else "".
    """

    layer: int
    head: int
    before: tuple[float, float, float] | None
    after: tuple[float, float, float] | None
    listed: tuple[bool, bool]
    change: str = ""


@dataclass(frozen=True)
class StageMove:
    """What became of the heads of one stage.

    Attributes:
        subject: Its name in the run.
        stage: Named by its condition, such as "id_retrieval".
        move: What became of them.
        heads: The heads that carry it on one side at least, by layer and head.
        reason: Why it is not known, or was not measured; "" where it is known.
        held: Whether the baseline's heads were known, so that they can be lost.
    """

    subject: str
    stage: str
    move: Move
    heads: tuple[HeadChange, ...] = ()
    reason: str = ""
    held: bool = True

    @property
    def changed(self) -> bool:
        """Whether surely other heads carry the stage, or none where some did."""
        return self.move in (Move.moved, Move.lost)

    @property
    def unknown(self) -> bool:
        """Whether heads carried it before, or may have, and nobody can tell whether they still do."""
        return self.held and self.move in (Move.uncertain, Move.unmeasured)


NOT_RECORDED = HeadScores(
    Carried.unmeasured, "its scorecard has no scores of heads: an older version wrote it"
)
"""What is known of a stage that the evidence of a run does not name."""


def compare_heads(
    subject: str, stage: str, before: HeadScores | None, after: HeadScores | None
) -> StageMove:
    """Compare the heads of one stage on two sides.

    A head has gone if it surely scored more than a tenth of the best head and surely does not any more, each
    by intervals that cover all heads of the model; a new one is the other way round. A head on both sides has
    moved if its score, as a share of the best, surely changed by more than `SHIFT`. So a stage that does less
    by all its heads alike has not moved: that is what claims on sizes are for.

    Args:
        subject: Its name in the run.
        stage: Named by its condition.
        before: The baseline's scores; None if its evidence has none.
        after: The run's scores; None likewise.
    """
    one, other = before or NOT_RECORDED, after or NOT_RECORDED
    # A baseline of which nothing was recorded may have had heads.
    held = one.carried is Carried.by_heads or before is None
    reason = "; ".join(
        f"{when}: {side.reason}"
        for when, side in (("before", one), ("after", other))
        if side.reason
    )
    move = _judge_states(one.carried, other.carried)
    if one.means.size and other.means.size and one.means.shape != other.means.shape:
        told = f"{_spell_shape(one)} before, {_spell_shape(other)} after"
        return StageMove(subject, stage, Move.unmeasured, reason=told, held=held)
    changes: dict[tuple[int, int], str] = {}
    if move is Move.same:
        changes = dict(_find_changes(one, other))
        if _is_renumbered(one.means, other.means):
            # The scores themselves have come and gone with the numbers, and nothing else has.
            move = Move.renumbered
        elif changes:
            move = Move.moved
    lists = [set(_list_heads(side)) for side in (one, other)]
    heads = tuple(
        HeadChange(
            *head,
            _bound(one, head),
            _bound(other, head),
            (head in lists[0], head in lists[1]),
            changes.get(head, ""),
        )
        for head in sorted({*lists[0], *lists[1], *changes})
    )
    return StageMove(subject, stage, move, heads, reason, held)


def _judge_states(before: Carried, after: Carried) -> Move:
    both = {before, after}
    if Carried.unmeasured in both:
        return Move.unmeasured
    if Carried.uncertain in both:
        return Move.uncertain
    if both == {Carried.by_heads}:
        return Move.same
    if both == {Carried.by_none}:
        return Move.nowhere
    return Move.lost if before is Carried.by_heads else Move.found


def _find_changes(one: HeadScores, other: HeadScores) -> Iterator[tuple[tuple[int, int], str]]:
    """The heads that have surely come or gone, or surely carry another share of the stage."""
    above, below = zip(*map(_compare_with_list, (one, other)), strict=True)
    gone, new = above[0] & below[1], below[0] & above[1]
    shares, errors = zip(*map(_estimate_shares, (one, other)), strict=True)
    change, reach = shares[1] - shares[0], errors[0] + errors[1]
    either = above[0] | above[1]
    for name, chosen in (
        ("gone", gone),
        ("new", new),
        ("more", either & (change - reach > SHIFT) & ~new),
        ("less", either & (-change - reach > SHIFT) & ~gone),
    ):
        for layer, head in np.argwhere(chosen):
            yield (int(layer), int(head)), name


def _compare_with_list(side: HeadScores) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which heads surely score above the last place of a list, and which surely below, bool [L, H] each."""
    best = np.unravel_index(side.means.argmax(), side.means.shape)
    line = max(SHARE * float(side.means[best]), ROUNDING)
    # However the two means depend on each other, their difference errs by no more than this.
    reach = side.find_limit(LEVEL, side.means.size) * (side.errors + SHARE * side.errors[best])
    return side.means - reach > line, side.means + reach < line


def _estimate_shares(side: HeadScores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores as shares of the best one, and how far their intervals reach to each side, [L, H] each."""
    best = np.unravel_index(side.means.argmax(), side.means.shape)
    shares = side.means / side.means[best]
    errors = (side.errors + np.abs(shares) * side.errors[best]) / side.means[best]
    return shares, side.find_limit(LEVEL, side.means.size) * errors


def _is_renumbered(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    """Whether each layer has the same scores on both sides, of all its heads, in another order.

    Other heads that had learned to do the same would not agree in the fourth digit, and neither would those of
    the layer that do nothing.
    """
    equal = EQUAL * max(before.max(), after.max())
    alike = np.abs(np.sort(before, 1) - np.sort(after, 1)).max() <= equal
    return bool(alike and np.abs(before - after).max() > equal)


def _list_heads(side: HeadScores) -> Collection[tuple[int, int]]:
    return find_top_heads(side.means) if side.carried is Carried.by_heads else ()


def _bound(side: HeadScores, head: tuple[int, int]) -> tuple[float, float, float] | None:
    if not side.means.size or side.clusters < 2:
        return None
    mean, reach = float(side.means[head]), side.find_limit(LEVEL) * float(side.errors[head])
    return mean, mean - reach, mean + reach


def _spell_shape(side: HeadScores) -> str:
    layers, heads = side.means.shape
    return f"{layers} layers of {heads} heads"
