"""How often the gate is red between models that are the same, and how often where one has lost something."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from scipy.special import ndtri

from harness.machine.files import REPORTS, read_json
from harness.reporting.fates import Comparison
from harness.reporting.wording import spell_count
from harness.statistics.estimate import make_wilson_interval

SCHEMA = 1
"""Version of reports/alarms.json; a file of another version is not read."""

ALARMS = REPORTS / "alarms.json"

KINDS = {
    "served": "run in other batches or with other attention",
    "permuted": "with heads, neurons, scales, vocabulary and basis in another order",
    "saved": "saved again in other files",
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

    `how` says what was changed, `kind` is one of KINDS or WEAKENED, `claims` counts what was compared, `held` what
    the baseline could lose (supported or inconclusive there), and `improved` what was found to be better.
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


class Content(TypedDict):
    """The content of reports/alarms.json; `claims_hash` is of the claims that were judged, which `claims` names."""

    schema: int
    claims_hash: str
    claims: list[str]
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
    """Count, by stage and by the share of it that was taken away, how many comparisons were red."""
    found: dict[tuple[str, float], list[Compared]] = {}
    for one in list_compared(parts, [WEAKENED]):
        stage, _, left = one["how"].partition("=")
        found.setdefault((stage, round(1 - float(left), 6)), []).append(one)
    return {key: count_red(found[key]) for key in sorted(found)}


def summarize_alarms(content: Content | None, claims: Mapping[str, object] | None = None) -> str:
    """Say in a few sentences, for a comparison, how often the gate is wrong.

    Args:
        content: What was measured, from `read_alarms`.
        claims: The claims that are compared, by id; the sentence says so if what was measured is about fewer.
    """
    if content is None:
        return (
            "How often this gate is red between models that are the same was not measured: `claims alarms` does."
        )
    parts = content["parts"]
    same, asked = list_compared(parts), len(content["claims"])
    rate = count_red(same)
    controls = ", ".join(sorted({p["control"] for p in parts if list_compared([p])}))
    counted = Counter(one["kind"] for one in same)
    kinds = ", ".join(f"{counted[kind]} {told}" for kind, told in KINDS.items() if counted[kind])
    told = (
        f"False alarms: between models that compute the same this gate was red in {rate.red} of "
        f"{spell_count(rate.of, 'comparison')} ({rate.share:.1%}, at most {rate.upper:.1%} with 95% confidence: "
        f"{kinds}; of {controls}, {asked} claims, {_spell_trials(parts, KINDS)})."
    )
    if power := count_power(parts):
        told += f" Power: with a stage turned down it was red {_spell_power(power)}"
        told += f" ({_spell_trials(parts, [WEAKENED])})."
    if claims is not None and (more := set(claims) - set(content["claims"])):
        told += f" {spell_count(len(more), 'claim')} of this comparison not among them."
    return told


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


def note_compared(comparison: Comparison, how: str, kind: str) -> Compared:
    """What is kept of a comparison."""
    from harness.reporting.compare import HELD
    from harness.reporting.fates import RED, Fate

    red = [row for row in comparison.rows if row.fate in RED]
    return {
        "how": how,
        "kind": kind,
        "claims": len(comparison.rows),
        "held": sum(r.before is not None and r.before.verdict in HELD for r in comparison.rows),
        "lost": [{"claim": r.claim, "reason": r.reason} for r in red],
        "improved": len(comparison.of(Fate.improved)),
    }
