"""Run an experiment on a subject, or find that it was run before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

from harness.machine.memory import give_back, let_go
from harness.measuring.batches import divided_by
from harness.measuring.code import hash_code
from harness.measuring.experiment import Experiment, Request
from harness.measuring.seeding import seed_generator
from harness.measuring.store import Store, content_key
from harness.statistics.estimate import MINIMUM_CLUSTERS
from harness.statistics.looks import ALL_TRIALS, AUTO, Look
from harness.subjects.pinning import pinned
from harness.subjects.registry import Entry, Refused

if TYPE_CHECKING:
    from harness.subjects.subject import Subject


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

    def count_trials(self, experiment: Experiment, look: Look = ALL_TRIALS) -> int:
        """How many trials an experiment asks at a look."""
        if self.trials == AUTO:
            return look.count_trials(experiment.trials) if experiment.looks else experiment.trials
        return self.trials or experiment.trials

    def measure(self, experiment: Experiment, entry: Entry, look: Look = ALL_TRIALS) -> Measured:
        """The measurement of one experiment on one subject, of `count_trials` trials.

        What cannot be measured is not tried again: every claim on it asks.

        Raises:
            harness.tracing.footprint.OutOfMemory: Not even with half as many trials at once is there enough.
        """
        key = self.find_key(experiment, entry, look)
        found = self.store.get(key)
        if found is not None:
            return Measured(found, key, 0.0)
        if key in self._refused:
            raise self._refused[key].with_traceback(None)
        needed = {e.name: self.measure(e, entry, look).data for e in experiment.needs}
        what = f"{experiment.name} on {entry.name}"
        with self.store.alone(key, what) as found:
            if found is not None:
                return Measured(found, key, 0.0)
            begun = time.monotonic()
            subject = self.subject_of(entry)
            settings = self._settings(experiment, look)
            provenance = {"experiment": experiment.name, "subject": entry.name, **settings}
            measure = experiment.load_measure(gate=self.gate)

            def once() -> xr.Dataset:
                rng = seed_generator(self.seed, experiment.name, needs=bool(experiment.needs))
                reporter = _Reporter(what, self.say)
                return measure(Request(subject, settings["trials"], rng, reporter, needed))

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
        self.say(f"measured {what}: {settings['trials']} trials in {seconds:.1f} s")
        return Measured(data, key, seconds)

    def find_key(self, experiment: Experiment, entry: Entry, look: Look = ALL_TRIALS) -> str:
        """The name of a measurement in the store; its subject is loaded only if nothing else tells.

        It follows the subject, the settings, the code that can change the measurement, and the measurements
        that it builds on.
        """
        # What "main" of a repository means, and in which arrangement it is asked, is known once it is loaded.
        known = pinned(entry) and entry.arrangement != "auto"
        fingerprint = entry.fingerprint() if known else self.subject_of(entry).fingerprint
        built_on = [self.find_key(e, entry, look) for e in experiment.needs]
        code = hash_code([experiment.module])
        settings = self._settings(experiment, look)
        return content_key(experiment.name, fingerprint, code, needs=built_on, **settings)

    def _settings(self, experiment: Experiment, look: Look) -> dict[str, Any]:
        """What a measurement depends on besides the subject and the code."""
        settings = {
            "trials": self.count_trials(experiment, look),
            "seed": self.seed,
            **self.setting,
        }
        if not self.gate and any(e.ungated for e in (experiment, *experiment.needs)):
            settings["gate"] = "none"
        return settings

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


class _Reporter:
    """Says how far a long measurement has come, at most every ten seconds."""

    def __init__(self, what: str, say: Callable[[str], None]) -> None:
        self.what, self.say, self.spoke = what, say, time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() - self.spoke > 10 and done < of:
            self.spoke = time.monotonic()
            self.say(f"measuring {self.what}: {done} of {of}")
