"""Load the two sides of a comparison, and refuse those that may not be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from harness.judging.claim import Pair
from harness.judging.evidence import DIGITS, SubjectStage, load_evidence, load_heads
from harness.judging.record import Record
from harness.machine.files import read_json
from harness.reporting.floor import Floor, find_floor_file, load_floor, refuse_other_floor
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import tell_partial
from harness.statistics.evidence import Evidence
from harness.statistics.head_scores import HeadScores

DIGEST = "evidence_sha256"
"""Key of a scorecard's file under which the SHA-256 of its evidence stands."""


class NotComparable(ValueError):
    """The two runs were not asked the same questions, so that a difference between them would mean nothing."""


@dataclass(frozen=True)
class Side:
    """One of the two scorecards that are compared.

    Attributes:
        where: Its file, for messages.
        card: The scorecard.
        evidence: What its estimates were made of, by (claim, subject); may be empty.
        heads: How much each head does for each stage, by (subject, stage); may be empty.
        bound: Whether the scorecard knows its evidence by a digest, which older ones do not.
        floor: The noise floor of its model, if it was measured.
    """

    where: str
    card: Scorecard
    evidence: Mapping[Pair, Evidence] = field(default_factory=dict, repr=False)
    heads: Mapping[SubjectStage, HeadScores] = field(default_factory=dict, repr=False)
    bound: bool = True
    floor: Floor | None = field(default=None, repr=False)


def load_side(path: Path, floor: Path | None = None) -> Side:
    """Load a scorecard with its evidence and its noise floor, from its file or from the folder of --scorecard.

    Args:
        path: The file or the folder.
        floor: File of the noise floor, which must be there; if not given, that beside the scorecard, if there.

    Raises:
        ValueError: A file is damaged, of another schema or no scorecard, the run has not finished, or the
            evidence is missing or belongs to another run (with the baseline's evidence beside it, a run would
            seem unchanged), as may the noise floor. The message names the file.
        OSError: There is no such file.
    """
    path = path / "scorecard.json" if path.is_dir() else path
    found = find_evidence_file(path)
    try:
        content = read_json(path)
        card = Scorecard.from_json(content)
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"{path} is not a scorecard: {error!r}") from error
    except ValueError as error:
        raise ValueError(f"{path} cannot be compared: {error}") from error
    digest = content.get(DIGEST)
    if digest is not None:
        _check_digest(found, path, digest)
    evidence = load_evidence(found)
    for record in card.records:
        own = evidence.get((record.claim, record.subject))
        if own is not None and not _is_made_of(record, own):
            raise ValueError(
                f"{found} is not the evidence of {path}: {record.claim} for {record.subject} was made of "
                "other numbers; copy both files of one run, or make the run again"
            )
    noise = load_floor(floor or find_floor_file(path))
    if floor is not None and noise is None:
        raise FileNotFoundError(
            f"{floor}: no such file; `claims floor SUBJECT --out DIR` measures one"
        )
    if noise is not None:
        where = str(floor or find_floor_file(path))
        refuse_other_floor(noise, card.run, card.records, where)
    heads = load_heads(found)
    return Side(str(path), card, evidence, heads, bound=digest is not None, floor=noise)


def _check_digest(evidence: Path, scorecard: Path, digest: str) -> None:
    """Refuse evidence that is not what a scorecard was written with.

    Raises:
        ValueError: The file is missing, or another one.
    """
    if not evidence.exists():
        raise ValueError(
            f"{evidence} is missing, without which a loss must be larger to be found: copy both files of the "
            f"run ({scorecard.name} and {evidence.name}), or make the run again"
        )
    if hashlib.sha256(evidence.read_bytes()).hexdigest() != digest:
        raise ValueError(
            f"{evidence} is not the evidence of {scorecard}: its SHA-256 is not the one that stands there as "
            f"{DIGEST}; copy both files of one run, or make the run again"
        )


def _is_made_of(record: Record, evidence: Evidence) -> bool:
    """Whether a record's estimate can come from this evidence, as far as the digits on file tell."""
    values = evidence.values
    near = 10.0 ** (1 - DIGITS) * float(np.abs(values).max(initial=0.0))
    if evidence.scenes is not None:
        seen = record.estimate is not None and abs(values.mean() - record.estimate) <= near
        return seen and len(values) == record.n
    # An end of a percentile interval is a draw, or lies beyond all draws (few scenes, or an early look).
    ends = [(record.ci_low, values.min(), -1), (record.ci_high, values.max(), 1)]
    return all(
        end is None or np.abs(values - end).min() <= near or sign * (end - outermost) > 0
        for end, outermost, sign in ends
    )


def find_evidence_file(scorecard: Path) -> Path:
    """Path of the evidence that belongs to a scorecard's file."""
    return scorecard.with_name(f"{scorecard.stem}.evidence.json.gz")


def keep_asked(before: Side, pairs: Iterable[Pair], left_out: Collection[Pair] | None) -> Side:
    """The baseline without what the run was told to leave out.

    A claim that exists no more stays in the baseline, so that the comparison misses it.

    Args:
        before: The baseline.
        pairs: Claims and subjects that the run collected.
        left_out: Claims and subjects that the run found and was told to leave out; None if it looked at some
            files only and cannot know what else there is.
    """
    asked = {claim for claim, _ in pairs}
    dropped = set(left_out or ())
    unasked = {claim for claim, _ in dropped}
    kept = tuple(
        r
        for r in before.card.records
        if (r.claim, r.subject) not in dropped
        and (r.claim in asked or (left_out is not None and r.claim not in unasked))
    )
    return replace(before, card=replace(before.card, records=kept))


def keep_own(before: Side, after: Side) -> Side:
    """The baseline with only those claims and subjects that the run was asked for."""
    names = match_subjects(before.card, after.card)
    asked = {*after.card.by_pair, *after.card.missing}
    kept = tuple(
        r for r in before.card.records if (r.claim, names.get(r.subject, r.subject)) in asked
    )
    return replace(before, card=replace(before.card, records=kept))


def leave_out_subjects(side: Side, subjects: Container[str]) -> Side:
    """The side without the subjects named."""
    records = tuple(r for r in side.card.records if r.subject not in subjects)
    missing = tuple(pair for pair in side.card.missing if pair[1] not in subjects)
    return replace(side, card=replace(side.card, records=records, missing=missing))


def refuse_other_settings(before: Side, after: Side, *, partial: bool = False) -> None:
    """Refuse sides that were not shown the same scenes or whose subjects are not of the same family.

    Args:
        before: The baseline.
        after: The run.
        partial: Whether the baseline may be of a partial run, because that was asked for by name.

    Raises:
        NotComparable: They differ in stimuli, seed, trials, gate or family, or the baseline is not complete.
    """
    if before.card.missing:
        raise NotComparable(f"{before.where} is not whole: part of its claims have no verdict")
    if before.card.run.partial and not partial:
        raise NotComparable(
            f"{before.where} is not whole: {tell_partial(before.card.run)}; judge all claims of the baseline's "
            "model, or compare the run's own claims alone with --partial"
        )
    for name, why in (
        ("stimuli", "the code that draws the scenes is another one"),
        ("seed", "the scenes are others"),
        ("trials", "as many trials must be asked"),
        ("gate", "--no-gate on one side only: trials that are answered wrong are kept there"),
    ):
        a, b = getattr(before.card.run, name), getattr(after.card.run, name)
        if a != b:
            raise NotComparable(
                f"{name}: {show_setting(a)} in {before.where}, {show_setting(b)} in {after.where} ({why}): "
                "run the baseline's model again with this version and these options, and compare with that"
            )
    families = [{r.family for r in side.card.records} for side in (before, after)]
    if families[1] and not families[1] <= families[0]:
        other = families[1] - families[0]
        strangers = {r.subject for r in after.card.records if r.family in other}
        raise NotComparable(
            f"a baseline from another model: {before.where} is of {_list_names(families[0])}, and "
            f"{_list_names(strangers)} of {_list_names(other)}; compare each subject with its own baseline, "
            "in a run of its own (--subject)"
        )


def refuse_other_claim(before: Record, after: Record) -> None:
    """Refuse a claim that says something else than in the baseline.

    Raises:
        NotComparable: Threshold, direction, unit or statement differ.
    """
    for name in ("threshold", "direction", "unit", "statement"):
        a, b = getattr(before, name), getattr(after, name)
        if a != b:
            named = name == "threshold" and before.subject != after.subject
            raise NotComparable(
                f"{after.claim} has another threshold for {before.subject} ({a!r}) than for {after.subject} "
                f"({b!r}): it makes exceptions by name; give the folder of one the name of the other"
                if named
                else f"{after.claim} says something else now: its {name} was {a!r} and is {b!r}; "
                "run the baseline's model again"
            )


def match_subjects(before: Scorecard, after: Scorecard) -> dict[str, str]:
    """The run's name for each subject of the baseline; if both have one subject only, the two are matched."""
    if len(before.subjects) == 1 and len(after.subjects) == 1:
        return {before.subjects[0]: after.subjects[0]}
    return {s: s for s in before.subjects}


def show_setting(value: object) -> str:
    """A setting in words, such as the first sixteen digits of a hash."""
    return "each experiment's own" if value is None else str(value)[:16] or "unknown"


def _list_names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
