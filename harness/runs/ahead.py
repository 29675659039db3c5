"""Measuring ahead of judging: here, or spread over a Ray cluster. What is measured is kept in the store.

On a cluster every node has the same code and sees the folder of the store, and each process loads one subject
at a time. A task is one measurement, or with GPUs a whole subject; a measurement that others build on comes
before them. Results do not come back by way of Ray but through the store, so that nothing that was measured is
unpickled.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from harness.experiments.catalogue import EXPERIMENTS, find_experiment
from harness.machine.memory import let_go
from harness.measuring.code import hash_code
from harness.measuring.experiment import Experiment
from harness.measuring.store import Store
from harness.runs.baselines import BadOption
from harness.runs.options import Options
from harness.runs.run import Run
from harness.runs.selection import select


class Result(NamedTuple):
    """What became of one measurement: its name in the store, or the reason why there is none."""

    key: str
    problem: str


def choose_experiments(names: Iterable[str] = ()) -> list[Experiment]:
    """Experiments by name, each after those that it needs; all of them if none is named.

    Raises:
        BadOption: There is no experiment of that name; the message lists what there is.
    """
    try:
        wanted = [find_experiment(name) for name in names] or list(EXPERIMENTS)
    except LookupError as error:
        raise BadOption(error.args[0]) from None
    found: dict[str, Experiment] = {}

    def add(experiment: Experiment) -> None:
        for other in experiment.needs:
            add(other)
        found.setdefault(experiment.name, experiment)

    for experiment in wanted:
        add(experiment)
    return list(found.values())


def measure_locally(
    options: Options, experiments: Sequence[Experiment], say: Callable[[str], None]
) -> list[Result]:
    """Measure in this process, one subject after the other; what cannot be measured stops nothing else.

    Raises:
        BadOption: An option cannot be used.
    """
    run = Run(options, say)
    return [_measured(run, e, name) for name in _names(run) for e in experiments]


def measure_on_ray(
    options: Options, experiments: Sequence[Experiment], address: str | None = None
) -> list[Result]:
    """Measure on the nodes of a Ray cluster.

    Args:
        options: Of the run; the store's folder must be the same one on all nodes.
        experiments: From `choose_experiments`.
        address: Of the cluster; one is started on this machine if None.

    Returns:
        One for each subject and experiment, also where a node was lost.

    Raises:
        BadOption: Ray is not installed, or an option cannot be used.
    """
    try:
        import ray
    except ImportError:
        raise BadOption(
            "--engine ray: ray is not installed: pip install -c constraints.txt 'binding-claims[cluster]'"
        ) from None
    subjects = [entry.name for entry in select(options)]
    store = Store(options.store)
    ray.init(address=address, include_dashboard=False)
    try:
        # A node that is lost is tried again elsewhere, once: what killed it may kill the next.
        task = ray.remote(num_cpus=1, num_gpus=int(options.gpu), max_retries=1)(_task)
        waiting = []
        for subject in subjects:
            begun: dict[str, ray.ObjectRef] = {}
            parts = [experiments] if options.gpu else [[e] for e in experiments]
            for part in parts:
                names = [e.name for e in part]
                # Given as arguments, so that no process waits for them with its hands full.
                after = [begun[o.name] for e in part for o in e.needs if o.name in begun]
                ref = task.remote(options, hash_experiments(), subject, names, *after)
                begun |= dict.fromkeys(names, ref)
                waiting.append((subject, names, ref))
        return [
            result
            for subject, names, ref in waiting
            for result in _arrived(ray, store, subject, names, ref)
        ]
    finally:
        ray.shutdown()


def _arrived(ray, store: Store, subject: str, names: Sequence[str], ref) -> list[Result]:
    """The results of one task, held to what the store has."""
    try:
        results = ray.get(ref)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        return [Result("", f"{name} on {subject}: {reason}") for name in names]
    return [
        result
        if result.problem or store.get(result.key) is not None
        else Result(
            "",
            f"{name} on {subject}: measured, but not in {store.folder} here: is the folder shared?",
        )
        for name, result in zip(names, results, strict=True)
    ]


def _task(
    options: Options, code: str, subject: str, names: Sequence[str], *after: object
) -> list[Result]:
    """Measure on a node, in a process that keeps its subject for the next task."""
    if code != hash_experiments():
        raise BadOption(f"{platform.node()} has another version of the code that measures")
    run = _run_of(options)
    return [
        _measured(run, experiment, subject)
        for experiment in choose_experiments(names)
        if experiment.name in names
    ]


@lru_cache(maxsize=1)
def _run_of(options: Options) -> Run:
    return Run(options, lambda line: print(line, flush=True))


def hash_experiments() -> str:
    """Hash of all code that measures; a node with another gives other numbers."""
    return hash_code(experiment.module for experiment in EXPERIMENTS)


def _names(run: Run) -> list[str]:
    return [entry.name for entry in run.entries]


def _measured(run: Run, experiment: Experiment, subject: str) -> Result:
    entry = run.entries[_names(run).index(subject)]
    try:
        return Result(run.measure(experiment, entry).key, "")
    except Exception as error:
        let_go(error)
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return Result("", f"{experiment.name} on {subject}: {reason}")
