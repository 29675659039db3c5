"""How often the gate is red between models that are the same, and how often where one has lost something."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from scipy.special import ndtri

from harness.judging.record import Record
from harness.machine.files import REPORTS, read_json
from harness.reporting.wording import spell_count
from harness.statistics.estimate import make_wilson_interval

SCHEMA = 1
"""Version of reports/alarms.json; a file of another version is not read."""

ALARMS = REPORTS / "alarms.json"

KINDS = {
    "served": "run in other batches or with other attention",
    "permuted": "with heads, neurons, scales, vocabulary and basis in another order",
    "saved": "saved again in other files",
    "between": "two of these against each other",
}
"""Ways in which a model can be another one and compute the same, in words."""

WEAKENED = "weakened"
"""Models of which one stage is turned down."""


class Lost(TypedDict):
    """A claim that made a comparison red, and why."""

    claim: str
    reason: str


class Compared(TypedDict):
    """A model compared with the one that it was made from.

    `how` says what was changed, `kind` is one of KINDS or WEAKENED, `claims` counts what was compared, `held`
    what the baseline could lose (supported or inconclusive there), and `improved` what was found to be better.
    """

    how: str
    kind: str
    claims: int
    held: int
    lost: list[Lost]
    improved: int


class Part(TypedDict):
    """All models that were compared with one run of a control.

    `trials` is None for each experiment's own number; `code` stands for the code that measured and judged.
    """

    control: str
    seed: int
    trials: int | None
    code: str
    compared: list[Compared]


class Stated(TypedDict):
    """What a claim said: a digest of its words, unit and direction, and its thresholds, the usual one first."""

    said: str
    thresholds: list[float]


class Content(TypedDict):
    """The content of reports/alarms.json; `claims` has those that were judged, by id."""

    schema: int
    claims: dict[str, Stated]
    margin: float
    parts: list[Part]


class Rate(NamedTuple):
    """How many comparisons were red; `upper` is Wilson's one-sided 95% bound of their share."""

    red: int
    of: int

    @property
    def share(self) -> float:
        """The share of red comparisons; NaN of none."""
        return self.red / self.of if self.of else math.nan

    @property
    def upper(self) -> float:
        """The share that it is at most with 95% confidence; 1 where nothing was compared."""
        if not self.of:
            return 1.0
        # The upper end of a two-sided interval of 90%.
        return make_wilson_interval(self.share, self.of, lambda p: float(ndtri(p)))(0.90)[1]


def read_alarms(path: Path = ALARMS) -> Content | None:
    """Read what was measured; None if the file is missing, damaged or of another version."""
    try:
        content: Content = read_json(path)
        return content if content["schema"] == SCHEMA and content["parts"] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def list_compared(parts: Iterable[Part], kinds: Iterable[str] = KINDS) -> list[Compared]:
    """The comparisons of some kinds, in the order of the file."""
    wanted = set(kinds)
    return [one for part in parts for one in part["compared"] if one["kind"] in wanted]


def count_red(compared: Sequence[Compared]) -> Rate:
    """Count the comparisons that lost a claim."""
    return Rate(sum(bool(one["lost"]) for one in compared), len(compared))


def count_power(parts: Iterable[Part]) -> dict[tuple[str, float], Rate]:
    """Count the red comparisons for each stage and each share of it that was taken away."""
    found: dict[tuple[str, float], list[Compared]] = {}
    for one in list_compared(parts, [WEAKENED]):
        stage, _, left = one["how"].partition("=")
        found.setdefault((stage, round(1 - float(left), 6)), []).append(one)
    return {key: count_red(found[key]) for key in sorted(found)}


def summarize_alarms(content: Content | None, records: Sequence[Record] = ()) -> str:
    """Say in a few sentences, for a comparison, how often the gate is wrong.

    Args:
        content: What was measured, from `read_alarms`.
        records: What is compared; the sentences say which of it was not measured, or is of other claims by now.
    """
    if content is None:
        return (
            "False alarms: how often the gate is red between models that compute the same was not measured; "
            "`claims alarms` does."
        )
    parts = content["parts"]
    same = list_compared(parts)
    rate, counted = count_red(same), Counter(one["kind"] for one in same)
    controls = ", ".join(dict.fromkeys(p["control"] for p in parts if list_compared([p])))
    kinds = ", ".join(f"{counted[kind]} {told}" for kind, told in KINDS.items() if counted[kind])
    told = (
        f"False alarms: between models that compute the same the gate was red in {rate.red} of "
        f"{spell_count(rate.of, 'comparison')} ({rate.share:.1%}, at most {rate.upper:.1%} with 95% confidence "
        f"if each stands for itself), with {spell_count(len(content['claims']), 'claim')} and "
        f"{_spell_trials(parts, KINDS)}: {controls}, {kinds}."
    )
    if power := count_power(parts):
        told += (
            f" Power: with a share of one stage of {_list_controls(parts)} taken away it was red "
            f"{_spell_power(power)}, with {_spell_trials(parts, [WEAKENED])}."
        )
    known = content["claims"]
    changed = dict.fromkeys(r.claim for r in records if r.claim in known and _is_other(r, known))
    if changed:
        told += f" Since then {', '.join(changed)} changed."
    if more := {r.claim for r in records} - known.keys():
        told += f" {spell_count(len(more), 'claim')} of this comparison had no part in it."
    return told


def render_alarms(content: Content) -> Iterator[str]:
    """Two tables in Markdown: comparisons of equal models by what makes them equal, weakened ones by stage."""
    parts = content["parts"]
    yield "| models | comparisons | red | at most, with 95% confidence |"
    yield "|---|---|---|---|"
    rows = [([kind], told) for kind, told in KINDS.items()]
    for kinds, told in (*rows, (list(KINDS), "all")):
        rate = count_red(list_compared(parts, kinds))
        yield f"| {told} | {rate.of} | {rate.red} | {rate.upper:.1%} |"
    if not (power := count_power(parts)):
        return
    shares = sorted({gone for _, gone in power})
    yield ""
    yield f"| stage | {' | '.join(f'{gone:.0%}' for gone in shares)} |"
    yield "|---" * (1 + len(shares)) + "|"
    for stage in dict.fromkeys(stage for stage, _ in power):
        rates = [power.get((stage, gone), Rate(0, 0)) for gone in shares]
        yield f"| {stage} | {' | '.join(f'{r.red} of {r.of}' for r in rates)} |"


def digest_words(statement: str, unit: str, direction: str) -> str:
    """A digest of what a claim says, without its threshold."""
    return hashlib.sha256("\n".join((statement, unit, direction)).encode()).hexdigest()[:16]


def _is_other(record: Record, known: Mapping[str, Stated]) -> bool:
    stated = known[record.claim]
    words = digest_words(record.statement, record.unit, record.direction)
    return words != stated["said"] or record.threshold not in stated["thresholds"]


def _list_controls(parts: Iterable[Part]) -> str:
    return ", ".join(dict.fromkeys(p["control"] for p in parts if list_compared([p], [WEAKENED])))


def _spell_trials(parts: Iterable[Part], kinds: Iterable[str]) -> str:
    numbers = {p["trials"] for p in parts if list_compared([p], kinds)}
    told = sorted("each experiment's own trials" if n is None else f"{n} trials" for n in numbers)
    return " or ".join(told)


def _spell_power(power: Mapping[tuple[str, float], Rate]) -> str:
    stages = dict.fromkeys(stage for stage, _ in power)
    return "; ".join(
        f"{stage} "
        + ", ".join(f"{r.red}/{r.of} at {gone:.0%}" for (s, gone), r in power.items() if s == stage)
        for stage in stages
    )
