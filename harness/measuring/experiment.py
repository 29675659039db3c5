"""What an experiment is: how it measures, on how many trials, what it builds on, what a subject must do."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from harness.measuring.seeding import seed_generator

if TYPE_CHECKING:
    from harness.subjects.subject import Subject

Progress = Callable[[int, int], None]
"""Called with how many steps are done and how many there are."""


def keep_silent(done: int, of: int) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class Request:
    """A request for one measurement, which an experiment is given.

    Attributes:
        subject: The model.
        trials: How many trials it is measured on.
        rng: Draws all stimuli and whatever else is random.
        progress: Is told how far the measurement has come.
        needed: The measurements that this one builds on, by the names of their experiments.
    """

    subject: Subject
    trials: int
    rng: np.random.Generator
    progress: Progress = keep_silent
    needed: Mapping[str, xr.Dataset] = field(default_factory=dict)


Measure = Callable[[Request], xr.Dataset]


class OwnImages(NamedTuple):
    """How an experiment measures on the user's own images.

    Attributes:
        digest: Hash of the images; part of the measurement's name.
        trials: How many trials they give, at most as many as were asked for.
        measure: The function that measures on them.
    """

    digest: str
    trials: int
    measure: Measure


@dataclass(frozen=True)
class Experiment:
    """One experiment of a paper. The code that measures and reads is named here, and loaded when it is used.

    Attributes:
        name: Its name in the store and in messages, and the name of its fixture for claims.
        measure: The function that measures, or where it is: "module:function".
        trials: How many by default (the paper's number where it states one).
        paper_trials: How many by default on subjects of the paper's size, where the smallest published effect
            needs more (`claims power`); 0 for as many as on others.
        reading: Where the class is that reads the measurement: "module:class"; "" if no claim reads it.
        requires: The task that a subject must do before it is measured; None if there is none, or if the trials
            of the experiment tell how well it is done (`task_accuracy` of its reading).
        least: Share of right answers in that task below which claims are blocked.
        needs: Experiments whose measurements it builds on, such as those that find the heads it edits.
        looks: Whether fewer trials may settle a claim (see `harness.statistics.looks`). False where a gate or
            another experiment needs all trials anyway.
        ungated: What measures in place of `measure` where no claim is blocked; it keeps trials that are
            answered wrong, too. None if `measure` does.
        own_images: The option that names a folder of the user's images, on which subjects that do not ship
            with the project are asked; "" if all subjects are asked on drawn scenes.
        source: "module:function" that stands for `measure` in the name of the measurement, where that has no
            name of its own; the experiment's name must then tell all that the function was made with.
        settles: Whether it only finds out how a subject writes its answers, for other experiments.
    """

    name: str
    measure: str | Measure
    trials: int
    paper_trials: int = 0
    reading: str = ""
    requires: str | None = None
    least: float = 0.60
    needs: tuple[Experiment, ...] = ()
    looks: bool = True
    ungated: str | Measure | None = None
    own_images: str = ""
    source: str = ""
    settles: bool = False

    @property
    def draws_apart(self) -> bool:
        """Whether its trials are drawn apart, since heads were ranked on those of other experiments."""
        return any(not e.settles for e in self.needs)

    def count_trials(self, scale: str) -> int:
        """How many trials by default, on subjects of a scale: "embedded" or "paper" (see `Entry`)."""
        return self.paper_trials if scale == "paper" and self.paper_trials else self.trials

    @property
    def module(self) -> str:
        """Name of the module that measures."""
        return (self.source or name_measure(self.measure) or "").partition(":")[0]

    def name_source(self, *, gate: bool = True) -> str | None:
        """The name of the function that measures, as part of the measurement's name.

        None if it has none by which another process could tell it from others: a function inside another one, a
        lambda, an object, or one typed into a notebook. What it measures is then not kept.
        """
        return self.source or name_measure(self._choose(gate=gate))

    def load_measure(self, *, gate: bool = True) -> Measure:
        """The function that measures: `measure`, or without the gate `ungated` if there is one."""
        chosen = self._choose(gate=gate)
        return load_named(chosen) if isinstance(chosen, str) else chosen

    def _choose(self, *, gate: bool) -> str | Measure:
        return self.measure if gate or self.ungated is None else self.ungated

    def load_reading(self) -> type[Any]:
        """The class that reads the measurement, which does not need torch.

        Raises:
            LookupError: No claim reads this experiment.
        """
        if not self.reading:
            raise LookupError(f"{self.name} has no reading")
        return load_named(self.reading)

    def on_images(self, folder: Path) -> Experiment:
        """The same experiment on the user's images in a folder.

        Raises:
            harness.stimuli.photographs.NoData: There are no images; the message says how to get them.
        """
        read_images: Callable[[Path, int], OwnImages] = load_named(f"{self.module}:read_images")
        # Only subjects of the paper's size are asked on them.
        images = read_images(folder, self.count_trials("paper"))
        return replace(
            self,
            name=f"{self.name} on {images.digest}",
            measure=images.measure,
            trials=images.trials,
            paper_trials=0,
            own_images="",
            source=f"{self.module}:read_images",
        )


def name_measure(measure: str | Measure) -> str | None:
    """The "module:function" of a function at the top of a file, with the arguments that it was given before.

    None if it is no such function, or an argument is no plain value.
    """
    if isinstance(measure, str):
        return measure
    given = ""
    while isinstance(measure, partial):
        values = (*measure.args, *measure.keywords.values())
        if not all(isinstance(v, (str, int, float, bool, type(None))) for v in values):
            return None
        given += f" {measure.args!r} {sorted(measure.keywords.items())!r}"
        measure = measure.func
    name, module = getattr(measure, "__qualname__", "<"), getattr(measure, "__module__", "")
    if "<" in name or not getattr(sys.modules.get(module), "__file__", None):
        return None
    return f"{module}:{name}{given}"


def load_named(where: str) -> Any:
    """Import and return what "module:name" names.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module has no such name.
    """
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)


def let_speak(subject: Subject, needed: Mapping[str, xr.Dataset]) -> Subject:
    """The subject with the speech that a measurement found, if one of those that are needed did."""
    from harness.subjects.spelling import Speech

    for data in needed.values():
        if "speech" in data.attrs:
            return replace(subject, speech=Speech.from_json(data.attrs["speech"]))
    return subject


def measure_alone(
    experiment: Experiment, subject: Subject, *, trials: int | None = None, seed: int = 0
) -> xr.Dataset:
    """Measure an experiment, and those that it builds on, on a loaded subject, without a store.

    This is for a notebook or a test. A run of the suite measures by way of `harness.measuring.measuring`, with
    the same result.

    Args:
        experiment: From the catalogue, or one's own.
        subject: The model.
        trials: How many for every experiment; each experiment's own number for a subject of that size if None.
        seed: Seed of all stimuli and draws.
    """
    needed = {e.name: measure_alone(e, subject, trials=trials, seed=seed) for e in experiment.needs}
    rng = seed_generator(seed, experiment.name, needs=experiment.draws_apart)
    count = trials or experiment.count_trials(subject.entry.scale)
    request = Request(let_speak(subject, needed), count, rng, needed=needed)
    return experiment.load_measure()(request)
