"""A long command says after each step how much is left of it."""

from __future__ import annotations

from harness.calibration.countdown import Countdown


def test_the_steps_that_are_left_take_as_long_as_those_before_did():
    times, said = iter([100.0, 220.0, 700.0, 760.0]), []
    countdown = Countdown(3, said.append, lambda: next(times))
    for what in ("one", "two", "three"):
        countdown.finish(what)
    assert said == [
        "1 of 3: one; about 4 min left",
        "2 of 3: two; about 5 min left",
        "3 of 3: three; about 0 min left",
    ]
