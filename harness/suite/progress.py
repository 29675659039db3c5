"""Lines for the terminal on how far a run has come: one for each measurement, and one now and then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from harness.reporting.wording import section
from harness.runs.forecast import Forecast

EVERY = 8
"""Seconds without a line after which one is printed that says how far the run has come."""


def is_unwatched() -> bool:
    """Whether nobody waits before a terminal: a build server says so by the variable CI."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


class Progress:
    """Counts the verdicts of a run and puts the count and the time left before each printed line.

    Args:
        forecast: What the run has to do.
        write: Prints a line.
        clock: Returns a time in seconds.
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
        """Print what a process reports, each line behind a count such as "[62/158, 60 s left]".

        Args:
            lines: What the process says, in order.
            who: The worker that says it; "" if there are no workers.
        """
        # A worker's lines come together, so all that they tell is done before the first is printed.
        for subject, experiment in self.forecast.planned:
            if any(line.startswith(f"measured {experiment} on {subject}:") for line in lines):
                self.measured.add((subject, experiment))
        for line in lines:
            self._print(f"{who}: {line}" if who else line)

    def note(self, test: str, *, quiet: bool) -> None:
        """Count a verdict, and print a line if none was printed for some seconds.

        Args:
            test: Id of the test that gave it.
            quiet: Whether to count only.
        """
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
