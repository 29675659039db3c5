"""Measuring ahead of judging, in this process or on a Ray cluster. What is measured is kept in the store.

On a cluster every node needs the same code and the same folder as store, and each process loads one subject at
a time. A task is one measurement, or on GPUs all measurements of a subject. A measurement that others build on
is made before them. Measurements come back through the store, not by way of Ray, which would unpickle them.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from harness.experiments.catalogue import EXPERIMENTS, find_experiment
from harness.machine.memory import clear_frames
from harness.measuring.code import hash_code
from harness.measuring.experiment import Experiment
from harness.measuring.store import Store
from harness.runs.baselines import BadOption
from harness.runs.options import Options
from harness.runs.run import Run
from harness.runs.selection import select


class Result(NamedTuple):
    """What became of one measurement.

    Attributes:
        key: Its name in the store; "" if it could not be made.
        problem: Why it could not be made; "" if it was.
    """

    key: str
    problem: str


class RayErrors(Protocol):
    """The part of `ray.exceptions` that is used here."""

    RayError: type[Exception]


class Ray(Protocol):
    """The part of the module `ray` that fetches results."""

    exceptions: RayErrors

    def get(self, ref: object) -> list[Result]:
        """Wait for a task and return its results."""


def choose_experiments(names: Iterable[str] = ()) -> list[Experiment]:
    """Find experiments by name, each listed after those that it needs; all of them if none is named.

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
    """Measure in this process, one subject after the other; a failure does not stop what comes after it.

    Raises:
        BadOption: An option cannot be used.
    """
    run = Run(options, say)
    return [_try_to_measure(run, e, name) for name in _list_subjects(run) for e in experiments]


def measure_on_ray(
    options: Options, experiments: Sequence[Experiment], address: str | None = None
) -> list[Result]:
    """Measure on the nodes of a Ray cluster.

    Args:
        options: What the run is asked for; the store's folder must be the same one on all nodes.
        experiments: From `choose_experiments`.
        address: Address of the cluster; one is started on this machine if None.

    Returns:
        One result for each subject and experiment, also where a node was lost.

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
        # The task of a lost node is tried on another once, not more often: it may be what killed the node.
        task = ray.remote(num_cpus=1, num_gpus=int(options.gpu), max_retries=1)(_run_task)
        waiting: list[tuple[str, list[str], ray.ObjectRef]] = []
        for subject in subjects:
            begun: dict[str, ray.ObjectRef] = {}
            parts = [experiments] if options.gpu else [[e] for e in experiments]
            for part in parts:
                names = [e.name for e in part]
                # As arguments Ray waits for these tasks before it starts this one, which takes no process.
                after = [begun[o.name] for e in part for o in e.needs if o.name in begun]
                ref = task.remote(options, hash_experiments(), subject, names, *after)
                begun |= dict.fromkeys(names, ref)
                waiting.append((subject, names, ref))
        return [
            result
            for subject, names, ref in waiting
            for result in _fetch(ray, store, subject, names, ref)
        ]
    finally:
        ray.shutdown()


def _fetch(ray: Ray, store: Store, subject: str, names: Sequence[str], ref: object) -> list[Result]:
    """The results of one task; those whose measurement is not in the store here are problems."""
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


def _run_task(
    options: Options, code: str, subject: str, names: Sequence[str], *after: object
) -> list[Result]:
    """Measure on a node, in a process that keeps its subject for the next task.

    Args:
        options: What the run is asked for.
        code: `hash_experiments` of the process that asks.
        subject: Name of the subject.
        names: Names of the experiments.
        after: Results of the tasks that had to end before.
    """
    if code != hash_experiments():
        raise BadOption(f"{platform.node()} has another version of the code that measures")
    run = _build_run(options)
    return [
        _try_to_measure(run, experiment, subject)
        for experiment in choose_experiments(names)
        if experiment.name in names
    ]


@lru_cache(maxsize=1)
def _build_run(options: Options) -> Run:
    return Run(options, lambda line: print(line, flush=True))


def hash_experiments() -> str:
    """Hash of all code that measures; a node where it differs would give other numbers."""
    return hash_code(experiment.module for experiment in EXPERIMENTS)


def _list_subjects(run: Run) -> list[str]:
    return [entry.name for entry in run.entries]


def _try_to_measure(run: Run, experiment: Experiment, subject: str) -> Result:
    entry = run.entries[_list_subjects(run).index(subject)]
    try:
        return Result(run.measure(experiment, entry).key, "")
    except Exception as error:
        clear_frames(error)
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return Result("", f"{experiment.name} on {subject}: {reason}")
