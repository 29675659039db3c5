"""Which units of claims are handed out to which of some made-up workers, and in which order."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("xdist")

from harness.runs.journal import PlannedTest
from harness.suite.scheduling import ClaimsScheduling


class Worker:
    """A worker as the scheduler sees it: it takes indices of tests, and tells when each is done."""

    def __init__(self, name):
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down, self.queue, self.done = False, [], []

    def send_runtest_some(self, indices):
        self.queue += indices

    def shutdown(self):
        self.shutting_down = True


def silent(*args):
    return None


silent.loadscopesched = silent


def scheduled(tests, tasks, workers, *, whole=False):
    """A scheduler that has handed out the first units, and its workers."""
    config = SimpleNamespace(
        getvalue=lambda name: ["popen"] * workers, option=SimpleNamespace(loadscopereorder=False)
    )
    scheduler = ClaimsScheduling(config, silent, lambda: tasks, whole=whole)
    nodes = [Worker(f"gw{i}") for i in range(workers)]
    for node in nodes:
        scheduler.add_node(node)
    for node in nodes:
        scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    return scheduler, nodes


def step(scheduler, node, tests):
    node.done.append(tests[node.queue[0]])
    scheduler.mark_test_complete(node, node.queue.pop(0))


def claims_of(subjects, measured, each):
    """Ids of tests, and what they are about: `each` claims on each measurement of each subject."""
    tasks = {
        f"test_{m}.py::test_{i}[{s}]": PlannedTest(f"{m}.{i}", s, m)
        for s in subjects
        for m in measured
        for i in range(each)
    }
    return list(tasks), tasks


@given(
    st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(1, 5), st.booleans(),
    st.data(),
)  # fmt: skip
def test_every_claim_is_judged_once_and_no_two_workers_share_a_unit(
    subjects, measured, each, workers, whole, data
):
    tests, tasks = claims_of(
        [f"s{i}" for i in range(subjects)], [f"m{i}" for i in range(measured)], each
    )
    scheduler, nodes = scheduled(tests, tasks, workers, whole=whole)
    while busy := [node for node in nodes if node.queue]:
        step(scheduler, data.draw(st.sampled_from(busy)), tests)
    assert sorted(t for node in nodes for t in node.done) == sorted(tests)
    units = [{(tasks[t].subject, whole or tasks[t].measured) for t in node.done} for node in nodes]
    assert sum(map(len, units)) == len(set().union(*units))


def test_on_a_gpu_a_worker_has_whole_subjects():
    tests, tasks = claims_of(["a", "b", "c"], ["m", "n"], 2)
    scheduler, (first, second) = scheduled(tests, tasks, 2, whole=True)
    while first.queue:
        step(scheduler, first, tests)
    assert {tasks[t].subject for t in first.done} == {"a", "c"}
    assert {tasks[tests[i]].subject for i in second.queue} == {"b"}


def test_a_worker_keeps_its_subject_then_takes_a_free_one_then_helps():
    tests, tasks = claims_of(["a", "b", "c"], ["m", "n", "o"], 4)
    scheduler, (first, second) = scheduled(tests, tasks, 2)
    while first.queue:
        step(scheduler, first, tests)
    order = list(dict.fromkeys(tasks[t].subject for t in first.done))
    assert order == ["a", "c", "b"]
    # The second worker has begun with b, and keeps the units that it was given.
    assert {tasks[tests[i]].subject for i in second.queue} == {"b"}


@given(st.integers(2, 4), st.integers(1, 30), st.booleans(), st.data())
def test_a_dead_worker_loses_what_it_measured_and_nothing_else(workers, when, whole, data):
    tests, tasks = claims_of(["a", "b", "c"], ["m", "n", "o"], 3)
    scheduler, nodes = scheduled(tests, tasks, workers, whole=whole)
    died = crashed = None
    while busy := [node for node in nodes if node.queue]:
        node = data.draw(st.sampled_from(busy))
        when -= 1
        if when == 0 and any(not other.shutting_down for other in nodes if other is not node):
            died, crashed = node, scheduler.remove_node(node)
            assert crashed == tests[node.queue[0]]
            nodes.remove(node)
        else:
            step(scheduler, node, tests)
    judged = [t for node in nodes + [died] * (died is not None) for t in node.done]
    assert len(judged) == len(set(judged))
    lost = set(tests) - set(judged)
    assert lost <= {t for t in tests if died and tasks[t][1:] == tasks[crashed][1:]}
    assert (crashed in lost) == (died is not None)


def test_tests_that_are_no_claims_are_handed_out_by_file():
    tests = [f"test_{name}.py::test_{i}" for name in "abc" for i in range(4)]
    _, nodes = scheduled(tests, {}, 3)
    assert [{tests[i].split("::")[0] for i in node.queue} for node in nodes] == [
        {"test_a.py"},
        {"test_b.py"},
        {"test_c.py"},
    ]
