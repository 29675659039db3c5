"""What pytest's terminal ends with: the scorecard in short or whole, the gate, and what to do next."""

from __future__ import annotations

import textwrap

import pytest

from harness.judging.claim import Pair
from harness.reporting import error_rates, gate
from harness.reporting.next_steps import Ended, ending
from harness.reporting.scorecard import Scorecard
from harness.reporting.terminal import render
from harness.runs import journal
from harness.runs.run import CALIBRATION, ClaimsRun

FEW = 25
"""Verdicts that are shown in a table without being asked to."""

WIDTH = 100


def show(terminal: pytest.TerminalReporter, run: ClaimsRun, card: Scorecard) -> None:
    """Print the scorecard of a run, its gate, and the next step."""
    found = journal.read(run.folder)
    whole = len(card.records) + len(card.missing) <= FEW or terminal.config.get_verbosity() > 0
    lines = render(
        card, run.baselines, WIDTH, brief=not whole, told=_failures_told(terminal, found)
    )
    terminal.section("scorecard")
    for line in lines:
        terminal.write_line(line)
    if run.saved:
        terminal.write_line(run.saved)
    if run.refusal:
        terminal.write_line(f"cannot be compared with the baseline: {run.refusal}")
    elif run.comparison:
        terminal.section("gate")
        for line in gate.render(run.comparison, width=WIDTH):
            terminal.write_line(line)
    terminal.write_line("")
    for line in textwrap.wrap(error_rates.sentence(error_rates.read(CALIBRATION), card), WIDTH):
        terminal.write_line(line)
    terminal.write_line("")
    for line in ending(_ended(terminal.config, run, card, found, whole)):
        terminal.write_line(line)


def _failures_told(terminal: pytest.TerminalReporter, found: journal.Collected) -> set[Pair]:
    """Claims and subjects whose failures pytest has printed, with what the claim said."""
    if terminal.config.getoption("tbstyle") == "no":
        return set()
    reports = [r for kind in ("failed", "error") for r in terminal.stats.get(kind, ())]
    tasks = [found.tasks.get(report.nodeid) for report in reports]
    return {(task.claim, task.subject) for task in tasks if task is not None}


def _ended(
    config: pytest.Config,
    run: ClaimsRun,
    card: Scorecard,
    found: journal.Collected,
    whole: bool,
) -> Ended:
    options = run.options
    left_out = found.left_out
    asked = tuple(str(a) for a in config.invocation_params.args)
    return Ended(
        card,
        folder=options.scorecard,
        asked=asked,
        embedded={entry.name for entry in run.entries if entry.kind == "embedded"},
        baseline=options.baseline if run.before is not None else None,
        refusal=run.refusal,
        lost=run.comparison is not None and run.comparison.red,
        narrowed=left_out is None or any(subject in card.subjects for _, subject in left_out),
        whole=whole,
    )
