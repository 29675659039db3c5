"""Write a scorecard as JUnit XML, for the tools of a build server.

It is not left to the test runner, whose writer warns about properties under its default schema and loses
those of the suite when tests run in several processes.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.judging.record import Record
from harness.judging.verdict import Outcome, Standing
from harness.machine.files import write_bytes
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import (
    WORDS,
    describe_run,
    limit,
    measured,
    plain,
    tell_partial,
)


def write(scorecard: Scorecard, path: str | Path) -> None:
    """Write scorecard.xml: a testcase per claim and subject, with the record as its properties.

    A supported claim passes. One that fares as the baseline expects, or that cannot be asked, is skipped; any
    other fails. An error and a missing verdict are errors.

    Args:
        scorecard: What to write.
        path: The file; one of that name is replaced.
    """
    cases = [
        _make_case(record, standing, scorecard.p_adjusted.get(pair))
        for (pair, standing), record in zip(
            scorecard.standings().items(), scorecard.records, strict=True
        )
    ]
    cases += [_make_missing_case(claim, subject) for claim, subject in scorecard.missing]
    suite = ET.Element(
        "testsuite",
        name="claims",
        tests=str(len(cases)),
        failures=_count(cases, "failure"),
        errors=_count(cases, "error"),
        skipped=_count(cases, "skipped"),
        time=f"{sum(r.seconds or 0.0 for r in scorecard.records):.3f}",
        timestamp=plain(scorecard.run.started),
    )
    facts = {name: value or "" for name, value in describe_run(scorecard.run).items()}
    _add_properties(suite, {**facts, "correction": scorecard.correction})
    suite.extend(cases)
    if scorecard.run.partial:
        ET.SubElement(suite, "system-out").text = plain(tell_partial(scorecard.run))
    _write_suite(suite, path)


def write_unfinished(told: str, started: str, path: str | Path) -> None:
    """Write the scorecard.xml of a run that has begun: one test, which is an error until the run has finished.

    Args:
        told: That it has not finished, and what to do.
        started: When it began, as in ISO 8601.
        path: The file; one of that name is replaced.
    """
    suite = ET.Element(
        "testsuite",
        name="claims",
        tests="1",
        failures="0",
        errors="1",
        skipped="0",
        time="0.000",
        timestamp=plain(started),
    )
    case = _start_case("run", "finished", None)
    _add_result(case, "error", "unfinished", told, told)
    suite.append(case)
    _write_suite(suite, path)


def _write_suite(suite: ET.Element, path: str | Path) -> None:
    root = ET.Element("testsuites", name="claims")
    root.append(suite)
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


def _make_missing_case(claim: str, subject: str) -> ET.Element:
    case = _start_case(claim, subject, None)
    reason = "collected, but no verdict came back: the process that judged it may have died"
    _add_properties(case, {"claim": claim, "subject": subject, "reason": reason})
    _add_result(case, "error", "missing", reason, reason)
    return case


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
        ET.SubElement(properties, "property", name=name, value=plain(value))


def _count(cases: Sequence[ET.Element], kind: str) -> str:
    return str(sum(case.find(kind) is not None for case in cases))
