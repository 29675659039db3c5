"""A notebook's way in: load a subject, measure an experiment, read it, draw it and judge a claim, without
pytest.

What is measured here is kept in the store and named as pytest names it, so that neither measures again what
the other has. docs/notebook.md has the ten lines.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from harness.experiments.catalogue import find_experiment, find_gate
from harness.judging.claim import Claim
from harness.judging.record import Record
from harness.judging.verdict import Judgement, Verdict, decide
from harness.measuring.experiment import Experiment
from harness.readings.reading import Reading
from harness.readings.visual_symbols.behaviour import Behaviour
from harness.reporting import notebook
from harness.reporting.notebook import Drawing
from harness.runs.claim_functions import find_claim
from harness.runs.options import Arrangement, Options
from harness.runs.run import Run
from harness.runs.tasks import tell_failed_task
from harness.statistics.estimate import Estimate
from harness.subjects.registry import Entry

if TYPE_CHECKING:
    import pandas as pd


def open_subject(
    subject: str,
    *,
    trials: int | None = None,
    seed: int = 0,
    gpu: bool = False,
    dtype: str | None = None,
    arrangement: Arrangement | None = None,
    store: str | Path | None = None,
    say: Callable[[str], None] = print,
) -> OpenSubject:
    """Open a subject to measure it; it is loaded when something is to be measured that the store has not.

    Args:
        subject: A name of the registry, such as "tiny-llava", or a folder with a checkpoint.
        trials: For every experiment; each experiment's own number if None.
        seed: Seed of all stimuli and draws.
        gpu: Whether to run on a GPU.
        dtype: Precision of a folder or a model of the hub; its own if None.
        arrangement: How a folder or a model of the hub is asked; its own if None.
        store: Folder of measurements; that of pytest if None.
        say: Is called with lines of progress.

    Raises:
        harness.runs.baselines.BadOption: There is no such subject, or it cannot be measured like this.
    """
    options = Options(
        subjects=(str(subject),),
        gpu=gpu,
        dtype=dtype,
        arrangement=arrangement,
        trials=trials,
        seed=seed,
        baseline="none",
        store=Options.store if store is None else Path(store),
    )
    run = Run(options, say)
    return OpenSubject(run, run.entries[0])


@dataclass(frozen=True)
class OpenSubject:
    """A subject that can be measured.

    Attributes:
        run: Measures, and keeps what was measured.
        entry: The subject, as the registry describes it.
    """

    run: Run = field(repr=False)
    entry: Entry

    @property
    def name(self) -> str:
        """The subject's name."""
        return self.entry.name

    def measure(self, experiment: str | Experiment) -> Measurement:
        """Measure an experiment, and whatever it builds on, or take it from the store.

        Args:
            experiment: Its name in `harness.experiments.catalogue`, or one's own.

        Raises:
            LookupError: There is no experiment of that name; the message lists those that there are.
            harness.subjects.registry.Refused: It cannot be measured on this subject.
            harness.stimuli.photographs.NoData: It needs images that are not here.
        """
        chosen = find_experiment(experiment) if isinstance(experiment, str) else experiment
        asked = chosen
        if chosen.own_images and self.entry.scale != "embedded":
            asked = chosen.on_images(getattr(self.run.options, chosen.own_images))
        found = self.run.measure(asked, self.entry)
        return Measurement(self, chosen, found.data, found.key)

    def judge(self, claim: str) -> Judged:
        """Judge a claim of the suite on this subject, as pytest does, but for the correction over all claims.

        Args:
            claim: Its id, such as "visual_symbols.3.3.position_at_last", or the end of one.

        Raises:
            LookupError: There is no such claim, or there are several.
        """
        stated, function = find_claim(claim)
        names = [n for n in inspect.signature(function).parameters if n != "judge"]
        for name in names:
            if reason := self._find_failed_task(find_experiment(name)):
                return self._conclude(stated, Judgement(Verdict.blocked, reason), None, None)
        readings: dict[str, Reading] = {}
        for name in names:
            measurement = self.measure(name)
            key, readings[name] = measurement.key, measurement.reading
            accuracy = readings[name].task_accuracy()
            if accuracy is not None:
                reason = tell_failed_task(measurement.experiment, name, accuracy, self.name)
                if reason:
                    return self._conclude(stated, Judgement(Verdict.blocked, reason), None, key)
        asked = _Asked(self.entry)
        function(**readings, judge=asked)
        estimate = asked.estimate
        if estimate is None:
            raise LookupError(f"{stated.id} gave no estimate to judge")
        judgement = decide(estimate, stated.threshold, self.name)
        return self._conclude(stated, judgement, estimate, key)

    def _find_failed_task(self, experiment: Experiment) -> str:
        """Why the subject does not do the task that an experiment requires; "" if it may."""
        gate, task = find_gate(experiment), experiment.requires
        if gate is None or task is None:
            return ""
        accuracy = Behaviour(self.run.measure(gate, self.entry).data).accuracy(task)
        return tell_failed_task(experiment, task, accuracy, self.name)

    def _conclude(
        self, claim: Claim, judgement: Judgement, estimate: Estimate | None, key: str | None
    ) -> Judged:
        record = Record.of(
            claim,
            subject=self.name,
            family=self.entry.family,
            judgement=judgement,
            estimate=estimate,
            seed=self.run.options.seed,
            measurement=key,
        )
        return Judged(record, estimate)

    def __repr__(self) -> str:
        return notebook.to_text(f"{self.name}, open to be measured", self._describe())

    def _repr_html_(self) -> str:
        return notebook.to_html(f"{self.name}, open to be measured", self._describe())

    def _describe(self) -> dict[str, str]:
        entry, options = self.entry, self.run.options
        return {
            "family": entry.family,
            "source": entry.source,
            "dtype": entry.dtype,
            "arrangement": entry.arrangement,
            "trials": str(options.trials or "each experiment's own number"),
            "seed": str(options.seed),
        }


@dataclass(frozen=True)
class Measurement:
    """What an experiment measured on a subject.

    Attributes:
        subject: The subject.
        experiment: The experiment.
        data: Labelled arrays; their attributes say how they were made.
        key: The measurement's name in the store.
    """

    subject: OpenSubject = field(repr=False)
    experiment: Experiment
    data: xr.Dataset
    key: str

    @cached_property
    def reading(self) -> Any:
        """The class of `harness.readings` that turns these arrays into estimates, with this measurement.

        Raises:
            LookupError: No claim reads this experiment.
        """
        return self.experiment.load_reading()(self.data)

    def figure(self) -> Drawing:
        """The figure of the measurement, as on the page of a scorecard.

        Raises:
            LookupError: No figure is made of this experiment.
        """
        return notebook.draw(self.data, self.subject.name)

    def frame(self, *names: str) -> pd.DataFrame:
        """Variables of the measurement as a table: one row for each place in their arrays.

        Args:
            names: Variables that have the same dimensions; if none is named, those that have one value for each
                trial, or where there are none the first variable and those of its dimensions.

        Returns:
            A column for each dimension, each coordinate along them, and each variable.

        Raises:
            KeyError: There is no such variable.
        """
        chosen = list(names)
        if not chosen:
            first = ("trial",) if any(v.dims == ("trial",) for v in self.data.values()) else None
            wanted = first or next(iter(self.data.values())).dims
            chosen = [str(name) for name, v in self.data.items() if v.dims == wanted]
        table: pd.DataFrame = self.data[chosen].to_dataframe().reset_index()
        return table

    def __repr__(self) -> str:
        return notebook.to_text(self._title(), self._describe())

    def _repr_html_(self) -> str:
        return notebook.to_html(self._title(), self._describe()) + self.data._repr_html_()

    def _title(self) -> str:
        return f"{self.experiment.name} on {self.subject.name}"

    def _describe(self) -> dict[str, str]:
        reading = self.experiment.reading.rpartition(":")[2]
        sizes = ", ".join(f"{name} {size}" for name, size in self.data.sizes.items())
        told = {
            "variables": ", ".join(map(str, self.data)),
            "sizes": sizes,
            "reading": f"{reading}: {', '.join(list_estimates(self.reading))}" if reading else "",
            "key": self.key,
        }
        return {name: text for name, text in told.items() if text}


@dataclass(frozen=True)
class Judged:
    """A verdict on one claim, with the estimate that it rests on.

    Attributes:
        record: The verdict with all that it rests on, as it would stand in a scorecard. It is not corrected
        over
            the claims of a paper: a run of all claims can turn a supported one into an inconclusive one.
        estimate: What was judged; None if the claim was blocked.
    """

    record: Record
    estimate: Estimate | None

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return self.record.verdict

    def __repr__(self) -> str:
        return notebook.to_text(self.record.claim, notebook.describe_record(self.record))

    def _repr_html_(self) -> str:
        return notebook.to_html(self.record.claim, notebook.describe_record(self.record))


class _Asked:
    """What a claim is given as `judge`: it keeps the estimate, and does not end a test."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.estimate: Estimate | None = None

    def __call__(self, estimate: Estimate) -> None:
        self.estimate = estimate


def list_estimates(reading: Reading) -> list[str]:
    """Names of the public methods of a reading, most of which give an estimate."""
    own = [n for n, _ in inspect.getmembers(type(reading), inspect.isfunction)]
    return [n for n in own if not n.startswith("_") and n != "task_accuracy"]
