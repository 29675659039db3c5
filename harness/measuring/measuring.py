"""Measure an experiment on a subject, or take the measurement from the store if it is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from harness.machine.memory import clear_frames, free_memory
from harness.measuring.batches import divide_batches
from harness.measuring.code import hash_code, is_unchanged
from harness.measuring.experiment import Experiment, Request, let_speak
from harness.measuring.seeding import seed_generator
from harness.measuring.store import Store, make_key
from harness.statistics.estimate import MINIMUM_CLUSTERS
from harness.statistics.looks import ALL_TRIALS, AUTO, Look
from harness.subjects.contents import Contents, mark_contents, take_fingerprint
from harness.subjects.hashes import KeptHashes
from harness.subjects.pinning import is_pinned
from harness.subjects.registry import Entry, Refused

if TYPE_CHECKING:
    from harness.subjects.subject import Subject


@dataclass(frozen=True)
class Measured:
    """A measurement with its name in the store.

    Attributes:
        data: What was measured, with its provenance as attributes.
        key: Its name in the store.
        seconds: How long it took; 0 if it was in the store.
    """

    data: xr.Dataset
    key: str
    seconds: float


class TooFewTrials(ValueError):
    """There are too few trials for an interval that is clustered by scene."""


class Measuring:
    """Measures experiments on subjects, and keeps the results.

    Args:
        store: Where measurements are kept.
        subject_of: Loads the subject of an entry, or returns it if it is the one that is loaded.
        trials: Trials of every experiment; each experiment's own number if None; with AUTO as many as the look
            asks (see `harness.statistics.looks`).
        seed: Seed of all stimuli.
        setting: Whatever else changes numbers (device, attention, versions), by name.
        gate: Whether trials must be answered right where an experiment asks for it.
        say: Is called with lines that tell how a measurement goes.

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
        self._contents: dict[Path, Contents] = {}

    def check_unchanged(self, entry: Entry) -> None:
        """Check that a subject's folder holds what it held when this was first asked.

        Raises:
            harness.subjects.contents.FolderChanged: A file changed since; the message names it.
        """
        contents = self._find_contents(entry)
        if contents is not None:
            contents.check(entry.name)

    def _find_contents(self, entry: Entry) -> Contents | None:
        """What a subject's folder held at first; None for a repository."""
        if entry.folder is None:
            return None
        if entry.folder not in self._contents:
            self._contents[entry.folder] = mark_contents(entry.folder)
        return self._contents[entry.folder]

    def count_trials(self, experiment: Experiment, entry: Entry, look: Look = ALL_TRIALS) -> int:
        """How many trials an experiment has on a subject at a look."""
        whole = experiment.count_trials(entry.scale)
        if self.trials == AUTO:
            return look.count_trials(whole) if experiment.looks else whole
        return self.trials if isinstance(self.trials, int) else whole

    def measure(self, experiment: Experiment, entry: Entry, look: Look = ALL_TRIALS) -> Measured:
        """The measurement of one experiment on one subject, on `count_trials` trials.

        One that was refused is refused again without another try, since every claim on it asks for it.

        Raises:
            harness.subjects.registry.Refused: The experiment cannot be measured on this subject, or its folder
                changed while the run was on.
            harness.tracing.footprint.OutOfMemory: Memory ran out also with half as many trials at once.
        """
        self.check_unchanged(entry)
        key = self.find_key(experiment, entry, look)
        source = experiment.name_source(gate=self.gate)
        found = self.store.get(key) if source else None
        if found is not None:
            return Measured(found, key, 0.0)
        # Functions without a name share a key: that one was refused says nothing of another.
        if source and key in self._refused:
            raise self._refused[key].with_traceback(None)
        needed = {e.name: self.measure(e, entry, look).data for e in experiment.needs}
        what = f"{experiment.name} on {entry.name}"
        with self.store.alone(key, what) as found:
            if found is not None and source:
                return Measured(found, key, 0.0)
            begun = time.monotonic()
            subject = let_speak(self.subject_of(entry), needed)
            settings = self._settings(experiment, entry, look)
            trials = self.count_trials(experiment, entry, look)
            provenance = {"experiment": experiment.name, "subject": entry.name, **settings}
            measure = experiment.load_measure(gate=self.gate)

            def once() -> xr.Dataset:
                rng = seed_generator(self.seed, experiment.name, needs=experiment.draws_apart)
                reporter = _Reporter(what, self.say)
                return measure(Request(subject, trials, rng, reporter, needed))

            try:
                data, batch = self._in_memory(once, what)
            except Refused as refusal:
                self._refused[key] = refusal
                raise
            # What was replaced meanwhile would have the results of what was there before.
            self.check_unchanged(entry)
            seconds = time.monotonic() - begun
            data = data.assign_attrs(provenance | batch)
            self._keep(key, data, {**provenance, **batch}, what, source)
        told = f"; {entry.name} {data.attrs['tells']}" if experiment.settles else ""
        self.say(f"measured {what}: {trials} trials in {seconds:.1f} s{told}")
        return Measured(data, key, seconds)

    def _keep(
        self,
        key: str,
        data: xr.Dataset,
        provenance: dict[str, str | int],
        what: str,
        source: str | None,
    ) -> None:
        """Put a measurement into the store, unless its name would not say what made it."""
        if source is None:
            self.say(f"{what} is not kept: no file says under a name what measures it")
        elif not is_unchanged([source.partition(":")[0]]):
            self.say(f"{what} is not kept: its code was changed while the run went on")
        else:
            try:
                self.store.put(key, data, provenance)
            except OSError as error:
                self.say(f"could not keep {what}: {error}; judged all the same")

    def find_key(self, experiment: Experiment, entry: Entry, look: Look = ALL_TRIALS) -> str:
        """The name of a measurement in the store; loads the subject only if its entry leaves something open.

        The name follows from the subject, the settings, the code that can change the measurement, and the
        measurements that it builds on.
        """
        # Which commit "main" is, and which arrangement "auto", is known only once the subject is loaded.
        known = is_pinned(entry) and entry.arrangement != "auto"
        contents = self._find_contents(entry)
        if contents is not None:
            # Before it is loaded, which reads the same files.
            KeptHashes(self.store.folder / "hashes", self.say).hash_contents(contents)
        fingerprint = (
            take_fingerprint(entry, contents=contents)
            if known
            else self.subject_of(entry).fingerprint
        )
        built_on = [self.find_key(e, entry, look) for e in experiment.needs]
        source = experiment.name_source(gate=self.gate) or ""
        code = hash_code([source.partition(":")[0]])
        settings = self._settings(experiment, entry, look)
        return make_key(
            experiment.name, fingerprint, code, source=source, needs=built_on, **settings
        )

    def _settings(self, experiment: Experiment, entry: Entry, look: Look) -> dict[str, str | int]:
        """What a measurement depends on besides the subject and the code."""
        settings: dict[str, str | int] = {
            "trials": self.count_trials(experiment, entry, look),
            "seed": self.seed,
            **self.setting,
        }
        if not self.gate and any(e.ungated for e in (experiment, *experiment.needs)):
            settings["gate"] = "none"
        return settings

    def _in_memory(
        self, once: Callable[[], xr.Dataset], what: str
    ) -> tuple[xr.Dataset, dict[str, str]]:
        """Measure, if memory runs out a second time with half as many trials at once.

        Args:
            once: Measures one time.
            what: The measurement in words, for messages.

        Returns:
            The measurement, and {"batch": "half"} if batches were halved, else {}.

        Raises:
            harness.tracing.footprint.OutOfMemory: Memory ran out the second time, too.
        """
        tried: list[int] = []
        for divisor in (1, 2):
            with divide_batches(divisor) as batches:
                try:
                    return once(), {"batch": "half"} if tried else {}
                except (RuntimeError, MemoryError) as error:
                    from harness.tracing.footprint import OutOfMemory, is_out_of_memory

                    if not is_out_of_memory(error):
                        raise
                    cause = str(error).strip().partition("\n")[0] or type(error).__name__
                    clear_frames(error)
            # Outside the handler, where nothing holds the error and its tensors any more.
            free_memory()
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
    """Tells how far a long measurement has come, at most every ten seconds."""

    def __init__(self, what: str, say: Callable[[str], None]) -> None:
        self.what, self.say, self.spoke = what, say, time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() - self.spoke > 10 and done < of:
            self.spoke = time.monotonic()
            self.say(f"measuring {self.what}: {done} of {of}")
