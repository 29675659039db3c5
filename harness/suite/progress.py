"""How far a run has come, as lines for a terminal: one where something was measured, and one now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.reporting.wording import section
from harness.runs.forecast import Forecast

EVERY = 8
"""Seconds without a line after which one says how far the run has come."""


class Progress:
    """Counts the verdicts of a run and puts the count and the time left before each printed line.

    Args:
        forecast: Of the run.
        write: Prints a line.
        clock: Gives seconds.
    """

    def __init__(
        self,
        forecast: Forecast,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.forecast, self.write, self.clock = forecast, write, clock
        self.judged: set[str] = set()
        self.measured: set[tuple[str, str]] = set()
        self.begun = self.spoke = clock()

    def say(self, *lines: str, who: str = "") -> None:
        """Print lines with how far the run has come; `who` is the worker that says them."""
        # Those of a worker come together: what the last of them says is done holds for the first.
        for subject, experiment in self.forecast.planned:
            if any(line.startswith(f"measured {experiment} on {subject}:") for line in lines):
                self.measured.add((subject, experiment))
        for line in lines:
            self._print(f"{who}: {line}" if who else line)

    def note(self, test: str, *, quiet: bool) -> None:
        """Count a verdict, and print a line if none was printed for some seconds, unless `quiet`."""
        self.judged.add(test)
        if not quiet and self.clock() - self.spoke >= EVERY:
            planned = self.forecast.tests[test]
            self._print(f"judging {section(planned.claim)} on {planned.subject}")

    def _print(self, line: str) -> None:
        self.spoke = self.clock()
        of = len(self.forecast.tests)
        left = self.forecast.left(self.judged, self.measured, self.spoke - self.begun)
        told = f"{len(self.judged):{len(str(of))}d}/{of}" + (f", {left} left" if left else "")
        self.write(f"  [{told}] {line}")
