"""A seal: claims, trials, seed, preconditions and stimuli, written down before there is a candidate.

Nothing in it depends on which file a claim stands in, or on the order of claims.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from harness.judging.claim import Pair, find_of_subject
from harness.machine.files import read_json, write_json
from harness.statistics.estimate import Direction

SCHEMA = 1
"""Version of the file; one of another version is refused, never guessed at."""

CODE = {
    "measuring": "the code that measures",
    "judging": "the code that reads and judges",
    "published": "the published figures",
}
"""What is noted, and not refused, where it has changed since it was sealed."""

_Part = TypeVar("_Part", "SealedClaim", "SealedExperiment", "SealedCell")


@dataclass(frozen=True)
class SealedClaim:
    """What is asked by one claim.

    Attributes:
        statement: As in `harness.judging.claim.Claim`.
        unit: What is counted.
        direction: The side of the threshold that the claim is on.
        threshold: The threshold, in `unit`.
        exceptions: Other thresholds, by the names of subjects.
        published: Published numbers, by the names of subjects, in `unit`.
        experiments: Names of the experiments that its test reads, sorted.
        test: Hash of the body of its test.
    """

    statement: str
    unit: str
    direction: Direction
    threshold: float
    exceptions: Mapping[str, float]
    published: Mapping[str, float]
    experiments: tuple[str, ...]
    test: str

    def find_limit(self, subject: str) -> float:
        """The threshold for a subject, in `unit`."""
        return find_of_subject(self.exceptions, subject, self.threshold)


@dataclass(frozen=True)
class SealedExperiment:
    """How an experiment is measured, and of whom.

    Attributes:
        trials: How many, by the scale of the subject ("embedded", "paper").
        requires: The task that a subject must do; None if there is none.
        own_task: Whether its own trials tell how well the subject does the task.
        least: Share of right answers below which claims are blocked.
        measures: Names of all experiments that are measured for it, sorted: its task's, those
            that it builds on, itself.
        looks: Whether fewer trials may settle a claim with `--trials auto`.
        own_images: The option that names a folder of the user's images; "" if there is none.
    """

    trials: Mapping[str, int]
    requires: str | None
    own_task: bool
    least: float
    measures: tuple[str, ...]
    looks: bool
    own_images: str

    @property
    def has_gate(self) -> bool:
        """Whether a subject must do a task to be asked."""
        return self.requires is not None or self.own_task


@dataclass(frozen=True)
class SealedCell:
    """What a claim must say of a control, as in `harness.judging.controls.Expected`.

    Earlier versions sealed a `margin` for each cell. It is read so that the digest of their seals can be
    checked, and asks nothing; None in seals of this version.
    """

    verdict: str
    also: tuple[str, ...]
    margin: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Seal:
    """All that decides what a model is asked and how it is judged.

    Attributes:
        settings: `seed`, `trials` (None for each experiment's own number, or "auto") and `gate`.
        stimuli: Hash of the code that draws scenes and prompts.
        code: A hash of each part of `CODE`.
        rules: Numbers that all claims share: `ALPHA`, `LEVEL`, `MINIMUM_CLUSTERS`, `MARGIN`.
        claims: By id.
        experiments: By name.
        controls: By claim and control.
        written: When it was written, as the clock said; not part of the digest.
        harness: Version of the suite; not part of the digest.
    """

    settings: Mapping[str, int | str | bool | None]
    stimuli: str
    code: Mapping[str, str]
    rules: Mapping[str, float]
    claims: Mapping[str, SealedClaim]
    experiments: Mapping[str, SealedExperiment]
    controls: Mapping[Pair, SealedCell]
    written: str = field(default="", compare=False)
    harness: str = field(default="", compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of everything that is sealed."""
        text = json.dumps(self._content(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def count_trials(self, experiment: str, scale: str) -> int:
        """How many trials an experiment has on subjects of a scale, under the settings."""
        asked = self.settings.get("trials")
        return asked if isinstance(asked, int) else self.experiments[experiment].trials[scale]

    def list_measured(self, claim: str) -> tuple[str, ...]:
        """Names of all experiments that are measured for a claim, sorted."""
        own = [self.experiments[name] for name in self.claims[claim].experiments]
        return tuple(sorted({name for experiment in own for name in experiment.measures}))

    def list_claims_on(self, experiment: str) -> tuple[str, ...]:
        """Ids of the claims for which an experiment is measured, sorted."""
        return tuple(id for id in sorted(self.claims) if experiment in self.list_measured(id))

    def to_json(self) -> dict[str, Any]:
        """The seal as plain values."""
        head = {
            "schema": SCHEMA,
            "digest": self.digest,
            "written": self.written,
            "harness": self.harness,
        }
        return {**head, **self._content()}

    def _content(self) -> dict[str, Any]:
        cells: dict[str, dict[str, object]] = {}
        for (claim, control), cell in sorted(self.controls.items()):
            known = {name: part for name, part in asdict(cell).items() if part is not None}
            cells.setdefault(claim, {})[control] = known
        return {
            "settings": dict(self.settings),
            "stimuli": self.stimuli,
            "code": dict(self.code),
            "rules": dict(self.rules),
            "claims": {id: asdict(one) for id, one in sorted(self.claims.items())},
            "experiments": {name: asdict(one) for name, one in sorted(self.experiments.items())},
            "controls": cells,
        }

    @classmethod
    def from_json(cls, content: Any) -> Seal:
        """The seal that `to_json` gave.

        Raises:
            ValueError: It is no seal, of another schema, or was changed after it was written.
        """
        if not isinstance(content, dict) or "digest" not in content or "claims" not in content:
            raise ValueError("it is no seal: `claims seal FILE` writes one")
        if content.get("schema") != SCHEMA:
            raise ValueError(
                f"it is of schema {content.get('schema')}, and this version reads schema {SCHEMA}"
            )
        try:
            found = cls(
                settings=content["settings"],
                stimuli=content["stimuli"],
                code=content["code"],
                rules=content["rules"],
                claims={
                    id: _build(SealedClaim, one, "experiments")
                    for id, one in content["claims"].items()
                },
                experiments={
                    name: _build(SealedExperiment, one, "measures")
                    for name, one in content["experiments"].items()
                },
                controls={
                    (claim, control): _build(SealedCell, cell, "also")
                    for claim, cells in content["controls"].items()
                    for control, cell in cells.items()
                },
                written=str(content.get("written", "")),
                harness=str(content.get("harness", "")),
            )
            digest = found.digest
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"it is no seal: {error!r}") from None
        if digest != content["digest"]:
            raise ValueError(
                f"it was changed after it was written: its content has the digest {digest[:12]}, and "
                f"it says {str(content['digest'])[:12]}; take the file as it was sealed"
            )
        return found


def _build(kind: type[_Part], row: Mapping[str, Any], names: str) -> _Part:
    """A part of a seal from plain values; `names` is the attribute that is a list of names."""
    known = {f.name for f in fields(kind)}
    wanted = {f.name for f in fields(kind) if f.default is MISSING}
    if not wanted <= set(row) <= known:
        raise KeyError(", ".join(sorted((wanted - set(row)) | (set(row) - known))))
    if not isinstance(row[names], (list, tuple)):
        raise TypeError(f"{names} is no list")
    return kind(**{**row, names: tuple(row[names])})


def read_seal(path: Path) -> Seal:
    """Read a seal.

    Raises:
        ValueError: There is no such file, it is no seal, or it was changed; the message names it.
    """
    try:
        return Seal.from_json(read_json(path))
    except OSError as error:
        raise ValueError(
            f"{path}: {error.strerror or error}; `claims seal {path}` writes a seal"
        ) from None
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def save_seal(path: Path, seal: Seal) -> None:
    """Write a seal to a new file.

    Raises:
        ValueError: The file is there already.
        OSError: The disk refuses.
    """
    if path.exists():
        raise ValueError(f"{path} is there already, and a seal is written once: name another file")
    write_json(path, seal.to_json())
