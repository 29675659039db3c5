"""How long a run will take, and how much of it is left, estimated from how long experiments took before.

Those seconds stand in `fixtures/seconds.toml` (made by `benchmarks/seconds.py`), for the subjects that ship
with the project, on a CPU. How much faster or slower this machine is shows as the run goes on. For other
subjects nothing is said before the first measurement; then experiments are assumed to take the same shares of
the time as in the table.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from harness.machine.files import FIXTURES
from harness.reporting.wording import spell_count
from harness.runs.journal import Collected, PlannedMeasurement

TABLE = FIXTURES / "seconds.toml"

TRUST = 30
"""Seconds of work at the table's pace that are added to this run's own work when its pace is estimated, since
the first measurement alone says little."""


def read_seconds(path: Path = TABLE) -> dict[str, dict[str, float]]:
    """Seconds by subject, then by experiment; "loading" and "judging" stand beside the experiments."""
    return tomllib.loads(path.read_text())


class Forecast:
    """The work of a run, in seconds.

    Args:
        found: What was collected.
        store: Folder of measurements; what is there now will not be measured.
        processes: How many processes share the work.
        seconds: From `read_seconds`; empty where these say nothing, as on a GPU.
    """

    def __init__(
        self,
        found: Collected,
        store: Path,
        processes: int,
        seconds: Mapping[str, Mapping[str, float]],
    ) -> None:
        self.tests, self.store, self.processes = found.tests, store, processes
        self._needs = {
            test: {(planned.subject, experiment) for experiment in planned.needs}
            for test, planned in found.tests.items()
        }
        self.known = all(test.subject in seconds for test in found.tests.values())
        self.planned = {(p.subject, p.experiment): p for p in found.planned}
        self.kept = {
            pair
            for pair, p in self.planned.items()
            if p.key and all((store / f"{p.key}{end}").exists() for end in (".json", ".nc"))
        }
        # One without a key may be in the store all the same, so they can be counted only if all have one.
        self.named = bool(self.planned) and all(p.key for p in self.planned.values())
        self._costs = {
            pair: _estimate_cost(p, seconds)
            for pair, p in self.planned.items()
            if pair not in self.kept
        }
        self._loading = {
            subject: _look_up(seconds, subject, "loading")
            for subject in dict.fromkeys(subject for subject, _ in self._costs)
        }
        self._judging = {
            test: _look_up(seconds, planned.subject, "judging")
            for test, planned in found.tests.items()
        }
        self._whole = self._sum_left((), ())

    def opening(self) -> str:
        """One line on what will be judged, how long that takes and how much is measured already."""
        subjects = list(dict.fromkeys(test.subject for test in self.tests.values()))
        claims = len({test.claim for test in self.tests.values()})
        said = f"{spell_count(claims, 'claim')} on {_join(subjects)}"
        if len(subjects) > 1:
            said += f" ({spell_count(len(self.tests), 'verdict')})"
        when = "how long it takes is known after the first measurements"
        if self.known:
            when = f"about {_format_seconds(self._share_out(*self._whole))}"
        said += f", {self.processes} processes" if self.processes > 1 else ""
        said += f": {when}"
        if self.named:
            said += f"; {len(self.kept)} of {spell_count(len(self.planned), 'measurement')} "
            said += f"{'is' if len(self.planned) == 1 else 'are'} in {_format_path(self.store)}"
        return said

    def left(
        self,
        judged: Collection[str],
        measured: Collection[tuple[str, str]],
        elapsed: float,
    ) -> str:
        """How much longer the run takes, for example "40 s"; "" where nothing is known yet.

        Args:
            judged: Ids of the tests that have ended.
            measured: Subjects and experiments that were measured, besides those that the ended tests needed.
            elapsed: Seconds since the first test began.
        """
        rest, longest = self._sum_left(judged, measured)
        done = (self._whole[0] - rest) / self.processes
        if self.known:
            pace = (elapsed + TRUST) / (done + TRUST)
        elif elapsed > 0 and done > 0 and set(self._costs) & self._find_done(judged, measured):
            pace = elapsed / done
        else:
            return ""
        return _format_seconds(self._share_out(rest, longest) * pace)

    def _find_done(
        self, judged: Collection[str], measured: Collection[tuple[str, str]]
    ) -> set[tuple[str, str]]:
        """Subjects and experiments that are measured: those given, and those that ended tests needed."""
        return set(measured).union(*(self._needs[test] for test in judged))

    def _sum_left(
        self, judged: Collection[str], measured: Collection[tuple[str, str]]
    ) -> tuple[float, float]:
        """Seconds, as in the table, of all work that is left, and of the longest measurement that is left."""
        done = self._find_done(judged, measured)
        costs = {pair: cost for pair, cost in self._costs.items() if pair not in done}
        loaded = {subject for subject, _ in done}
        rest = sum(costs.values())
        rest += sum(s for subject, s in self._loading.items() if subject not in loaded)
        rest += sum(s for test, s in self._judging.items() if test not in judged)
        return rest, max(costs.values(), default=0.0)

    def _share_out(self, rest: float, longest: float) -> float:
        """Seconds that all processes together take; one measurement is never shared between two."""
        return max(rest / self.processes, longest)


def _look_up(seconds: Mapping[str, Mapping[str, float]], subject: str, what: str) -> float:
    """Seconds of a subject in the table, or the mean of the subjects that have such a number; 1 if none has."""
    if what in seconds.get(subject, {}):
        return seconds[subject][what]
    known = [figures[what] for figures in seconds.values() if what in figures]
    return sum(known) / len(known) if known else 1.0


def _estimate_cost(
    planned: PlannedMeasurement, seconds: Mapping[str, Mapping[str, float]]
) -> float:
    # A tenth does not depend on the trials: something is set up, and small batches are not full.
    return _look_up(seconds, planned.subject, planned.experiment) * (0.1 + 0.9 * planned.share)


def _format_seconds(seconds: float) -> str:
    if seconds < 90:
        return f"{max(5, 5 * math.ceil(seconds / 5))} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _join(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _format_path(path: Path) -> str:
    """The path relative to where the command was typed, if it is below; else the whole path."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
