"""Put the records of a run together: correct them for multiplicity, and find which verdicts are missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.judging.claim import Pair
from harness.judging.record import Record, RunFacts
from harness.judging.verdict import Outcome, Standing, Verdict, compare_verdict
from harness.machine.files import read_json
from harness.reporting.wording import (
    MISSING,
    WORDS,
    count_verdicts,
    measured,
    number,
    paper,
    plain,
    spell_count,
)
from harness.statistics.estimate import adjust_p_values

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = {
    "str": "str",
    "str | None": "str",
    "Verdict": "str",
    "float": "float64",
    "float | None": "float64",
    "int": "int64",
    "bool": "bool",
}
"""The pandas type of a column, by the annotation of the record's attribute."""

_Family = tuple[str, str]
"""Subject and paper: the p-values of its claims are corrected together."""

ALPHA = 0.025
"""One-sided level of a verdict; a 95% interval lies wholly on the claimed side exactly if p is below it."""


@dataclass(frozen=True)
class Scorecard:
    """Every verdict of a run. Made by `build`, or read back by `from_json`.

    Attributes:
        run: What the records have in common.
        records: One per claim and subject, in the order of collection, verdicts after correction.
        missing: Collected pairs (claim, subject) that have no record.
        correction: How the verdicts were corrected, in words.
        p_adjusted: Adjusted p-value of every record that has a p-value, by (claim, subject).
        corrected_over: Number of claims corrected over, by (subject, paper).
    """

    run: RunFacts
    records: tuple[Record, ...]
    missing: tuple[Pair, ...]
    correction: str
    p_adjusted: Mapping[Pair, float] = field(default_factory=dict, hash=False)
    corrected_over: Mapping[_Family, int] = field(default_factory=dict, hash=False)

    @property
    def claims(self) -> tuple[str, ...]:
        """Claim ids in the order of the records; claims without any record come last."""
        return tuple(dict.fromkeys([r.claim for r in self.records] + [c for c, _ in self.missing]))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects in the order in which they first occur."""
        return tuple(
            dict.fromkeys([r.subject for r in self.records] + [s for _, s in self.missing])
        )

    @property
    def by_pair(self) -> dict[Pair, Record]:
        """Records by (claim, subject)."""
        return {_pair(r): r for r in self.records}

    def standings(self) -> dict[Pair, Standing]:
        """Each record read against the baseline verdict that it carries.

        A subject has a baseline in use if any of its records carries one; its other claims are
        "new".
        """
        in_use = {r.subject for r in self.records if r.baseline is not None}
        return {
            _pair(r): compare_verdict(
                r.verdict,
                None if r.baseline is None else Verdict(r.baseline),
                in_use=r.subject in in_use,
                exact=r.control,
            )
            for r in self.records
        }

    @property
    def red(self) -> bool:
        """Whether the run must fail: a failure, an error or a missing verdict."""
        outcomes = {standing.outcome for standing in self.standings().values()}
        return bool(self.missing) or bool(outcomes & {Outcome.failed, Outcome.error})

    def frame(self) -> pd.DataFrame:
        """The records as a table: one row a verdict, in the scorecard's order, one column a key of the record.

        The columns are always the same, also without records. Numbers are float64, NaN where the record has
        null (its `reason` says why); counts and seeds are int64; `control` is bool; texts are strings, missing
        where the record has null, and `plain`; `verdict` is categorical, ordered as verdicts are listed
        everywhere. `harness.reporting.frames.COLUMNS` says what stands in each.
        """
        import pandas as pd

        # Half of a surrogate pair, as JSON can hold it, would be no text for pyarrow.
        rows = [
            {k: plain(v) if isinstance(v, str) else v for k, v in record.to_json().items()}
            for record in self.records
        ]
        table = pd.DataFrame(rows, columns=[f.name for f in fields(Record)])
        verdicts = pd.CategoricalDtype([str(v) for v in Verdict], ordered=True)
        return table.astype(
            {f.name: _COLUMNS[str(f.type)] for f in fields(Record)} | {"verdict": verdicts}
        )

    def __repr__(self) -> str:
        return f"Scorecard of {self._count()}"

    def _repr_html_(self) -> str:
        """The counts and a table of verdicts, for a notebook; pandas escapes what stands in it."""
        shown = ["claim", "subject", "verdict", "estimate", "ci_low", "ci_high", "unit", "reason"]
        table = self.frame()[shown].to_html(index=False, max_rows=60, float_format="{:.3g}".format)
        return f"<div><strong>{escape(self._count())}</strong>{table}</div>"

    def _count(self) -> str:
        verdicts = [str(r.verdict) for r in self.records] + [MISSING] * len(self.missing)
        counted = count_verdicts(verdicts).items()
        told = ", ".join(f"{n} {WORDS[verdict]}" for verdict, n in counted) or "no verdicts"
        claims, subjects = len(self.claims), len(self.subjects)
        return f"{spell_count(claims, 'claim')} on {spell_count(subjects, 'subject')}: {told}"

    def to_json(self) -> dict[str, Any]:
        """The scorecard as plain values: `run`, `records`, `missing`, `correction`."""
        return {
            "run": self.run.to_json(),
            "records": [record.to_json() for record in self.records],
            "missing": [list(pair) for pair in self.missing],
            "correction": self.correction,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Scorecard:
        """Read back what `to_json` gave.

        Raises:
            ValueError: The schema is another, a key is missing, or a claim and subject occur twice.
            Unfinished: Its run has not finished.
        """
        try:
            run = RunFacts.from_json(content["run"])
            records = tuple(Record.from_json(row) for row in content["records"])
            missing = tuple((claim, subject) for claim, subject in content["missing"])
            correction = content["correction"]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a scorecard: {error!r}") from error
        _refuse_repeats([_pair(r) for r in records] + list(missing), "stands in the scorecard")
        # The records keep their raw p-values, so the adjusted ones need no place in the file.
        return cls(run, records, missing, correction, *_adjust_p_values(records))


def build(run: RunFacts, records: Iterable[Record], collected: Iterable[Pair]) -> Scorecard:
    """Build the scorecard of a run: correct its verdicts, and find those that are missing.

    Within each subject and paper the p-values are adjusted (Benjamini-Hochberg) over all records
    that have one, and a supported record whose adjusted p exceeds `ALPHA` becomes inconclusive.
    Correcting corrected records again changes nothing.

    Args:
        run: What the records have in common.
        records: Verdicts as judged, before correction.
        collected: Every (claim, subject) that was to be judged, in the order to show them in.

    Raises:
        ValueError: A pair was collected twice, has two records, or has one but was not collected.
    """
    wanted, records = list(collected), list(records)
    _refuse_repeats(wanted, "was collected")
    _refuse_repeats([_pair(r) for r in records], "has a record")
    found = {_pair(r): r for r in records}
    stray = sorted(set(found) - set(wanted))
    if stray:
        names = ", ".join(f"{claim} for {subject}" for claim, subject in stray)
        raise ValueError(f"recorded but not collected, so from another run: {names}")
    adjusted, over = _adjust_p_values(records)
    kept = [
        _correct(found[pair], adjusted.get(pair), over.get((pair[1], paper(pair[0])), 0))
        for pair in wanted
        if pair in found
    ]
    lost = sum(record.verdict != found[_pair(record)].verdict for record in kept)
    missing = tuple(pair for pair in wanted if pair not in found)
    return Scorecard(run, tuple(kept), missing, _describe_correction(over, lost), adjusted, over)


def load_baseline(path: str | Path, subject: str | None = None) -> dict[Pair, Record]:
    """The records of an earlier scorecard, by (claim, subject).

    Args:
        path: A scorecard.json.
        subject: Name to give the records, where the baseline's only subject is called otherwise.

    Raises:
        ValueError: The file is damaged, of another schema or not a scorecard, or it has several subjects
            and `subject` would give them all one name. The message names the file.
        OSError: There is no such file.
    """
    content = read_json(path)
    try:
        if not isinstance(content, dict):
            raise ValueError("not a scorecard")
        card = Scorecard.from_json(content)
    except ValueError as error:
        raise ValueError(f"{path} cannot be a baseline: {error}") from error
    if subject is None:
        return card.by_pair
    if len(card.subjects) > 1:
        names = ", ".join(card.subjects)
        raise ValueError(f"{path} cannot stand for {subject}: it has several subjects ({names})")
    return {(r.claim, subject): replace(r, subject=subject) for r in card.records}


def _pair(record: Record) -> Pair:
    return record.claim, record.subject


def _refuse_repeats(pairs: Iterable[Pair], what: str) -> None:
    for (claim, subject), times in Counter(pairs).items():
        if times > 1:
            raise ValueError(f"{claim} for {subject} {what} {times} times; it must be once")


def _adjust_p_values(
    records: Iterable[Record],
) -> tuple[Mapping[Pair, float], Mapping[_Family, int]]:
    """Adjusted p-values by (claim, subject), and the number of claims that each family corrects over."""
    families: dict[_Family, list[tuple[Pair, float]]] = defaultdict(list)
    for record in records:
        if record.p_value is not None:
            families[record.subject, paper(record.claim)].append((_pair(record), record.p_value))
    adjusted: dict[Pair, float] = {}
    for members in families.values():
        values = adjust_p_values([p for _, p in members])
        adjusted |= {pair: float(p) for (pair, _), p in zip(members, values, strict=True)}
    over = {family: len(members) for family, members in families.items()}
    return MappingProxyType(adjusted), MappingProxyType(over)


def _correct(record: Record, adjusted: float | None, over: int) -> Record:
    """The record, inconclusive if it was supported and its adjusted p-value is too large."""
    if record.verdict is not Verdict.supported or adjusted is None or adjusted <= ALPHA:
        return record
    reason = (
        f"{measured(record)} {record.unit} is {record.direction} {number(record.threshold)}, "
        f"but not after correction over {spell_count(over, 'claim')}: "
        f"adjusted p = {_spell_p(adjusted)}, above {ALPHA}"
    )
    return replace(record, verdict=Verdict.inconclusive, reason=reason)


def _spell_p(adjusted: float) -> str:
    # 0.02500001 must not be printed as a number that is not above 0.025.
    return next(t for d in range(2, 18) if float(t := f"{adjusted:.{d}g}") > ALPHA)


def _describe_correction(over: Mapping[_Family, int], lost: int) -> str:
    if not over:
        return "No verdict rests on a p-value, so nothing was corrected."
    sizes: dict[str, set[int]] = defaultdict(set)
    for (_, name), size in over.items():
        sizes[name].add(size)
    spans = [
        f"{min(s)} to {max(s)} claims of {name}"
        if len(s) > 1
        else f"{spell_count(max(s), 'claim')} of {name}"
        for name, s in sizes.items()
    ]
    change = {
        0: "no supported claim was lost to it",
        1: "1 supported claim became inconclusive",
    }.get(lost, f"{lost} supported claims became inconclusive")
    return (
        f"Corrected by Benjamini-Hochberg within each subject over {' and '.join(spans)} "
        f"(adjusted one-sided p at most {ALPHA}): {change}."
    )
