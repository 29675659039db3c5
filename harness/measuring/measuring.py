"""Run an experiment on a subject, or find that it was run before."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from harness.machine.memory import give_back, let_go
from harness.measuring.batches import divided_by
from harness.measuring.store import Store, content_key
from harness.statistics.estimate import MINIMUM_CLUSTERS
from harness.statistics.looks import AUTO, trials_now
from harness.subjects.pinning import pinned
from harness.subjects.registry import Entry, Refused

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
        looks: Whether fewer trials may settle a claim (see `harness.statistics.looks`); not where a gate or
            another experiment rests on all of them anyway.
        ungated: Run instead of `run` where no claim is blocked; it keeps trials that are answered wrong, too.
    """

    name: str
    run: Callable[..., xr.Dataset]
    trials: int
    needs: tuple[Experiment, ...] = ()
    looks: bool = True
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
        self._refused: dict[str, Refused] = {}

    def trials_of(self, experiment: Experiment) -> int:
        """How many trials an experiment asks now."""
        if self.trials == AUTO:
            return trials_now(experiment.trials) if experiment.looks else experiment.trials
        return self.trials or experiment.trials

    def measure(self, experiment: Experiment, entry: Entry) -> Measured:
        """The measurement of one experiment on one subject, of `trials_of` trials.

        What cannot be measured is not tried again: every claim on it asks.

        Raises:
            harness.tracing.footprint.OutOfMemory: Not even with half as many trials at once is there enough.
        """
        trials = self.trials_of(experiment)
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
        if key in self._refused:
            raise self._refused[key].with_traceback(None)
        needed = [self.measure(e, entry).data for e in experiment.needs]
        what = f"{experiment.name} on {entry.name}"
        with self.store.alone(key, what) as found:
            if found is not None:
                return Measured(found, key, 0.0)
            begun = time.monotonic()
            subject = self.subject_of(entry)
            provenance = {"experiment": experiment.name, "subject": entry.name, **settings}

            def once() -> xr.Dataset:
                reporter = _Reporter(what, self.say)
                return run(subject, trials, self._generator(experiment), reporter, *needed)

            try:
                data, batch = self._in_memory(once, what)
            except Refused as refusal:
                self._refused[key] = refusal
                raise
            seconds = time.monotonic() - begun
            data = data.assign_attrs(provenance | batch)
            try:
                self.store.put(key, data, provenance | batch)
            except OSError as error:
                self.say(f"could not keep {what}: {error}; judged all the same")
        self.say(f"measured {what}: {trials} trials in {seconds:.1f} s")
        return Measured(data, key, seconds)

    def _in_memory(
        self, once: Callable[[], xr.Dataset], what: str
    ) -> tuple[xr.Dataset, dict[str, str]]:
        """The measurement, if need be with half as many trials at once, and the words that say so.

        Raises:
            harness.tracing.footprint.OutOfMemory: The second time, too, there is too little.
        """
        tried: list[int] = []
        for divisor in (1, 2):
            with divided_by(divisor) as batches:
                try:
                    return once(), {"batch": "half"} if tried else {}
                except (RuntimeError, MemoryError) as error:
                    from harness.tracing.footprint import OutOfMemory, is_out_of_memory

                    if not is_out_of_memory(error):
                        raise
                    cause = str(error).strip().partition("\n")[0] or type(error).__name__
                    let_go(error)
            # Outside the handler, where nothing holds the error any more.
            give_back()
            tried.append(batches.rows)
            if batches.rows < 2:
                break
            if divisor == 1:
                self.say(
                    f"out of memory measuring {what} with {batches.rows} rows at once: trying "
                    f"{batches.rows // 2}, which is written into the measurement"
                )
        rows = " and then ".join(f"{n} rows at once" for n in tried if n) or "one row at a time"
        raise OutOfMemory(
            f"out of memory: measuring {what} with {rows} ({cause}). Try a GPU with more memory or with "
            "nothing else on it, several for one subject (--gpu without -n), fewer workers (-n), or a "
            "smaller dtype (--dtype bfloat16)"
        )

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
