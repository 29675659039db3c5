"""Claims of a paper as data: a statement, its source, and a threshold with an origin."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypedDict, TypeVar, get_args

from harness.statistics.estimate import Direction

Pair = tuple[str, str]
"""Claim id and subject."""

ORIGINS = ("stated in the paper", "read off a figure", "chosen by us")

_ID = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+){2,}")

SERVED = (":bfloat16", ":int8", ":nf4")
"""What the name of a subject ends in that is served in another precision than its checkpoint has."""

_Value = TypeVar("_Value")
_Function = TypeVar("_Function", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Threshold:
    """The number that a claim is judged against, and where it comes from.

    Attributes:
        value: The threshold, in `unit`.
        direction: The side of the threshold that the claim is on; the threshold itself is not.
        unit: What is counted, e.g. "layers" or "r".
        origin: One of `ORIGINS`.
        note: Why this value; required when it is chosen by us.
        exceptions: Another value for named subjects, e.g. {"llava-1.5-7b": 0.3}.

    Raises:
        ValueError: Any of these is not as described; the message says which and how.
    """

    value: float
    direction: Direction
    unit: str
    origin: str
    note: str = ""
    # A read-only mapping has no hash; two equal thresholds still hash alike without it.
    exceptions: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _check_finite(self.value, "threshold value"))
        if self.direction not in get_args(Direction):
            raise ValueError(
                f"threshold direction is {self.direction!r}; it must be 'above' or 'below'"
            )
        if not self.unit.strip():
            raise ValueError("threshold unit is empty; say what is counted, e.g. 'layers'")
        if self.origin not in ORIGINS:
            raise ValueError(f"threshold origin is {self.origin!r}; it must be one of {ORIGINS}")
        if self.origin == "chosen by us" and not self.note.strip():
            raise ValueError("a threshold chosen by us needs a note that says why")
        object.__setattr__(
            self, "exceptions", _copy_numbers(self.exceptions, "threshold exception")
        )

    def for_subject(self, name: str) -> float:
        """The value that holds for one subject, in `unit`."""
        return find_of_subject(self.exceptions, name, self.value)


def find_of_subject(by_name: Mapping[str, _Value], name: str, other: _Value) -> _Value:
    """What is known of a subject by its name; in another precision it is held to what is known of the model.

    Args:
        by_name: By the names of subjects.
        name: Of a subject.
        other: What to return if nothing is known.
    """
    for end in SERVED:
        name = name.removesuffix(end)
    return by_name.get(name, other)


def above(
    value: float,
    *,
    unit: str,
    origin: str,
    note: str = "",
    exceptions: Mapping[str, float] | None = None,
) -> Threshold:
    """A threshold that the claimed quantity lies strictly above; see `Threshold`."""
    return Threshold(value, "above", unit, origin, note, exceptions or {})


def below(
    value: float,
    *,
    unit: str,
    origin: str,
    note: str = "",
    exceptions: Mapping[str, float] | None = None,
) -> Threshold:
    """A threshold that the claimed quantity lies strictly below; see `Threshold`."""
    return Threshold(value, "below", unit, origin, note, exceptions or {})


@dataclass(frozen=True, slots=True)
class Claim:
    """One falsifiable sentence of a paper.

    Attributes:
        id: Stable name "paper.section.what": at least three parts of lower-case letters, digits and
            underscores, joined by dots, e.g. "visual_symbols.3.3.order".
        statement: One sentence that ends with a full stop.
        source: Paper, section, figure.
        threshold: What the measured quantity is judged against.
        published: The paper's own number per subject, in the threshold's unit, where it gives one.

    Raises:
        ValueError: Any of these is not as described; the message names the claim.
    """

    id: str
    statement: str
    source: str
    threshold: Threshold
    published: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(
                f"claim id {self.id!r}: it must be at least three parts of lower-case letters, "
                "digits and underscores, joined by dots, e.g. 'visual_symbols.3.3.order'"
            )
        sentence = self.statement
        if not sentence.endswith(".") or sentence != sentence.strip() or len(sentence) < 2:
            raise ValueError(
                f"claim {self.id}: the statement must be a sentence that ends with '.', with no "
                f"space around it, not {sentence!r}"
            )
        if "\n" in sentence:
            raise ValueError(f"claim {self.id}: the statement must be one sentence on one line")
        if not self.source.strip():
            raise ValueError(f"claim {self.id}: the source is empty; name paper and section")
        if not isinstance(self.threshold, Threshold):
            raise ValueError(f"claim {self.id}: the threshold must come from above() or below()")
        published = _copy_numbers(self.published, f"claim {self.id}: published value")
        object.__setattr__(self, "published", published)

    @property
    def paper(self) -> str:
        """The paper's short name: the first part of the id."""
        return self.id.partition(".")[0]


def claim(
    *,
    id: str,
    statement: str,
    source: str,
    threshold: Threshold,
    published: Mapping[str, float] | None = None,
) -> Callable[[_Function], _Function]:
    """Attach a claim to the test function that judges it; the arguments are those of `Claim`.

    Returns:
        A decorator that sets the function's attribute `claim` and returns the same function.

    Raises:
        ValueError: The claim is malformed; the message names it.
    """
    stated = Claim(id, statement, source, threshold, published or {})

    def attach(function: _Function) -> _Function:
        function.claim = stated  # type: ignore[attr-defined]  # Types of functions have no attributes.
        return function

    return attach


class Asked(TypedDict):
    """What a claim says and where its limits are, for any subject: what a calibration of it is true of."""

    statement: str
    thresholds: list[float]


def list_asked(claims: Iterable[Claim]) -> dict[str, Asked]:
    """What each claim asks, by id in alphabetical order; as JSON it can be kept beside what was found of it."""
    return {
        one.id: {
            "statement": one.statement,
            "thresholds": sorted({one.threshold.value, *one.threshold.exceptions.values()}),
        }
        for one in sorted(claims, key=lambda one: one.id)
    }


def claims_hash(claims: Iterable[Claim]) -> str:
    """SHA-256 (hexadecimal) of a set of claims: changes when any word, number or threshold does.

    Raises:
        ValueError: Two claims have the same id.
    """
    by_id: dict[str, Claim] = {}
    for one in claims:
        if one.id in by_id:
            raise ValueError(f"claim {one.id} is declared twice")
        by_id[one.id] = one
    content = [_to_json(by_id[name]) for name in sorted(by_id)]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _to_json(one: Claim) -> dict[str, object]:
    threshold = one.threshold
    return {
        "id": one.id,
        "statement": one.statement,
        "source": one.source,
        "threshold": {
            "value": threshold.value,
            "direction": threshold.direction,
            "unit": threshold.unit,
            "origin": threshold.origin,
            "note": threshold.note,
            "exceptions": dict(threshold.exceptions),
        },
        "published": dict(one.published),
    }


def _check_finite(value: float, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{what} is {value!r}, not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{what} is {value!r}; it must be finite")
    return number + 0.0  # -0.0 equals 0.0 but would hash differently.


def _copy_numbers(values: Mapping[str, float], what: str) -> Mapping[str, float]:
    # A copy, so that a dict the author goes on editing cannot change a claim already declared.
    return MappingProxyType({k: _check_finite(v, f"{what} for {k}") for k, v in values.items()})
