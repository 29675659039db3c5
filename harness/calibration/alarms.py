"""How often the gate is red between models that are the same, and where one has lost a stage.

A control is judged once for each seed, and many models that compute the same are compared with that, and with
each other: the same weights run in other batches or with other attention, twins whose weights are in another
order, and checkpoints saved again in other files. Every one is measured from the beginning, as a release is.
With it go models of which one stage is turned down, which is the gate's power.

The claims are those on codes and heads (sections 3.3 and 3.4) and on edits of drawn scenes (4.2): all that is
drawn anew for a model, such as the random heads that its own are compared with, is in them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.calibration.calibrate import hash_code
from harness.calibration.countdown import Countdown
from harness.calibration.runs import AS_USUAL, Serving, collect_claims, run_side
from harness.judging.claim import Claim
from harness.reporting.alarms import (
    SCHEMA,
    WEAKENED,
    Compared,
    Content,
    Part,
    Stated,
    digest_words,
)
from harness.reporting.compare import HELD, MARGIN, compare
from harness.reporting.fates import RED, Comparison, Fate
from harness.reporting.sides import Side
from harness.reporting.wording import spell_count
from harness.subjects.registry import find, read_registry
from harness.subjects.resaved import SAVED, save_again
from harness.subjects.truth import STAGES
from harness.subjects.twins import ALL_EXACT, EXACT

CONTROLS = ("planted", "taught", "planted-qwen", "taught-spread")
"""Controls that have all stages, so that a gate has something to lose: two written and two trained, of two
families."""

WEAKENED_CONTROL = "planted"
"""The control whose stages are turned down; see `harness.calibration.weakening.CONTROL`."""

LEFT = ("0.9", "0.75", "0.5", "0")
"""Shares of a stage that are left, as a subject's name has them."""

SERVINGS = (Serving("halves", divisor=2), Serving("eager", attention="eager"))
"""Other ways to run the same weights."""

TRIALS = 24
"""Trials of every experiment: the fewest that an interval can be made of. They cost the least; a model that is
the same must be green with few trials, too, and what is found with so few is found with more."""

FIRST_SEED = 1

FILES = tuple(
    f"claims/visual_symbols/test_{name}.py"
    for name in ("3_3_similarity", "3_4_mediation", "4_2_steering")
)

JUDGED = ("visual_symbols.3.3.", "visual_symbols.3.4.", "visual_symbols.4.2.drawn")
"""How the ids of the claims that are judged begin; those of `FILES`."""


class Asked(NamedTuple):
    """One part: a control, a seed, how many trials, and whether stages are turned down."""

    control: str
    seed: int
    trials: int | None
    weakened: bool


def list_asked(seeds: int, power: int, controls: Sequence[str] = CONTROLS) -> list[Asked]:
    """List the parts, those of a smaller seed first.

    Args:
        seeds: How many seeds of each control are compared with models that are the same.
        power: How many seeds are compared with models that lost something.
        controls: Which controls.
    """
    parts = [Asked(c, FIRST_SEED + s, TRIALS, False) for s in range(seeds) for c in controls]
    return parts + [
        Asked(WEAKENED_CONTROL, FIRST_SEED + s, TRIALS, True)
        for s in range(power)
        if WEAKENED_CONTROL in controls
    ]


def choose_claims() -> list[Claim]:
    """The claims that are judged, of `FILES` and by `JUDGED`."""
    return [c for c in collect_claims(FILES) if c.id.startswith(JUDGED)]


def measure_alarms(
    asked: Iterable[Asked],
    known: Content | None,
    *,
    keep: Callable[[Content], None],
    say: Callable[[str], None],
) -> Content:
    """Run those parts that are not known yet.

    Args:
        asked: From `list_asked`.
        known: What was measured before. It is dropped if it is of other claims; parts that other code measured
            stay, and are counted.
        keep: Is called with everything that is known after each part.
        say: Receives a line for each model that is judged, with the time left, and for each comparison.
    """
    claims, code = choose_claims(), hash_code()[:12]
    content: Content = {
        "schema": SCHEMA,
        "claims": {c.id: state_claim(c) for c in claims},
        "margin": MARGIN,
        "parts": [],
    }
    if known is not None and {**known, "parts": []} == content:
        content["parts"] = list(known["parts"])
        other = sum(p["code"] != code for p in content["parts"])
        say(f"{len(content['parts'])} parts known, {other} of them by other code")
    elif known is not None:
        say("what is known is of other claims or another margin: everything is measured anew")
    done = {_name_part(p) for p in content["parts"]}
    waiting = [a for a in asked if a not in done]
    models = sum(map(count_models, waiting))
    if waiting:
        say(f"{spell_count(models, 'model')} to judge, in {spell_count(len(waiting), 'part')}")
    countdown = Countdown(models, say)
    for one in waiting:
        compared = compare_all(one, [c.id for c in claims], countdown)
        content["parts"].append(
            {
                "control": one.control,
                "seed": one.seed,
                "trials": one.trials,
                "code": code,
                "compared": compared,
            }
        )
        keep(content)
    return content


def state_claim(claim: Claim) -> Stated:
    """What a claim says, as it is kept."""
    threshold = claim.threshold
    return {
        "said": digest_words(claim.statement, threshold.unit, threshold.direction),
        "thresholds": [threshold.value, *threshold.exceptions.values()],
    }


def note_compared(comparison: Comparison, how: str, kind: str) -> Compared:
    """What is kept of a comparison; see `Compared`."""
    red = [row for row in comparison.rows if row.fate in RED]
    return {
        "how": how,
        "kind": kind,
        "claims": len(comparison.rows),
        "held": sum(r.before is not None and r.before.verdict in HELD for r in comparison.rows),
        "lost": [{"claim": r.claim, "reason": r.reason} for r in red],
        "improved": len(comparison.of(Fate.improved)),
    }


def _name_part(part: Part) -> Asked:
    weakened = any(one["kind"] == WEAKENED for one in part["compared"])
    return Asked(part["control"], part["seed"], part["trials"], weakened)


def count_models(asked: Asked) -> int:
    """How many models a part judges: the control, and those that are compared with it."""
    same = len(SERVINGS) + len((*EXACT, ALL_EXACT)) + len(SAVED)
    return 1 + (len(STAGES) * len(LEFT) if asked.weakened else same)


def compare_all(asked: Asked, claims: Sequence[str], countdown: Countdown) -> list[Compared]:
    """Judge a control and all models that are compared with it, and compare them.

    Args:
        asked: Which control, and how.
        claims: Ids of the claims.
        countdown: Counts each model, and says what each comparison gave.
    """

    def judge(name: str, serving: Serving = AS_USUAL) -> Side:
        return run_side(
            [name],
            files=FILES,
            claims=claims,
            seed=asked.seed,
            trials=asked.trials,
            gate=False,
            serving=serving,
        )

    found: list[Compared] = []

    def note(before: Side, after: Side, how: str, kind: str) -> None:
        one = note_compared(compare(before, after, partial=True), how, kind)
        found.append(one)
        lost = ", ".join(row["claim"] for row in one["lost"])
        countdown.say(f"  {kind} {how}: {f'RED, {lost}' if lost else 'green'}")

    control = judge(asked.control)
    countdown.finish(f"{asked.control}, seed {asked.seed}")
    last: tuple[str, Side] | None = None
    with tempfile.TemporaryDirectory() as folder:
        models = _list_weakened if asked.weakened else _list_same
        for kind, how, name, serving in models(asked.control, Path(folder)):
            made = judge(name, serving)
            countdown.finish(f"{asked.control}, seed {asked.seed}, {kind} {how}")
            note(control, made, how, kind)
            if last is not None and not asked.weakened:
                note(last[1], made, f"{how} against {last[0]}", "between")
            last = how, made
    if last is not None and not asked.weakened:
        note(last[1], control, f"itself against {last[0]}", "between")
    return found


Model = tuple[str, str, str, Serving]
"""Kind, what was changed, the name after --subject, and how it is run."""


def _list_same(control: str, folder: Path) -> Iterator[Model]:
    for serving in SERVINGS:
        yield "served", serving.name, control, serving
    for how in (*EXACT, ALL_EXACT):
        yield "permuted", how, f"{control}:{how}", AS_USUAL
    source = find(control, read_registry()).folder
    if source is None:
        raise ValueError(f"{control} has no folder that could be saved again")
    for how in SAVED:
        yield "saved", how, str(save_again(source, folder / f"{control}-{how}", how)), AS_USUAL


def _list_weakened(control: str, folder: Path) -> Iterator[Model]:
    for stage in STAGES:
        for left in LEFT:
            yield WEAKENED, f"{stage}={left}", f"{control}:{stage}={left}", AS_USUAL
