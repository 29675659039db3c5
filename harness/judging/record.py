"""Records of verdicts on disk: versioned, written atomically, one file per claim and subject."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from harness.judging.claim import Claim, find_of_subject
from harness.judging.evidence import save_evidence
from harness.judging.state import FINISHED, refuse_unfinished
from harness.judging.verdict import Judgement, Verdict
from harness.machine.files import name_file, read_json, write_json
from harness.statistics.estimate import Estimate
from harness.statistics.evidence import Evidence
from harness.statistics.looks import ALL_TRIALS, Look

SCHEMA = 1
"""Version of what is written; a file of another version is refused, never guessed at."""

_Row = TypeVar("_Row", "Record", "RunFacts")


@dataclass(frozen=True)
class Record:
    """The verdict on one claim for one subject, with everything needed to question it.

    The attributes, in this order, are the contract of the scorecard. Estimate, 95% interval,
    threshold (the value that holds for this subject) and published value are in `unit`; `n` counts
    trials, `clusters` scenes; `baseline` is the baseline's verdict, `measurement` a key of the
    store, `p_value` one-sided and before correction. On a `control` the baseline is the verdict that must
    come out. Numbers are finite or None.

    Raises:
        ValueError: A number is not finite, or one of the estimate's is missing without a reason.
    """

    claim: str
    statement: str
    source: str
    subject: str
    family: str
    verdict: Verdict
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    unit: str
    threshold: float
    direction: str
    n: int
    clusters: int
    seed: int
    published: float | None
    baseline: str | None
    reason: str
    measurement: str | None
    seconds: float | None
    p_value: float | None = None
    threshold_origin: str = ""
    method: str = ""
    control: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "verdict", Verdict(self.verdict))
        for name, value in self.to_json().items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{self._name}: {name} is {value}; a record holds finite numbers")
        missing = [n for n in ("estimate", "ci_low", "ci_high") if getattr(self, n) is None]
        if missing and not self.reason.strip():
            raise ValueError(f"{self._name}: {', '.join(missing)} missing without a reason")

    @classmethod
    def of(
        cls,
        claim: Claim,
        *,
        subject: str,
        family: str,
        judgement: Judgement,
        estimate: Estimate | None,
        seed: int,
        published: float | None = None,
        baseline: str | None = None,
        measurement: str | None = None,
        seconds: float | None = None,
        control: bool = False,
        look: Look = ALL_TRIALS,
    ) -> Record:
        """Build the record of a judgement.

        Args:
            claim: What was judged.
            subject: Name of the subject.
            family: Its architecture.
            judgement: Verdict and reason.
            estimate: What the judgement rests on; None if nothing was measured.
            seed: The seed of the run.
            published: The paper's number; if not given, the claim's number for this subject.
            baseline: The baseline's verdict.
            measurement: Key of the measurement in the store.
            seconds: Time taken, in seconds.
            control: Whether the subject's mechanism is known, so that the baseline is the right answer.
            look: The look at which it was judged.

        Returns:
            The record; numbers that are not finite are None in it.

        Raises:
            ValueError: A number of the estimate is missing and the judgement has no reason.
        """
        threshold = claim.threshold
        limit = threshold.for_subject(subject)
        value = low = high = p_value = None
        if estimate is not None:
            value = _keep_finite(estimate.value)
            if value is not None:
                low, high = map(_keep_finite, estimate.interval(look.level))
            # A claim about an absent quantity was asked and is refuted, so it counts in the correction.
            if judgement.verdict in (Verdict.supported, Verdict.refuted, Verdict.inconclusive):
                p_value = _keep_finite(look.inflate(estimate.p_value(limit, threshold.direction)))
        return cls(
            claim=claim.id,
            statement=claim.statement,
            source=claim.source,
            subject=subject,
            family=family,
            verdict=judgement.verdict,
            estimate=value,
            ci_low=low,
            ci_high=high,
            unit=threshold.unit,
            threshold=limit,
            direction=threshold.direction,
            n=int(estimate.n) if estimate else 0,
            clusters=int(estimate.clusters) if estimate else 0,
            seed=int(seed),
            published=_keep_finite(
                find_of_subject(claim.published, subject, None) if published is None else published
            ),
            baseline=None if baseline is None else str(baseline),
            reason=judgement.reason,
            measurement=measurement,
            seconds=_keep_finite(seconds),
            p_value=p_value,
            threshold_origin=": ".join(filter(None, (threshold.origin, threshold.note))),
            method=estimate.method if estimate else "",
            control=control,
        )

    @property
    def _name(self) -> str:
        return f"record of {self.claim} for {self.subject}"

    def to_json(self) -> dict[str, Any]:
        """The record as plain values, in the order of the contract."""
        return {**asdict(self), "verdict": str(self.verdict)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Record:
        """The record that `to_json` gave; ValueError on a missing or an unknown key."""
        return _build(cls, row)

    def properties(self) -> dict[str, str]:
        """The record as JUnit properties: floats to six digits, nothing for None."""
        return {name: _format(value) for name, value in self.to_json().items()}


@dataclass(frozen=True)
class RunFacts:
    """What all records of a run have in common: versions, device, seed.

    `partial` marks a run without a verdict on every claim, and `partial_because` says why; `command` is what
    began it. A run whose `state` is not "finished" cannot be read back.
    `stimuli` is a hash of the code that draws scenes and prompts, `code` of all code that measures; both are
    empty if not recorded. `gate` is false where claims were asked of subjects that fail the task. `subjects`
    says how each subject was asked, as far as it is known: `dtype` and `arrangement` ("plain", "chat" or
    "prefilled"), and for a subject of the hub the `revision` of its entry and the `commit` it stood for. `seal`
    is empty unless the run was held to a seal: the seal's `digest`, when it was `written`, and under `changed`
    what is not as it was then and is not refused.

    Raises:
        ValueError: The run is of another version of the schema.
        Unfinished: The run that `from_json` reads has not finished.
    """

    schema: int
    claims_hash: str
    harness: str
    torch: str | None
    transformers: str | None
    nnsight: str | None
    device: str | None
    dtype: str | None
    attention: str | None
    started: str
    seed: int
    trials: int | str | None
    python: str
    platform: str
    partial: bool = False
    stimuli: str = ""
    gate: bool = True
    code: str = ""
    subjects: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    partial_because: str = ""
    command: str = ""
    state: str = FINISHED
    seal: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_schema(self.schema, "run")

    def to_json(self) -> dict[str, Any]:
        """The run as plain values, in the order of the contract."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> RunFacts:
        """The run that `to_json` gave; ValueError on a missing or unknown key or another schema."""
        # The schema is checked first, since another version explains why keys differ.
        _check_schema(row.get("schema"), "run")
        refuse_unfinished(row)
        # Older scorecards have only the commits of subjects of the hub, under the name `revisions`.
        rest = {name: value for name, value in row.items() if name != "revisions"}
        return _build(cls, {"subjects": row.get("revisions", {}), **rest})


def save_record(folder: str | Path, record: Record, evidence: Evidence | None = None) -> Path:
    """Write one record to its own file in the folder; a record of the same name is replaced.

    The evidence goes into a file of its own beside it; without evidence an old one is removed.

    Returns:
        The path, "<subject>--<claim>.json", the subject's name as `name_file` spells it.
    """
    path, beside = _name_files(folder, record.claim, record.subject)
    if evidence is None:
        beside.unlink(missing_ok=True)
    else:
        save_evidence(beside, {(record.claim, record.subject): evidence})
    write_json(path, {"schema": SCHEMA, "record": record.to_json()})
    return path


def forget_record(folder: str | Path, claim: str, subject: str) -> None:
    """Remove a record and its evidence; nothing happens if there is none."""
    for path in _name_files(folder, claim, subject):
        path.unlink(missing_ok=True)


def _name_files(folder: str | Path, claim: str, subject: str) -> tuple[Path, Path]:
    path = Path(folder) / f"{name_file(subject)}--{claim}.json"
    return path, path.with_suffix(".evidence.gz")


def load_records(folder: str | Path) -> list[Record]:
    """All records in a folder, sorted by claim and subject; none if there is no such folder.

    Raises:
        ValueError: A file is damaged, of another schema, or has other keys; the message names it.
    """
    records = []
    for path in Path(folder).glob("*.json"):
        content = read_json(path)
        try:
            _check_schema(content["schema"], "record")
            records.append(Record.from_json(content["record"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a record of schema {SCHEMA}: {error}") from error
    return sorted(records, key=lambda record: (record.claim, record.subject))


def _build(cls: type[_Row], row: Mapping[str, Any]) -> _Row:
    names = [f.name for f in fields(cls)]
    # Fields added later have a default, so that an older scorecard can still be a baseline.
    required = [
        f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING
    ]
    missing, unknown = [n for n in required if n not in row], [k for k in row if k not in names]
    if missing or unknown:
        raise ValueError(f"{cls.__name__.lower()}: missing keys {missing}, unknown keys {unknown}")
    return cls(**row)


def _check_schema(found: object, what: str) -> None:
    if found != SCHEMA:
        raise ValueError(f"{what} of schema {found}; this version reads schema {SCHEMA}")


def _keep_finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _format(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
