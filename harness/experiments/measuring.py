"""Run an experiment on a subject, or find that it was run before."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from harness.experiments.store import Store, content_key
from harness.judging.sequential import AUTO, trials_now
from harness.judging.stats import MINIMUM_CLUSTERS
from harness.subjects.pinning import pinned
from harness.subjects.registry import Entry

if TYPE_CHECKING:
    from harness.subjects.subject import Subject

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""


@dataclass(frozen=True)
class Experiment:
    """One experiment of a paper.

    Attributes:
        name: As it stands in the store and in messages.
        run: Subject, trials, generator, progress -> the measurement's arrays; after them it is given the
            measurements that it needs.
        trials: How many by default (the paper's number where it states one).
        needs: Experiments whose measurements it builds on: the heads that it edits were found there.
        ungated: Run instead of `run` where no claim is blocked; it keeps trials that are answered wrong, too.
    """

    name: str
    run: Callable[..., xr.Dataset]
    trials: int
    needs: tuple[Experiment, ...] = ()
    ungated: Callable[[Subject, int, np.random.Generator, Progress], xr.Dataset] | None = None


@dataclass(frozen=True)
class Measured:
    """A measurement, its name in the store and how long it took (0 if it was in the store)."""

    data: xr.Dataset
    key: str
    seconds: float


class TooFewTrials(ValueError):
    """No interval can be had from that few."""


class Measuring:
    """Measures subjects, one loaded at a time by `subject_of`, and remembers.

    Args:
        store: Where measurements are kept.
        subject_of: Loads a subject, or gives the one that is loaded.
        trials: Trials for every experiment; each experiment's own number if None; AUTO for `sequential`.
        seed: Of all stimuli.
        setting: Whatever else changes numbers (device, attention).
        gate: Whether trials must be answered right where an experiment asks for it.
        say: Receives a line before and after a measurement.

    Raises:
        TooFewTrials: `trials` is below what a clustered interval needs.
    """

    def __init__(
        self,
        store: Store,
        subject_of: Callable[[Entry], Subject],
        *,
        trials: int | str | None,
        seed: int,
        setting: dict[str, str],
        say: Callable[[str], None],
        gate: bool = True,
    ) -> None:
        if isinstance(trials, int) and trials < 2 * MINIMUM_CLUSTERS:
            raise TooFewTrials(
                f"--trials {trials}: at least {2 * MINIMUM_CLUSTERS} are needed, half to choose layers "
                "and heads and half to judge them"
            )
        self.store, self.subject_of, self.say = store, subject_of, say
        self.trials, self.seed, self.setting, self.gate = trials, seed, setting, gate

    def trials_of(self, experiment: Experiment) -> int:
        """How many trials an experiment asks now."""
        if self.trials == AUTO:
            return trials_now(experiment.trials, 2 * MINIMUM_CLUSTERS)
        return self.trials or experiment.trials

    def measure(
        self, experiment: Experiment, entry: Entry, *, trials: int | None = None
    ) -> Measured:
        """The measurement of one experiment on one subject, of `trials_of` trials if no number is given."""
        trials = trials or self.trials_of(experiment)
        settings = {"trials": trials, "seed": self.seed, **self.setting}
        run = experiment.run
        if not self.gate and any(e.ungated for e in (experiment, *experiment.needs)):
            run, settings["gate"] = experiment.ungated or run, "none"
        # What "main" of a repository means, and in which arrangement it is asked, is known once it is loaded.
        known = pinned(entry) and entry.arrangement != "auto"
        fingerprint = entry.fingerprint() if known else self.subject_of(entry).fingerprint
        key = content_key(experiment.name, fingerprint, **settings)
        found = self.store.get(key)
        if found is not None:
            return Measured(found, key, 0.0)
        # What the heads are found on is not what the claim is about: it is whole from the first look on.
        whole = {e: e.trials if self.trials == AUTO else None for e in experiment.needs}
        needed = [self.measure(e, entry, trials=n).data for e, n in whole.items()]
        what = f"{experiment.name} on {entry.name}"
        with self.store.alone(key, what) as found:
            if found is not None:
                return Measured(found, key, 0.0)
            begun = time.monotonic()
            subject = self.subject_of(entry)
            reporter = _Reporter(what, self.say)
            data = run(subject, trials, self._generator(experiment), reporter, *needed)
            seconds = time.monotonic() - begun
            provenance = {"experiment": experiment.name, "subject": entry.name, **settings}
            data = data.assign_attrs(provenance)
            try:
                self.store.put(key, data, provenance)
            except OSError as error:
                self.say(f"could not keep {what}: {error}; judged all the same")
        self.say(f"measured {what}: {trials} trials in {seconds:.1f} s")
        return Measured(data, key, seconds)

    def _generator(self, experiment: Experiment) -> np.random.Generator:
        # Heads found on some trials must not be judged on the same ones: the seed goes with the name.
        name = [zlib.crc32(experiment.name.encode())] if experiment.needs else []
        return np.random.default_rng([self.seed, *name] if name else self.seed)


class _Reporter:
    """Says how far a long measurement has come, at most every ten seconds."""

    def __init__(self, what: str, say: Callable[[str], None]) -> None:
        self.what, self.say, self.spoke = what, say, time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() - self.spoke > 10 and done < of:
            self.spoke = time.monotonic()
            self.say(f"measuring {self.what}: {done} of {of}")
