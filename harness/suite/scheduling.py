"""Which worker of pytest-xdist judges which claims.

The claims of a subject that rest on the same measurement are one unit: the worker that judges them also makes
the measurement. A worker keeps to the subject that it has loaded while units of it are left, and then takes a
subject that no other worker has. If there is none, on a CPU, it helps with another worker's, since loading it
again takes only a second. What several units build on (the gate, the mediation map) is measured by the worker
that needs it first, and the others wait for it.

Seconds that two workers take for the embedded subjects, from the measured times of all experiments::

    unit                              both subjects   one of them
    a whole subject                   122             102
    a file of claims, of a subject    118              54
    a measurement                     118              54
    a measurement, longest first      114              54
    nobody ever idle                  107              49

What matters is that a subject can be shared. Measurements are the units because claims of two files may rest on
one (the keys, the steered drawings), and because there are more of them for eight workers. How long they take
is known only afterwards, so they are handed out in the order of collection.

With --gpu a unit is a whole subject, since it fills the GPU of its worker, and loading it again takes minutes.

`--dist loadgroup` would be the ready-made way, but under pytest 9.2 it groups nothing (pytest-xdist 3.8, issue
1386).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping

import pytest
from xdist.scheduler import LoadScopeScheduling

from harness.runs.journal import PlannedTest
from harness.suite.xdist_types import Log, Worker


class ClaimsScheduling(LoadScopeScheduling):
    """Hands out units of claims so that subjects are loaded, and measurements made, once.

    Args:
        config: Configuration of pytest.
        log: The log of pytest-xdist.
        read_tests: Returns, once everything is collected, what the tests of claims are about, by test id.
            Other tests are handed out by file.
        whole: Whether a whole subject is one unit, as on a GPU.

    Attributes:
        workqueue: The tests of each unit that is still to be handed out, with False for all of them.
        assigned_work: For each worker the tests of its units, with whether they are done.
    """

    workqueue: OrderedDict[str, dict[str, bool]]
    assigned_work: dict[Worker, OrderedDict[str, dict[str, bool]]]

    def __init__(
        self,
        config: pytest.Config,
        log: Log | None,
        read_tests: Callable[[], Mapping[str, PlannedTest]],
        *,
        whole: bool,
    ) -> None:
        super().__init__(config, log)
        self.whole = whole
        self._read_tests = read_tests
        self._tests: Mapping[str, PlannedTest] | None = None
        self._latest: dict[Worker, str] = {}

    def schedule(self) -> None:
        """Read which measurements each test needs, then give each worker its first group of tests."""
        if self._tests is None:
            self._tests = self._read_tests()
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        test = self._planned(nodeid)
        if test is None:
            return nodeid.split("::")[0]
        return test.subject if self.whole else f"{test.subject}\n{test.measured}"

    def _planned(self, nodeid: str) -> PlannedTest | None:
        """What a test is about; None if it is not the test of a claim."""
        return self._tests.get(nodeid) if self._tests else None

    def _subject_of(self, scope: str) -> str:
        return scope.split("\n")[0]

    def _assign_work_unit(self, node: Worker) -> None:
        scope = self._choose_for(node)
        self._latest[node] = self._subject_of(scope)
        self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _choose_for(self, node: Worker) -> str:
        """A unit of the subject that a worker has, else of a free one, else of that with most tests left."""
        held = self._latest.get(node)
        others = {s for other, s in self._latest.items() if other is not node}
        left: Counter[str] = Counter()
        for scope, tests in self.workqueue.items():
            left[self._subject_of(scope)] += len(tests)

        def preference(scope: str) -> tuple[bool, bool, int]:
            subject = self._subject_of(scope)
            return subject != held, subject in others, -left[subject]

        return min(self.workqueue, key=preference)

    def remove_node(self, node: Worker) -> str | None:
        """Forget a worker, and return the test that it was running, if it died.

        That test is not tried again, nor are those that need the same measurement: what killed one worker would
        kill the next. All its other tests are handed out to the remaining workers at once, because pytest-xdist
        gives those nothing more by itself.
        """
        self._latest.pop(node, None)
        workload = self.assigned_work.pop(node)
        unfinished = [t for unit in workload.values() for t, done in unit.items() if not done]
        if not unfinished:
            return None
        crashed = unfinished[0]
        for test in unfinished[1:]:
            if not self._share_measurement(crashed, test):
                self.workqueue.setdefault(self._split_scope(test), {})[test] = False
        left = [other for other in self.nodes if not other.shutting_down]
        while left and self.workqueue:
            self._assign_work_unit(
                min(left, key=lambda other: self._pending_of(self.assigned_work[other]))
            )
        return crashed

    def _share_measurement(self, first: str, second: str) -> bool:
        one, other = self._planned(first), self._planned(second)
        return one is not None and other is not None and one[1:3] == other[1:3]
