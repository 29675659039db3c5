"""The controls: which mechanism each has, and in which heads."""

from __future__ import annotations

from collections.abc import Callable

from harness.training.wired.crowding import look_up_features_apart
from harness.training.wired.families import CONTENTS, GEMMA3, QWEN2_VL, STRIPS, Family
from harness.training.wired.heads import WiredHead
from harness.training.wired.mechanisms import (
    bind_by_position,
    exclude_by_content,
    see_without_binding,
)
from harness.training.wired.near_misses import (
    leave_ids_idle,
    retrieve_without_selecting,
    tie_ids_to_content,
)
from harness.training.wired.ordering import (
    HELD,
    back_up_ordering,
    build_ordering,
    read_vision_ordering,
)
from harness.training.wired.plan import Plan, Stage


def _plan_order(
    name: str, mechanism: Callable[[Plan], list[WiredHead]], family: Family, seed: int
) -> Plan:
    """A control that knows the order of a row: built in the layer of the first stage, asked for and answered by
    in those of the others. No two of them share a key head."""
    return Plan(
        name,
        mechanism,
        retrieval=Stage(2, (0, 1)),
        selection=Stage(4, (2, 5)),
        features=Stage(6, (3, 6)),
        family=family,
        holds=HELD,
        seed=seed,
    )


PLANS = {
    plan.name: plan
    for plan in (
        Plan("planted", bind_by_position),
        Plan(
            "planted-elsewhere",
            bind_by_position,
            retrieval=Stage(1, (5, 2)),
            selection=Stage(3, (7, 0)),
            features=Stage(5, (1, 6)),
            seed=1,
        ),
        Plan(
            "planted-absolute",
            bind_by_position,
            selection=Stage(5, (2, 3)),
            relative=False,
            seed=2,
        ),
        # The heads of one stage share a key head; those of the others do not, so that nothing rests on it.
        Plan(
            "planted-qwen",
            bind_by_position,
            retrieval=Stage(2, (0, 1)),
            selection=Stage(4, (2, 5)),
            features=Stage(6, (3, 6)),
            family=QWEN2_VL,
            seed=4,
        ),
        # Stages are in layers that see everything, the words before in those that see a window.
        Plan(
            "planted-gemma",
            bind_by_position,
            retrieval=Stage(1, (0, 5)),
            selection=Stage(3, (2, 3)),
            features=Stage(5, (4, 6)),
            family=GEMMA3,
            seed=13,
        ),
        Plan("planted-crowded", look_up_features_apart, seed=12),
        Plan("shortcut", exclude_by_content, seed=3),
        Plan("unbound", see_without_binding, seed=8),
        Plan(
            "idle-ids",
            leave_ids_idle,
            retrieval=Stage(3, (0, 1)),
            selection=Stage(5, (2, 3)),
            features=Stage(2, (4, 5)),
            seed=9,
        ),
        Plan("unselective", retrieve_without_selecting, seed=10),
        _plan_order("planted-vision", read_vision_ordering, STRIPS, 14),
        _plan_order("planted-language", build_ordering, CONTENTS, 15),
        _plan_order("planted-both", back_up_ordering, STRIPS, 16),
        Plan("content-bound", tie_ids_to_content, turned=True, seed=11),
    )
}
