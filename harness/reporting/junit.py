"""Write a scorecard as JUnit XML, for the tools of a build server.

What these tools publish contradicts itself in one point alone. Readers take a testcase's properties, as pytest
writes them; the schema of Jenkins' xunit plugin (junit-10.xsd) and the one for Ant (windyroad/JUnit-Schema)
allow none there. So there are two flavours, and in all else a file is valid by both schemas.

It is not left to the test runner, whose writer warns about properties under its default schema and loses
those of the suite when tests run in several processes.

The figures behind a failure are named in lines of output, `[[ATTACHMENT|path]]`, as GitLab and Jenkins' plugin
JUnit Attachments read them. GitLab takes them from the testcase, where the schema for Ant allows no output;
so the flavour for Jenkins has them in the output of the suite, where its plugin looks, too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from harness.judging.claim import Pair
from harness.judging.record import Record
from harness.judging.verdict import Outcome, Standing
from harness.machine.files import write_bytes
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import (
    WORDS,
    describe_run,
    limit,
    measured,
    one_line,
    plain,
    tell_partial,
)

Flavour = Literal["pytest", "jenkins"]
"""pytest: each testcase has its record as properties. jenkins: the suite has one property for each testcase."""

FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)


def write(
    scorecard: Scorecard,
    path: str | Path,
    flavour: Flavour = "pytest",
    attachments: Mapping[Pair, Sequence[str]] | None = None,
) -> None:
    """Write scorecard.xml: a testcase per claim and subject, with the record as its properties.

    A supported claim passes. One that fares as the baseline expects, or that cannot be asked, is skipped; any
    other fails. An error and a missing verdict are errors.

    Args:
        scorecard: What to write.
        path: The file; one of that name is replaced.
        flavour: Where the records are.
        attachments: Paths of the figures behind a verdict, by (claim, subject); those of failures are named.
    """
    cases = [
        _make_case(record, standing, scorecard.p_adjusted.get(pair))
        for (pair, standing), record in zip(
            scorecard.standings().items(), scorecard.records, strict=True
        )
    ]
    shown = _attach(cases, list(scorecard.by_pair), attachments or {}, flavour)
    cases += [_make_missing_case(claim, subject) for claim, subject in scorecard.missing]
    facts = {name: value or "" for name, value in describe_run(scorecard.run).items()}
    facts["correction"] = scorecard.correction
    if flavour == "jenkins":
        facts |= {f"{r.subject} {r.claim}": _tell_measured(r) for r in scorecard.records}
        for case in cases:
            case.remove(case[0])
    seconds = sum(r.seconds or 0.0 for r in scorecard.records)
    # What somebody else has written must not name a file.
    partial = tell_partial(scorecard.run).replace("[[", "[ [")
    told = "\n".join(filter(None, (partial, *shown)))
    _write_suite(cases, path, facts, scorecard.run.started, seconds, told)


def write_unfinished(told: str, started: str, path: str | Path) -> None:
    """Write the scorecard.xml of a run that has begun: one test, which is an error until the run has finished.

    Args:
        told: That it has not finished, and what to do.
        started: When it began, as in ISO 8601.
        path: The file; one of that name is replaced.
    """
    case = _start_case("run", "finished", None)
    _add_result(case, "error", "unfinished", told, told)
    _write_suite([case], path, {}, started)


def _write_suite(
    cases: Sequence[ET.Element],
    path: str | Path,
    facts: Mapping[str, str],
    started: str,
    seconds: float = 0.0,
    told: str = "",
) -> None:
    """Write one JUnit test suite with every attribute that one of the schemas requires.

    Args:
        cases: With what has become of each.
        path: The file.
        facts: Properties of the suite.
        started: As in ISO 8601.
        seconds: That all took.
        told: What is said of the run.
    """
    root = ET.Element("testsuites")
    suite = ET.SubElement(
        root,
        "testsuite",
        name="claims",
        package="claims",
        id="0",
        tests=str(len(cases)),
        failures=_count(cases, "failure"),
        errors=_count(cases, "error"),
        skipped=_count(cases, "skipped"),
        time=f"{seconds:.3f}",
        timestamp=_leave_zone(started),
        # What the schema says where the host is not told; a scorecard is the same on all.
        hostname="localhost",
    )
    _add_properties(suite, facts)
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = plain(told)
    ET.SubElement(suite, "system-err")
    ET.indent(root)
    write_bytes(path, ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _make_case(record: Record, standing: Standing, adjusted: float | None) -> ET.Element:
    case = _start_case(record.claim, record.subject, record.seconds)
    adjusted_text = "" if adjusted is None else f"{adjusted:.6g}"
    _add_properties(
        case, {**record.properties(), "p_adjusted": adjusted_text, "change": standing.change}
    )
    kind = {
        Outcome.passed: None,
        Outcome.failed: "failure",
        Outcome.xfailed: "skipped",
        Outcome.skipped: "skipped",
        Outcome.error: "error",
    }[standing.outcome]
    if kind:
        message = f"{WORDS[record.verdict]}: {record.reason}"
        if standing.outcome is Outcome.xfailed:
            known = (
                "as in the baseline" if standing.change == "same" else "no better in the baseline"
            )
            message = f"{known}: {message}"
        elif record.baseline and standing.outcome is Outcome.failed:
            message = f"{message} (baseline: {record.baseline})"
        _add_result(case, kind, str(record.verdict), message, _explain(record))
    return case


def _attach(
    cases: Sequence[ET.Element],
    pairs: Sequence[Pair],
    attachments: Mapping[Pair, Sequence[str]],
    flavour: Flavour,
) -> list[str]:
    """Name the figures behind each failure in its own output, or return the lines for that of the suite."""
    shown: dict[str, None] = {}
    for case, pair in zip(cases, pairs, strict=True):
        lines = [f"[[ATTACHMENT|{one_line(path)}]]" for path in attachments.get(pair, ())]
        if not lines or (case.find("failure") is None and case.find("error") is None):
            continue
        if flavour == "pytest":
            ET.SubElement(case, "system-out").text = "\n".join(lines)
        else:
            # Several claims rest on one figure.
            shown |= dict.fromkeys(lines)
    return list(shown)


def _make_missing_case(claim: str, subject: str) -> ET.Element:
    case = _start_case(claim, subject, None)
    reason = "collected, but no verdict came back: the process that judged it may have died"
    _add_properties(case, {"claim": claim, "subject": subject, "reason": reason})
    _add_result(case, "error", "missing", reason, reason)
    return case


def _leave_zone(started: str) -> str:
    """The time in UTC, to the second and without a zone, which Ant's schema does not allow."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return plain(started)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def _tell_measured(record: Record) -> str:
    value = f" {measured(record)} {record.unit}".rstrip()
    return f"{WORDS[record.verdict]}:{value}, claimed {limit(record)}, n {record.n}"


def _explain(record: Record) -> str:
    return "\n".join(
        (
            record.statement,
            f"claimed: {limit(record)} ({record.threshold_origin}); {record.source}",
            f"measured: {measured(record)} {record.unit}, n {record.n}, clusters {record.clusters}",
            record.reason,
        )
    )


def _start_case(claim: str, subject: str, seconds: float | None) -> ET.Element:
    attributes = {
        "classname": plain(subject),
        "name": plain(claim),
        "time": f"{seconds or 0.0:.3f}",
    }
    return ET.Element("testcase", attributes)


def _add_result(case: ET.Element, kind: str, type: str, message: str, text: str) -> None:
    ET.SubElement(case, kind, message=plain(message), type=type).text = plain(text)


def _add_properties(parent: ET.Element, values: Mapping[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=plain(name), value=plain(value))


def _count(cases: Sequence[ET.Element], kind: str) -> str:
    return str(sum(case.find(kind) is not None for case in cases))
