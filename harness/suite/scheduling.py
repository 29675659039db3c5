"""Which worker of pytest-xdist judges which claims.

The claims of a subject that rest on the same measurement are one unit: the worker that judges them measures.
A worker keeps to the subject that it has loaded while units of it are left, and then takes a subject that
nobody has. On a CPU it then helps with another's, since loading it again takes a second. What several units
build on (the gate, the mediation map) is measured by the worker that asks first and awaited by the others.

Seconds that two workers take for the embedded subjects, from the measured times of all experiments:

| unit | both subjects | one of them |
|---|---|---|
| a whole subject | 122 | 102 |
| a file of claims, of a subject | 118 | 54 |
| a measurement | 118 | 54 |
| a measurement, longest first | 114 | 54 |
| nobody ever idle | 107 | 49 |

What counts is that a subject can be shared. Measurements are the units because claims of two files may rest on
one (the keys, the steered drawings), and because eight workers find more of them; how long they
take is known only afterwards, so they are taken as they are collected.

With --gpu a unit is a whole subject: it fills the GPU of its worker, and loading it again takes minutes.

`--dist loadgroup` would be the ready-made way, but under pytest 9.2 it groups nothing (pytest-xdist 3.8, issue
1386).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from harness.runs.journal import PlannedTest


class ClaimsScheduling(LoadScopeScheduling):
    """Hands out units of claims so that subjects are loaded, and measurements made, once.

    Args:
        config: Of the run.
        log: Of pytest-xdist.
        read_tests: Gives, once everything is collected, what every test that is a claim is about, by its id;
            other tests are handed out by file.
        whole: A subject is one unit, as on a GPU.
    """

    def __init__(
        self,
        config: pytest.Config,
        log: Producer | None,
        read_tests: Callable[[], Mapping[str, PlannedTest]],
        *,
        whole: bool,
    ) -> None:
        super().__init__(config, log)
        self.whole = whole
        self._read_tests = read_tests
        self._tests: Mapping[str, PlannedTest] | None = None
        self._latest: dict[WorkerController, str] = {}

    def schedule(self) -> None:
        """Read what the tests are about, then hand out the first units."""
        if self._tests is None:
            self._tests = self._read_tests()
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        test = self._planned(nodeid)
        if test is None:
            return nodeid.split("::")[0]
        return test.subject if self.whole else f"{test.subject}\n{test.measured}"

    def _planned(self, nodeid: str) -> PlannedTest | None:
        """What a test is about; None if it is no claim's."""
        return self._tests.get(nodeid) if self._tests else None

    def _subject_of(self, scope: str) -> str:
        return scope.split("\n")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        scope = self._best_for(node)
        self._latest[node] = self._subject_of(scope)
        self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _best_for(self, node: WorkerController) -> str:
        """The subject it has, else one that nobody has, else the one of which most tests are left."""
        held = self._latest.get(node)
        others = {s for other, s in self._latest.items() if other is not node}
        left: Counter[str] = Counter()
        for scope, tests in self.workqueue.items():
            left[self._subject_of(scope)] += len(tests)

        def preference(scope: str) -> tuple[bool, bool, int]:
            subject = self._subject_of(scope)
            return subject != held, subject in others, -left[subject]

        return min(self.workqueue, key=preference)

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a worker; of one that died, give the test that it was in.

        That test is not tried again, nor are those that need the same measurement: what killed one worker would
        kill the next. Everything else goes to the workers that are left, at once, since pytest-xdist lets
        them do what they have and no more.
        """
        self._latest.pop(node, None)
        workload = self.assigned_work.pop(node)
        unfinished = [t for unit in workload.values() for t, done in unit.items() if not done]
        if not unfinished:
            return None
        crashed = unfinished[0]
        for test in unfinished[1:]:
            if not self._as_deadly(crashed, test):
                self.workqueue.setdefault(self._split_scope(test), {})[test] = False
        left = [other for other in self.nodes if not other.shutting_down]
        while left and self.workqueue:
            self._assign_work_unit(
                min(left, key=lambda other: self._pending_of(self.assigned_work[other]))
            )
        return crashed

    def _as_deadly(self, crashed: str, test: str) -> bool:
        one, other = self._planned(crashed), self._planned(test)
        return one is not None and other is not None and one[1:3] == other[1:3]
