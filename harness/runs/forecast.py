"""How long a run will take, and how much of it is left, by what experiments took before.

The seconds stand in `fixtures/seconds.toml` (made by `benchmarks/seconds.py`), for the subjects that ship with
the project, on a CPU. Another machine is faster or slower, which is found out as the run goes on. For other
subjects what is left is foretold once something was measured, as if experiments took the same shares of time.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from harness.machine.files import FIXTURES
from harness.reporting.wording import counted
from harness.runs.journal import Collected, PlannedMeasurement

TABLE = FIXTURES / "seconds.toml"

TRUST = 30
"""Seconds of the table that this run's own pace has to outweigh: the first measurement alone says little."""


def read_seconds(path: Path = TABLE) -> dict[str, dict[str, float]]:
    """Seconds by subject and experiment, and by "loading" and "judging"."""
    return tomllib.loads(path.read_text())


class Forecast:
    """What a run has to do, in seconds.

    Args:
        found: What was collected.
        store: Folder of measurements; what is there now is not measured.
        processes: That share the work.
        seconds: Of `read_seconds`; empty where they say nothing, as on a GPU.
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
        # What cannot be named before its subject is loaded may be there all the same.
        self.named = bool(self.planned) and all(p.key for p in self.planned.values())
        self._costs = {
            pair: _cost(p, seconds) for pair, p in self.planned.items() if pair not in self.kept
        }
        self._loading = {
            subject: _figure(seconds, subject, "loading")
            for subject in dict.fromkeys(subject for subject, _ in self._costs)
        }
        self._judging = {
            test: _figure(seconds, planned.subject, "judging")
            for test, planned in found.tests.items()
        }
        self._whole = self._left((), ())

    def opening(self) -> str:
        """Say in one line what will be judged, how long it takes and how much is measured already."""
        subjects = list(dict.fromkeys(test.subject for test in self.tests.values()))
        claims = len({test.claim for test in self.tests.values()})
        said = f"{counted(claims, 'claim')} on {_listed(subjects)}"
        if len(subjects) > 1:
            said += f" ({counted(len(self.tests), 'verdict')})"
        when = "how long it takes is known after the first measurements"
        if self.known:
            when = f"about {_rounded(self._spread(*self._whole))}"
        said += f", {self.processes} processes" if self.processes > 1 else ""
        said += f": {when}"
        if self.named:
            said += f"; {len(self.kept)} of {counted(len(self.planned), 'measurement')} "
            said += f"{'is' if len(self.planned) == 1 else 'are'} in {_shown(self.store)}"
        return said

    def left(
        self,
        judged: Collection[str],
        measured: Collection[tuple[str, str]],
        elapsed: float,
    ) -> str:
        """How much longer it takes, e.g. "40 s"; "" where nothing is known yet.

        Args:
            judged: Ids of the tests that have ended.
            measured: Subjects and experiments that were measured, beyond those that judged tests need.
            elapsed: Seconds since the first test began.
        """
        rest, longest = self._left(judged, measured)
        done = (self._whole[0] - rest) / self.processes
        if self.known:
            pace = (elapsed + TRUST) / (done + TRUST)
        elif elapsed > 0 and done > 0 and set(self._costs) & self._measured(judged, measured):
            pace = elapsed / done
        else:
            return ""
        return _rounded(self._spread(rest, longest) * pace)

    def _measured(
        self, judged: Collection[str], measured: Collection[tuple[str, str]]
    ) -> set[tuple[str, str]]:
        return set(measured).union(*(self._needs[test] for test in judged))

    def _left(
        self, judged: Collection[str], measured: Collection[tuple[str, str]]
    ) -> tuple[float, float]:
        """Seconds of the table that are left, in all and of the longest measurement."""
        done = self._measured(judged, measured)
        costs = {pair: cost for pair, cost in self._costs.items() if pair not in done}
        loaded = {subject for subject, _ in done}
        rest = sum(costs.values())
        rest += sum(s for subject, s in self._loading.items() if subject not in loaded)
        rest += sum(s for test, s in self._judging.items() if test not in judged)
        return rest, max(costs.values(), default=0.0)

    def _spread(self, rest: float, longest: float) -> float:
        return max(rest / self.processes, longest)


def _figure(seconds: Mapping[str, Mapping[str, float]], subject: str, what: str) -> float:
    """Of the subject, or the mean of those that have figures; 1 where none has."""
    if what in seconds.get(subject, {}):
        return seconds[subject][what]
    known = [figures[what] for figures in seconds.values() if what in figures]
    return sum(known) / len(known) if known else 1.0


def _cost(planned: PlannedMeasurement, seconds: Mapping[str, Mapping[str, float]]) -> float:
    # Trials are not all of it: something is set up, and small batches are not full.
    return _figure(seconds, planned.subject, planned.experiment) * (0.1 + 0.9 * planned.share)


def _rounded(seconds: float) -> str:
    if seconds < 90:
        return f"{max(5, 5 * math.ceil(seconds / 5))} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _listed(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _shown(path: Path) -> str:
    """Relative to where the command was typed, if it is below."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
