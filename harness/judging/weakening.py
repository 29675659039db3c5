"""Find, between two states of the suite, every change that makes a claim easier to pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.judging.seal import CODE, Seal, SealedCell, SealedClaim
from harness.judging.seal_differences import tell_threshold
from harness.judging.verdict import Verdict

EASIER_ABOVE = {"ALPHA": True, "MARGIN": True, "LEVEL": False, "MINIMUM_CLUSTERS": False}
"""For each rule that all claims share, whether a larger number makes claims easier to pass."""

SCALES = {"embedded": "small subjects", "paper": "subjects of the paper's size"}


@dataclass(frozen=True)
class Weakening:
    """A change that makes claims easier to pass.

    Attributes:
        what: What has changed, in words.
        before: How it was, in words.
        after: How it is, in words.
        names: All of these must be named where the change is explained: ids of claims, a rule or an option.
        experiment: The experiment that has changed, which may be named in their stead; "" if none has.
    """

    what: str
    before: str
    after: str
    names: tuple[str, ...]
    experiment: str = ""


def find_weakenings(before: Seal, after: Seal) -> list[Weakening]:
    """Every change between two states that makes a claim easier to pass.

    A claim that says the same under another id is compared with itself, besides being named as gone.
    """
    renamed = match_renamed(before, after)
    found = [*_compare_settings(before, after), *_compare_rules(before, after)]
    for id, claim in sorted(before.claims.items()):
        new = renamed.get(id, id)
        if id not in after.claims:
            told = f"renamed {new}" if id in renamed else "removed"
            found.append(Weakening(id, tell_threshold(claim), told, (id,)))
        if new in after.claims:
            found += _compare_thresholds(id, claim, after.claims[new])
            found += _compare_other_experiments(id, before, after, new)
    found += _compare_experiments(before, after)
    found += _compare_cells(before, after, renamed)
    return found


def match_renamed(before: Seal, after: Seal) -> dict[str, str]:
    """New ids, by the old ones, of claims whose statement is found once under another id."""
    old = {id: c.statement for id, c in before.claims.items() if id not in after.claims}
    new = {id: c.statement for id, c in after.claims.items() if id not in before.claims}
    found = {}
    for id, statement in old.items():
        same = [other for other, said in new.items() if said == statement]
        if len(same) == 1 and list(old.values()).count(statement) == 1:
            found[id] = same[0]
    return found


def find_rewritten(before: Seal, after: Seal) -> list[str]:
    """Claims that say something else or are tested by other code; whether less, only a reader can tell."""
    found = []
    for id in sorted(before.claims.keys() & after.claims.keys()):
        a, b = before.claims[id], after.claims[id]
        if parts := [n for n in ("statement", "test") if getattr(a, n) != getattr(b, n)]:
            found.append(f"{id}: its {' and its '.join(parts)}")
    changed = [told for n, told in CODE.items() if before.code.get(n) != after.code.get(n)]
    changed += ["the stimuli"] if before.stimuli != after.stimuli else []
    return found + changed


def _compare_settings(before: Seal, after: Seal) -> Iterator[Weakening]:
    if before.settings.get("gate") and not after.settings.get("gate"):
        yield Weakening("gate", "only subjects that do the task", "all", ("--no-gate",))


def _compare_rules(before: Seal, after: Seal) -> Iterator[Weakening]:
    for name, up in EASIER_ABOVE.items():
        a, b = before.rules.get(name), after.rules.get(name)
        if a is not None and b is not None and (b > a if up else b < a):
            yield Weakening(f"the rule {name}", f"{a:g}", f"{b:g}", (name,))


def _compare_thresholds(id: str, before: SealedClaim, after: SealedClaim) -> Iterator[Weakening]:
    if (before.direction, before.unit) != (after.direction, after.unit):
        told = f"{tell_threshold(after)}, which cannot be compared"
        yield Weakening(f"{id}: threshold", tell_threshold(before), told, (id,))
        return
    if _is_easier(before, before.threshold, after.threshold):
        yield Weakening(f"{id}: threshold", tell_threshold(before), tell_threshold(after), (id,))
    for subject in sorted({*before.exceptions, *after.exceptions}):
        a, b = before.find_limit(subject), after.find_limit(subject)
        if _is_easier(before, a, b):
            yield Weakening(
                f"{id}: threshold for {subject}",
                f"{before.direction} {a!r} {before.unit}",
                f"{after.direction} {b!r} {after.unit}",
                (id,),
            )


def _is_easier(claim: SealedClaim, before: float, after: float) -> bool:
    return after < before if claim.direction == "above" else after > before


def _compare_other_experiments(id: str, before: Seal, after: Seal, new: str) -> Iterator[Weakening]:
    """What a claim loses by being measured in other experiments: trials, or the task that is required."""
    one, other = before.claims[id].experiments, after.claims[new].experiments
    if one and not other:
        yield Weakening(f"{id}: experiments", ", ".join(one), "none", (id,))
    gone, come = _find_replaced(before.list_measured(id), after.list_measured(new))
    if gone and come:
        for scale, whose in SCALES.items():
            a = min(before.count_trials(name, scale) for name in gone)
            b = min(after.count_trials(name, scale) for name in come)
            if b < a:
                told = (f"{a} ({', '.join(gone)})", f"{b} ({', '.join(come)})")
                yield Weakening(f"{id}: trials on {whose}", *told, (id,))
    gone, come = _find_replaced(one, other)
    if gone and come:
        a_least = max(_find_least(before, name) for name in gone)
        b_least = min(_find_least(after, name) for name in come)
        if b_least < a_least:
            told = (f"{a_least:g} ({', '.join(gone)})", f"{b_least:g} ({', '.join(come)})")
            yield Weakening(f"{id}: share right that is required", *told, (id,))


def _find_replaced(before: Iterable[str], after: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names that are gone, and names that have come; both sorted."""
    one, other = set(before), set(after)
    return sorted(one - other), sorted(other - one)


def _find_least(seal: Seal, experiment: str) -> float:
    """The share right below which claims on an experiment are blocked; 0 if no task is required."""
    found = seal.experiments[experiment]
    return found.least if found.has_gate else 0.0


def _compare_experiments(before: Seal, after: Seal) -> Iterator[Weakening]:
    for name in sorted(before.experiments.keys() & after.experiments.keys()):
        all_claims = _list_kept(before, after, after.list_claims_on(name))
        for scale, whose in SCALES.items():
            a, b = before.count_trials(name, scale), after.count_trials(name, scale)
            if b < a and all_claims:
                what = f"experiment {name}: trials on {whose}"
                yield Weakening(what, str(a), str(b), all_claims, name)
        one, other = before.experiments[name], after.experiments[name]
        reading = [id for id, claim in after.claims.items() if name in claim.experiments]
        claims = _list_kept(before, after, sorted(reading))
        if not claims or not one.has_gate:
            continue
        if one.requires is not None and other.requires != one.requires:
            what, new = f"experiment {name}: required task", other.requires or "none"
            yield Weakening(what, one.requires, new, claims, name)
        if one.own_task and not other.own_task:
            what = f"experiment {name}: required task"
            yield Weakening(what, "told by its own trials", "not told by them", claims, name)
        if other.least < one.least:
            what = f"experiment {name}: share right that is required"
            yield Weakening(what, f"{one.least:g}", f"{other.least:g}", claims, name)


def _list_kept(before: Seal, after: Seal, claims: Iterable[str]) -> tuple[str, ...]:
    """Those of some claims that were there before; of a renamed one the old id, by which it was known."""
    old = {new: id for id, new in match_renamed(before, after).items()}
    return tuple(old.get(id, id) for id in claims if id in before.claims or id in old)


def _compare_cells(before: Seal, after: Seal, renamed: Mapping[str, str]) -> Iterator[Weakening]:
    """Controls that a claim need not refute any more, or that may give more verdicts; alike changes in one."""
    changed: dict[tuple[str, ...], list[str]] = {}
    for (id, control), cell in sorted(before.controls.items()):
        new = renamed.get(id, id)
        told = _compare_cell(cell, after.controls.get((new, control)))
        if told is not None and new in after.claims:
            changed.setdefault((id, *told), []).append(control)
    for (id, part, a, b), controls in changed.items():
        yield Weakening(f"{id} on {', '.join(controls)}: {part}", a, b, (id,))


def _compare_cell(before: SealedCell, after: SealedCell | None) -> tuple[str, str, str] | None:
    """What of a cell is easier, how it was and how it is; None if nothing is."""
    if before.verdict == Verdict.refuted and (after is None or after.verdict != before.verdict):
        return "verdict", before.verdict, after.verdict if after else "no cell"
    if after is None:
        return None
    if allowed := [v for v in after.also if v not in before.also and v != before.verdict]:
        known = _list_verdicts([before.verdict, *before.also])
        return "verdicts of other seeds", known, f"also {_list_verdicts(allowed)}"
    return None


def _list_verdicts(verdicts: Iterable[str]) -> str:
    return " or ".join(sorted(set(verdicts)))
