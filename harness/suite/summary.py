"""The end of pytest's output: the scorecard in short or in full, the gate, and what to do next."""

from __future__ import annotations

import textwrap

import pytest

from harness.judging.claim import Pair
from harness.reporting import error_rates, gate
from harness.reporting.next_steps import EndedRun, tell_next_steps
from harness.reporting.terminal import render
from harness.runs.conclusion import CALIBRATION, Conclusion, tell_saved
from harness.runs.journal import Collected
from harness.runs.run import Run

FEW = 25
"""Up to this many verdicts are shown in a table without -v."""

WIDTH = 100
"""Characters of a line."""


def print_summary(terminal: pytest.TerminalReporter, run: Run, concluded: Conclusion) -> None:
    """Print the scorecard of a run, the gate if there is a baseline, and what to do next."""
    card, found = concluded.scorecard, run.journal.read_collected()
    whole = len(card.records) + len(card.missing) <= FEW or terminal.config.get_verbosity() > 0
    lines = render(
        card, run.baselines, WIDTH, brief=not whole, told=_find_told_failures(terminal, found)
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
        for line in gate.render(concluded.comparison, width=WIDTH):
            terminal.write_line(line)
    terminal.write_line("")
    for line in textwrap.wrap(
        error_rates.summarize_error_rates(error_rates.read_calibration(CALIBRATION), card), WIDTH
    ):
        terminal.write_line(line)
    terminal.write_line("")
    for line in tell_next_steps(_gather_ended(terminal.config, run, concluded, whole)):
        terminal.write_line(line)


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
