"""Say after each step of a long command how many there are, and about how many minutes are left."""

from __future__ import annotations

import time
from collections.abc import Callable


class Countdown:
    """Counts the steps of a long command, and tells after each about how long the others take.

    Args:
        steps: How many steps there are to do.
        say: Receives a line after each step.
        clock: Returns a time in seconds; it is read once at the beginning.
    """

    def __init__(
        self,
        steps: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.steps, self.say, self.clock = steps, say, clock
        self.done, self.begun = 0, clock()

    def finish(self, what: str) -> None:
        """Count a step as finished, and say so.

        Args:
            what: What was done, in a few words.
        """
        self.done += 1
        pace = (self.clock() - self.begun) / self.done
        left = pace * (self.steps - self.done) / 60
        self.say(f"{self.done} of {self.steps}: {what}; about {left:.0f} min left")
