"""Power over effect size: how small a stage may be and still be seen.

One stage of a control is turned down in steps (`harness.subjects.weakened`), and the claims that are about it
are judged at every step. They are judged without the gate: whether the task is still done is a claim of section
3.1 beside them, and where nothing is left no claim about a stage may be supported, however it is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypedDict

from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.reporting.power_curves import Point, PowerCurve

CURVE = "power curve"
"""What a part is called that judges one step."""

CONTROL = "planted"
"""The control whose stages are turned down: with the share falls by how much the right answer leads. In
`planted-absolute` it rises, and taught controls rest on the mean of their heads, too."""

STEPS: Mapping[str, tuple[str, ...]] = {
    "retrieval": ("1", "0.1", "0.06", "0.02", "0"),
    "selection": ("1", "0.1", "0.05", "0.02", "0"),
    "features": ("1", "0.5", "0.1", "0.05", "0.02", "0"),
}
"""Shares of each stage, as a subject's name has them, from the largest on. Chosen on seed 0, which judges no
curve: with half of retrieval or selection the answers lead as before, and below a tenth they go. Where a share
happens to make rounding decide between two objects, the self-check refuses the subject (`retrieval=0.05`)."""


WHOLE = "1"
"""The share at which nothing is turned down."""

FIRST_SEED = 1
"""Seed of the first trials that judge; those of seed 0 chose the steps."""

TASK = ("3.1.two_objects", "3.1.four_objects")
"""Claims that say whether the task is still done, judged at every step of every stage."""

ABOUT = {
    "retrieval": (
        "3.3.position_at_mentions",
        "3.3.position_readable_at_mentions",
        "3.3.retrieval_before_selection",
        "3.4.id_retrieval",
        "3.4.retrieval_size",
        "3.4.retrieval_share",
        "3.4.retrieval_before_selection",
        "4.2.drawn_retrieval",
        "4.2.drawn_retrieval_specific",
        "4.2.drawn_retrieval_over_rivals",
        "4.2.through_selection",
        "4.2.through_selection_specific",
    ),
    "selection": (
        "3.3.position_at_last",
        "3.3.position_readable_at_last",
        "3.3.retrieval_before_selection",
        "3.3.selection_before_features",
        "3.4.id_selection",
        "3.4.selection_size",
        "3.4.selection_share",
        "3.4.retrieval_before_selection",
        "3.4.selection_before_features",
        "4.2.drawn_selection",
        "4.2.drawn_selection_specific",
        "4.2.drawn_selection_over_rivals",
        "4.2.through_selection",
        "4.2.through_selection_specific",
    ),
    "features": (
        "3.3.features_at_last",
        "3.3.selection_before_features",
        "3.4.feature_retrieval",
        "3.4.features_size",
        "3.4.features_share",
        "3.4.selection_before_features",
        "4.2.drawn_features",
        "4.2.drawn_features_specific",
        "4.2.drawn_features_over_rivals",
    ),
}
"""Claims about each stage, of the sections in which it is measured (3.3, 3.4) and edited (4.2)."""

SECTIONS = ("3.1", "3.3", "3.4", "4.2")
"""The sections that these claims are of."""

PREFIX = "visual_symbols."


class Step(TypedDict):
    """What is kept of a claim at one step; `estimate` is None where there is none."""

    verdict: str
    estimate: float | None
    unit: str


def list_parts(seeds: int, stages: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    """List the parts of a calibration that are about these curves; with a share of 1 all stages have one part.

    Args:
        seeds: How many seeds judge.
        stages: Which stages are turned down.
    """
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        yield CURVE, CONTROL, seed
        for stage in stages:
            for share in STEPS[stage][1:]:
                yield CURVE, f"{CONTROL}:{stage}={share}", seed


def choose_claims(name: str, sections: Collection[str] = SECTIONS) -> frozenset[str]:
    """Choose the claims that are judged on a subject: those about the stage that is turned down.

    Args:
        name: Of a part from `list_parts`.
        sections: Of which sections.
    """
    stage = name.partition(":")[2].partition("=")[0]
    about = [stage] if stage else list(ABOUT)
    every = (claim for s in about for claim in (*TASK, *ABOUT[s]))
    return frozenset(PREFIX + c for c in every if c.startswith(tuple(sections)))


def note_step(record: Record) -> Step:
    """What is kept of one record."""
    return {"verdict": str(record.verdict), "estimate": record.estimate, "unit": record.unit}


def add_up_curves(results: Mapping[tuple[str, str, int], Mapping[str, Step]]) -> list[PowerCurve]:
    """Add up what was found at all steps to one curve for each stage and claim.

    Args:
        results: What each part of `list_parts` found, by claim.
    """
    found: dict[tuple[str, str, str], list[Step]] = defaultdict(list)
    for (what, name, _), claims in results.items():
        if what == CURVE:
            stage, _, share = name.partition(":")[2].partition("=")
            for claim, step in claims.items():
                found[stage, share or WHOLE, claim].append(step)
    stages = {stage for stage, *_ in found} - {""}
    curves: list[PowerCurve] = []
    for stage in (s for s in ABOUT if s in stages):
        for claim in (PREFIX + c for c in (*TASK, *ABOUT[stage])):
            at = [(x, found["" if x == WHOLE else stage, x, claim]) for x in STEPS[stage]]
            if not any(steps for _, steps in at):
                continue
            curves.append(
                {
                    "claim": claim,
                    "control": CONTROL,
                    "stage": stage,
                    "unit": next((s["unit"] for _, steps in at for s in steps), ""),
                    "points": [_make_point(float(share), steps) for share, steps in at if steps],
                }
            )
    return curves


def _make_point(share: float, steps: Sequence[Step]) -> Point:
    known = [s["estimate"] for s in steps if s["estimate"] is not None]
    return {
        "share": share,
        "supported": sum(s["verdict"] == Verdict.supported for s in steps),
        "seeds": len(steps),
        "estimate": sum(known) / len(known) if known else None,
    }
