"""What a run would ask otherwise than its seal says, named one by one with what to try."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from harness.judging.claim import Pair
from harness.judging.seal import Seal, SealedClaim

SHOWN = 5
"""Ids that are named of claims that are missing in the same way."""

RESTORE = "put it back, or seal anew while there is no candidate"


class Difference(NamedTuple):
    """One thing that is not as it was sealed.

    Attributes:
        what: A claim, an experiment or a setting, and what of it.
        sealed: What was sealed, in words.
        now: What is there, in words.
        remedy: What to try.
    """

    what: str
    sealed: str
    now: str
    remedy: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.what}: sealed {self.sealed}, now {self.now}; {self.remedy}"


def find_differences(sealed: Seal, now: Seal, controls: Collection[str] = ()) -> list[Difference]:
    """Everything of what is asked now that is not as it was sealed.

    Claims that are sealed and not in `now` are left to `find_unasked`, which knows why they are missing.

    Args:
        sealed: The seal.
        now: What is asked, gathered in the same way.
        controls: Names of the controls that are asked; cells of others are not compared.
    """
    return [
        *_compare_settings(sealed, now),
        *_compare_rules(sealed, now),
        *_compare_claims(sealed, now),
        *_compare_experiments(sealed, now),
        *_compare_cells(sealed, now, controls),
    ]


def find_unasked(
    sealed: Seal, asked: Iterable[Pair], left_out: Iterable[Pair], subjects: Collection[str]
) -> list[Difference]:
    """Sealed claims that are not asked of every subject.

    Claims that are missing in the same way are named together.

    Args:
        sealed: The seal.
        asked: Claims and subjects that are asked.
        left_out: Claims and subjects that were found and are left out by an option.
        subjects: Names of the subjects; none if nothing is asked.
    """
    asked, left_out = set(asked), set(left_out)
    found = {claim for claim, _ in asked | left_out}
    lacking: dict[str, list[str]] = {}
    for claim in sorted(sealed.claims):
        names = [name for name in sorted(subjects) if (claim, name) not in asked]
        if claim not in found:
            lacking.setdefault("", []).append(claim)
        elif names:
            lacking.setdefault(", ".join(names), []).append(claim)
    return [
        Difference(
            _list_some(claims),
            "as claims" if len(claims) > 1 else "as a claim",
            f"left out for {names}" if names else "not there",
            "ask every sealed claim: leave out -k, -m and --deselect"
            if names
            else "they were deleted or renamed, or stand in files that were not named: put them back, and "
            "run `pytest claims`",
        )
        for names, claims in lacking.items()
    ]


def _list_some(claims: Sequence[str]) -> str:
    """The first few ids, and how many more there are."""
    more = len(claims) - SHOWN
    return ", ".join(claims[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _compare_settings(sealed: Seal, now: Seal) -> Iterator[Difference]:
    asked, gate = sealed.settings.get("trials"), sealed.settings.get("gate")
    remedies = {
        "seed": f"run with --seed {sealed.settings.get('seed')}",
        "trials": "run without --trials" if asked is None else f"run with --trials {asked}",
        "gate": f"run {'without' if gate else 'with'} --no-gate",
    }
    words: dict[tuple[str, object], str] = {
        ("trials", None): "each experiment's own",
        ("gate", True): "only subjects that do the task",
        ("gate", False): "all subjects",
    }
    for name, remedy in remedies.items():
        a, b = sealed.settings.get(name), now.settings.get(name)
        if a != b:
            before, after = (words.get((name, value), str(value)) for value in (a, b))
            yield Difference(name, before, after, remedy)
    if sealed.stimuli != now.stimuli:
        yield Difference(
            "stimuli",
            sealed.stimuli[:12],
            now.stimuli[:12],
            "the code that draws scenes is another one: run the version that was sealed"
            + (f" ({sealed.harness})" if sealed.harness else ""),
        )


def _compare_rules(sealed: Seal, now: Seal) -> Iterator[Difference]:
    for name in sorted({*sealed.rules, *now.rules}):
        a, b = sealed.rules.get(name), now.rules.get(name)
        if a != b:
            yield Difference(f"the rule {name}", _show(a), _show(b), RESTORE)


def _compare_claims(sealed: Seal, now: Seal) -> Iterator[Difference]:
    for id, claim in sorted(now.claims.items()):
        before = sealed.claims.get(id)
        if before is None:
            remedy = "take it out, or seal anew while there is no candidate"
            yield Difference(id, "no such claim", tell_threshold(claim), remedy)
            continue
        if tell_threshold(before) != tell_threshold(claim):
            yield Difference(
                f"{id}: threshold", tell_threshold(before), tell_threshold(claim), RESTORE
            )
        for name in ("exceptions", "published"):
            yield from _compare_numbers(
                f"{id}: {name}", getattr(before, name), getattr(claim, name)
            )
        for name in ("statement", "experiments", "test"):
            a, b = getattr(before, name), getattr(claim, name)
            if a != b:
                yield Difference(f"{id}: {name}", _show(a), _show(b), RESTORE)


def _compare_numbers(
    what: str, before: Mapping[str, float], now: Mapping[str, float]
) -> Iterator[Difference]:
    for subject in sorted({*before, *now}):
        a, b = before.get(subject), now.get(subject)
        if a != b:
            yield Difference(f"{what} for {subject}", _show(a), _show(b), RESTORE)


def _compare_experiments(sealed: Seal, now: Seal) -> Iterator[Difference]:
    used = {name for claim in sealed.claims.values() for name in claim.experiments}
    measured = {m for name in used for m in sealed.experiments[name].measures}
    for name in sorted(measured):
        before, after = sealed.experiments[name], now.experiments.get(name)
        if after is None:
            yield Difference(f"experiment {name}", "there", "not there", RESTORE)
            continue
        a, b = asdict(before), asdict(after)
        for fact in a:
            if a[fact] != b[fact]:
                what = "requires" if fact == "own_task" else fact
                yield Difference(
                    f"experiment {name}: {what}", _show(a[fact]), _show(b[fact]), RESTORE
                )


def _compare_cells(sealed: Seal, now: Seal, controls: Collection[str]) -> Iterator[Difference]:
    for claim, control in sorted({*sealed.controls, *now.controls}):
        a, b = sealed.controls.get((claim, control)), now.controls.get((claim, control))
        if control in controls and claim in sealed.claims and a != b:
            yield Difference(
                f"{claim} on the control {control}",
                "no cell" if a is None else a.verdict,
                "no cell" if b is None else b.verdict,
                "put the cell of fixtures/controls.toml back",
            )


def tell_threshold(claim: SealedClaim) -> str:
    """The threshold in words, without exceptions."""
    return f"{claim.direction} {claim.threshold!r} {claim.unit}"


def _show(value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{v} ({k})" for k, v in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return repr(value) if isinstance(value, str) else str(value)
