"""The end of pytest's output: the scorecard in short or in full, the gate, and what to do next."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping

import pytest

from harness.judging.claim import Pair
from harness.judging.verdict import Verdict
from harness.reporting import error_rates, gate
from harness.reporting.next_steps import EndedRun, tell_next_steps
from harness.reporting.terminal import render
from harness.reporting.wording import MISSING
from harness.runs.conclusion import CALIBRATION, Conclusion, tell_saved
from harness.runs.journal import Collected
from harness.runs.run import Run
from harness.suite.progress import is_unwatched

FEW = 25
"""Up to this many verdicts are shown in a table without -v."""

WIDTH = 100
"""Characters of a line where output goes to no terminal, as in a file."""

WIDEST = 140
"""Most characters of a line; longer ones are hard to read."""

MARKUP: Mapping[str, Mapping[str, bool]] = {
    Verdict.supported: {"green": True},
    Verdict.refuted: {"red": True},
    Verdict.inconclusive: {"yellow": True},
    Verdict.error: {"red": True, "bold": True},
    MISSING: {"red": True, "bold": True},
    "title": {"bold": True},
    "quiet": {"light": True},
}
"""How pytest marks what has a role up on a terminal with colors; roles that are not named stay as they are."""


def print_summary(terminal: pytest.TerminalReporter, run: Run, concluded: Conclusion) -> None:
    """Print the scorecard of a run, the gate if there is a baseline, and what to do next."""
    card, found = concluded.scorecard, run.journal.read_collected()
    verbosity, width = terminal.config.get_verbosity(), find_width(terminal)
    few = len(card.records) + len(card.missing) <= FEW
    whole = verbosity > 0 or (few and verbosity == 0)
    lines = render(
        card,
        run.baselines,
        width,
        lambda text, role: terminal._tw.markup(text, **MARKUP.get(role, {})),
        brief=not whole,
        quiet=verbosity < 0 or is_unwatched(),
        told=_find_told_failures(terminal, found),
    )
    terminal.section("scorecard")
    for line in lines:
        terminal.write_line(line)
    if saved := tell_saved(run):
        terminal.write_line(saved)
    if concluded.refusal:
        terminal.write_line(f"cannot be compared with the baseline: {concluded.refusal}")
    elif concluded.comparison:
        terminal.section("gate")
        for line in gate.render(concluded.comparison, width=width):
            terminal.write_line(line)
    if verbosity < 0:
        return
    terminal.write_line("")
    for line in textwrap.wrap(
        error_rates.summarize_error_rates(error_rates.read_calibration(CALIBRATION), card), width
    ):
        terminal.write_line(line)
    terminal.write_line("")
    for line in tell_next_steps(_gather_ended(terminal.config, run, concluded, whole)):
        terminal.write_line(line)


def find_width(terminal: pytest.TerminalReporter) -> int:
    """Characters of a line: those of the terminal, or of the variable COLUMNS; 100 where neither is there."""
    asked = terminal.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    return min(terminal._tw.fullwidth, WIDEST) if asked else WIDTH


def _find_told_failures(terminal: pytest.TerminalReporter, found: Collected) -> set[Pair]:
    """Claims and subjects whose failures pytest has printed, with the claim's message."""
    if terminal.config.getoption("tbstyle") == "no":
        return set()
    reports = [r for kind in ("failed", "error") for r in terminal.stats.get(kind, ())]
    tests = [found.tests.get(report.nodeid) for report in reports]
    return {(test.claim, test.subject) for test in tests if test is not None}


def _gather_ended(
    config: pytest.Config,
    run: Run,
    concluded: Conclusion,
    whole: bool,
) -> EndedRun:
    options, card, compared = run.options, concluded.scorecard, concluded.comparison
    asked = tuple(str(a) for a in config.invocation_params.args)
    return EndedRun(
        card,
        folder=options.scorecard,
        asked=asked,
        embedded={entry.name for entry in run.entries if entry.kind == "embedded"},
        baseline=options.baseline if run.before is not None else None,
        refusal=concluded.refusal,
        lost=compared is not None and (compared.lost or (compared.strict and bool(compared.moved))),
        narrowed=card.run.partial,
        whole=whole,
    )
