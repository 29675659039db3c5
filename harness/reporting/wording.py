"""Put verdicts, numbers and claims into words, the same on the terminal, in XML and on the page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from harness.judging.record import Record, RunFacts
from harness.judging.verdict import Verdict

NAME = 60
"""Most characters of a subject's name on the terminal."""

MISSING = "missing"
"""Shown where a claim was collected and no record came back; it is not a verdict."""

WORDS: Mapping[str, str] = MappingProxyType(
    {
        Verdict.supported: "supported",
        Verdict.refuted: "refuted",
        Verdict.inconclusive: "inconclusive",
        Verdict.not_applicable: "n/a",
        Verdict.blocked: "blocked",
        Verdict.not_run: "not-run",
        Verdict.error: "ERROR",
        MISSING: "MISSING",
    }
)
"""The word that is shown for a verdict."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        Verdict.supported: "the whole interval is on the claimed side of the threshold",
        Verdict.refuted: "the whole interval is on the other side, or the quantity does not exist",
        Verdict.inconclusive: "the interval straddles the threshold, or there are too few scenes",
        Verdict.not_applicable: "the question has no meaning for the subject: no such site, nothing to gain",
        Verdict.blocked: "a precondition fails, so the claim cannot be asked",
        Verdict.not_run: "the images that the claim needs are not here; the reason says how to get them",
        Verdict.error: "nothing was judged, because something went wrong",
        MISSING: "collected, but no verdict came back",
    }
)
"""What a verdict means, in words."""

# Characters that XML 1.0 forbids or that drive a terminal: control characters, halves of surrogate pairs,
# non-characters, and the marks that reorder the text around them.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
    "|[\ufdd0-\ufdef\ufffe\uffff]"
)


def plain(text: str) -> str:
    """Remove the characters that could damage an XML file or drive a terminal; line breaks and tabs stay."""
    return _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """Put `plain` text on one line, with every run of white space as one space."""
    return " ".join(plain(text).split())


def shorten(text: str, most: int) -> str:
    """Put text on one line, cut where it has more characters than `most`, with the number of those left out."""
    line = one_line(text)
    if len(line) <= most:
        return line
    return f"{line[:most]}… ({len(line) - most} more characters)"


def clip(text: str, most: int = 600) -> str:
    """Shorten a text for the terminal; the whole of it stands in the scorecard."""
    return shorten(text, most)


def number(value: float) -> str:
    """Spell a number with three significant digits, as in a verdict's reason."""
    return f"{value + 0.0:.3g}"


def measured(record: Record) -> str:
    """Spell the estimate with its interval, without the unit, e.g. "0.42 [0.31, 0.55]"."""
    if record.estimate is None:
        return "no estimate"
    if record.ci_low is None or record.ci_high is None:
        return f"{number(record.estimate)} without an interval"
    return f"{number(record.estimate)} [{number(record.ci_low)}, {number(record.ci_high)}]"


def limit(record: Record) -> str:
    """Spell the claim's direction and threshold, e.g. "above 0.4 r"."""
    return one_line(f"{record.direction} {number(record.threshold)} {record.unit}")


def spell_sample(record: Record) -> str:
    """Spell the number of trials and scenes behind the estimate, e.g. "192 trials, 96 scenes"."""
    return f"{record.n} trials, {record.clusters} scenes"


def paper(claim: str) -> str:
    """The paper that a claim's id begins with: "visual_symbols"."""
    return claim.partition(".")[0]


def section(claim: str) -> str:
    """A claim's id without its last part: "visual_symbols.3.3"."""
    return claim.rpartition(".")[0]


def short_name(claim: str) -> str:
    """The last part of a claim's id, in words: "position at last"."""
    return claim.rpartition(".")[2].replace("_", " ")


def spell_count(number: int, noun: str) -> str:
    """Spell a number with its noun, e.g. "1 claim", "2 claims"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def describe_asked(subjects: Mapping[str, Mapping[str, str]]) -> str:
    """Put the arrangement and dtype of all subjects in one line: "a, b: plain, float32; c: chat, bfloat16"."""
    alike: dict[str, list[str]] = {}
    for name, facts in subjects.items():
        told = [
            facts.get("arrangement", "arrangement unknown"),
            facts.get("dtype", "dtype unknown"),
        ]
        if "stimuli" in facts:
            told.append(f"own stimuli ({facts['stimuli']})")
        if "commit" in facts:
            commit = facts["commit"][:12]
            pinned = facts["revision"] == facts["commit"]
            told.append(commit if pinned else f"{facts['revision']} was {commit}")
        alike.setdefault(", ".join(told), []).append(name)
    return "; ".join(f"{', '.join(names)}: {told}" for told, names in alike.items())


def describe_run(run: RunFacts) -> dict[str, str | None]:
    """The facts of a run as text, by name; None where a fact was not recorded."""
    seal = ", ".join(f"{name} {value}" for name, value in run.seal.items()) or "none"
    facts = {**run.to_json(), "subjects": describe_asked(run.subjects) or None, "seal": seal}
    return {name: None if value is None else str(value) for name, value in facts.items()}


def tell_partial(run: RunFacts) -> str:
    """That a run is partial, and why: "PARTIAL RUN (3 claims were left out)"; "" for a whole run."""
    if not run.partial:
        return ""
    return f"PARTIAL RUN ({run.partial_because or 'it was interrupted'})"


def count_verdicts(verdicts: Iterable[str]) -> dict[str, int]:
    """Count the verdicts, in the order of `WORDS`; verdicts that do not occur are left out."""
    found = list(verdicts)
    return {verdict: found.count(verdict) for verdict in WORDS if verdict in found}


def wrap_lines(text: str, width: int, indent: str = "") -> list[str]:
    """Break text into lines of at most `width` columns, `indent` included."""
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
