"""What of two runs differs and does not forbid to compare them, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.judging.claim import SERVED
from harness.reporting.scorecard import Scorecard
from harness.reporting.sealed import note_seals
from harness.reporting.sides import Side, match_subjects, show_setting


def list_notes(before: Side, after: Side) -> tuple[str, ...]:
    """Differences of setting that do not forbid a comparison, in words."""
    found = [*note_seals(before.card.run, after.card.run), *_note_same(before.card, after.card)]
    for name in ("harness", "torch", "transformers", "nnsight", "device", "attention"):
        a, b = getattr(before.card.run, name), getattr(after.card.run, name)
        if a != b:
            found.append(f"{name} {show_setting(a)} before, {show_setting(b)} after")
    found += _note_settings(before.card, after.card)
    if before.card.run.code != after.card.run.code:
        found.append("measured by other code: what changed may be the code's doing")
    for name, one in _hub_subjects(before.card).items():
        other = _hub_subjects(after.card).get(name, one)
        if one["commit"] != other["commit"]:
            found.append(
                f"{name} was {one['commit'][:12]} before and is {other['commit'][:12]} after"
            )
    for side in (before, after):
        for name, facts in _hub_subjects(side.card).items():
            if facts["revision"] != facts["commit"]:
                found.append(
                    f"{name} in {side.where} is not pinned: it followed {facts['revision']}, which was "
                    f"{facts['commit'][:12]}; `claims pin {name}` holds it there"
                )
        if not side.evidence:
            found.append(
                f"{side.where} has no evidence beside it: compared by intervals alone, not scene by scene"
            )
        elif not side.bound:
            found.append(
                f"{side.where} does not say which evidence is its own: an older version wrote it"
            )
    return tuple(found)


def _note_same(before: Scorecard, after: Scorecard) -> Iterator[str]:
    """Say of which subjects both sides rest on the same measurements, so that nothing could be lost.

    A measurement is named by the weights that were measured: a copy of the same checkpoint has the same names.
    """
    for old, new in match_subjects(before, after).items():
        one, other = (
            {r.claim: r.measurement for r in card.records if r.subject == name and r.measurement}
            for card, name in ((before, old), (after, new))
        )
        if one and one == other:
            which = new if old == new else f"{old} and {new}"
            yield f"{which}: both sides are the same weights, so that nothing could be lost"


def _note_settings(before: Scorecard, after: Scorecard) -> Iterator[str]:
    """Name, in words, the subjects that were asked in another arrangement or measured in another dtype."""
    for old, new in match_subjects(before, after).items():
        if new not in after.subjects:
            continue
        # An older scorecard names one dtype for all its subjects.
        one, other = (
            {"dtype": card.run.dtype, **card.run.subjects.get(name, {})}
            for card, name in ((before, old), (after, new))
        )
        for fact in ("dtype", "arrangement"):
            a, b = one.get(fact), other.get(fact)
            if a != b:
                # What is served in another dtype by its name is meant to differ.
                asked = a and not new.endswith(SERVED)
                again = f"; `--{fact} {a}` asks it as before" if asked else ""
                yield f"{new}: {fact} {a or 'unknown'} before, {b or 'unknown'} after{again}"
        a, b = one.get("stimuli"), other.get("stimuli")
        if a != b:
            yield f"{new}: own stimuli {a or 'none'} before, {b or 'none'} after"


def _hub_subjects(card: Scorecard) -> dict[str, Mapping[str, str]]:
    """Facts on the subjects that were loaded from the hub, by name."""
    return {name: facts for name, facts in card.run.subjects.items() if "commit" in facts}
