"""How likely a run finds the published effects, and how many trials and seconds would make it likely."""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from harness.calibration.effects import ASSUMPTIONS, EFFECTS, Effect
from harness.calibration.spreads import read_spreads
from harness.experiments.catalogue import find_experiment
from harness.judging.claim import Claim
from harness.judging.verdict import Verdict, decide
from harness.machine.files import FIXTURES
from harness.measuring.experiment import Experiment
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, proportion
from harness.statistics.power import WANTED, compute_exact_power, find_trials, simulate_power
from harness.subjects.registry import Entry, read_registry

SECONDS = FIXTURES / "gpu_seconds.toml"

REPEATS = 400
"""Simulated measurements behind a power: its standard error is 0.015 where it is 0.9."""

MOST = 20_000
"""No more trials are tried; more than any experiment can be given in an hour on a GPU."""

UNREACHED: dict[tuple[str, str], str] = {
    ("visual_symbols.4.1.relative_over_absolute", "llava-1.5-7b"): (
        "the paper itself finds little: 0.07, and similarities take memory by the square of the trials"
    ),
    ("visual_symbols.4.1.relative_over_absolute", "llava-1.5-13b"): (
        "the paper itself finds little: 0.10, and similarities take memory by the square of the trials"
    ),
    ("visual_symbols.4.5.accuracy_falls", "qwen2.5-vl-32b"): (
        "0.02 from its threshold; similarities of the same trials take time by their square"
    ),
    ("visual_symbols.4.5.last_token_loses_position", "llava-1.5-7b"): (
        "little to lose; similarities take time by the square of the trials"
    ),
    ("visual_symbols.4.5.less_than_half_is_left", "llava-1.5-7b"): (
        "little to lose; similarities take time by the square of the trials"
    ),
    ("visual_symbols.d.repair", "llava-1.5-7b"): (
        "0.016 from its threshold: more trials than the paper has, ten times those of the other models"
    ),
}
"""Claims and subjects that keep a power below `WANTED` with the trials of the catalogue, and why."""

Points = Sequence[tuple[float, float]]
"""Trials and the seconds that they took, fewest first."""


@dataclass(frozen=True)
class Cell:
    """A claim on a subject whose value is published.

    Attributes:
        claim: The claim.
        entry: The subject.
        effect: What the claim judges.
        experiment: What measures it.
    """

    claim: Claim
    entry: Entry
    effect: Effect
    experiment: Experiment

    @property
    def published(self) -> float:
        """The published value, in the threshold's unit."""
        return self.claim.published[self.entry.name]

    @property
    def threshold(self) -> float:
        """The threshold of this subject."""
        return self.claim.threshold.for_subject(self.entry.name)

    @property
    def within(self) -> bool:
        """Whether the published value itself is not on the claimed side of the threshold."""
        above = self.claim.threshold.direction == "above"
        return not (self.published > self.threshold if above else self.published < self.threshold)

    @property
    def trials(self) -> int:
        """Trials of the experiment on the subject if nobody asks for another number."""
        return self.experiment.count_trials(self.entry.scale)

    def compute_power(self, trials: int) -> float:
        """The chance that the claim is supported if the published value is true.

        Args:
            trials: Of the experiment, of which some choose layers and heads and the others judge.
        """
        judged = self.effect.draw_judged(trials)
        n, base = len(judged.items), self.effect.base.get(self.entry.name, 0.0)
        if self.effect.exact and judged.single:
            return compute_exact_power(
                self.published,
                n,
                lambda count: self._is_supported(
                    proportion([1] * count + [0] * (n - count), range(n))
                ),
            )
        # As many trials of the same cell are always the same simulated measurements.
        seed = zlib.crc32(f"{self.claim.id} {self.entry.name} {trials}".encode())
        return simulate_power(
            lambda rng: self._is_supported(self.effect.draw(self.published, base, judged, rng)),
            repeats=REPEATS,
            seed=seed,
        )

    def find_trials(self) -> int | None:
        """Trials that give a power of `WANTED`; None if none do, or more than `MOST` are needed."""
        if self.within:
            return None
        return find_trials(
            self.compute_power, start=self.trials, least=2 * MINIMUM_CLUSTERS, most=MOST
        )

    def _is_supported(self, estimate: Estimate) -> bool:
        judged = decide(estimate, self.claim.threshold, self.entry.name)
        return judged.verdict is Verdict.supported


@dataclass(frozen=True)
class Row:
    """What is known of one cell; see `Cell`.

    Attributes:
        claim: Id of the claim.
        subject: Name of the subject.
        experiment: Name of the experiment.
        published: The published value.
        threshold: What it is judged against.
        direction: "above" or "below".
        trials: Trials of the experiment by default.
        judged: How many of them judge.
        power: Chance of a supported verdict with them if the published value is true.
        needed: Trials for a power of 0.9; None if no number gives it.
        seconds: Estimated seconds on a GPU with the trials by default; None if not measured.
        seconds_needed: The same with the needed trials.
        note: What else is to be said; "" for nothing.
    """

    claim: str
    subject: str
    experiment: str
    published: float
    threshold: float
    direction: str
    trials: int
    judged: int
    power: float
    needed: int | None
    seconds: float | None
    seconds_needed: float | None
    note: str


@dataclass(frozen=True)
class GpuSeconds:
    """Seconds of experiments on a GPU, as measured at one model's shape.

    Attributes:
        subject: Name of that model.
        machine: The GPU, the dtype and the version of torch.
        parameters: Of that model, in billions.
        points: Trials and seconds of each experiment.
    """

    subject: str
    machine: str
    parameters: float
    points: dict[str, Points]

    def estimate(self, experiment: str, entry: Entry, trials: int) -> float | None:
        """Estimate the seconds of a measurement: a straight line through what was measured, by parameters.

        None if the experiment was not measured, or the subject's parameters are not known.
        """
        points = self.points.get(experiment)
        if not points or not entry.parameters:
            return None
        (first, took), (last, longest) = points[0], points[-1]
        slope = (longest - took) / (last - first) if last > first else took / first
        start = max(0.0, took - slope * first)
        return (start + slope * trials) * entry.parameters / self.parameters


@cache
def read_gpu_seconds() -> GpuSeconds:
    """Read how long experiments take on a GPU; nothing is known if it was not measured."""
    if not SECONDS.exists():
        return GpuSeconds("", "", 1.0, {})
    table = tomllib.loads(SECONDS.read_text())
    points: dict[str, Points] = {
        name: [(n, s) for n, s in found] for name, found in table["seconds"].items()
    }
    return GpuSeconds(table["subject"], table["machine"], table["parameters"], points)


def list_cells(
    claims: Sequence[Claim], *, only: Sequence[str] = (), subjects: Sequence[str] = ()
) -> list[Cell]:
    """Every claim on every subject of the registry whose value is published.

    Args:
        claims: All claims.
        only: Parts of the ids of the claims that are wanted; all if none is given.
        subjects: Names of the subjects that are wanted; all if none is given.

    Raises:
        ValueError: Nothing that has a published value is called so; the message lists what there is.
    """
    published = [c for c in claims if c.published]
    registry = read_registry()
    known = [name for name in registry if any(name in c.published for c in published)]
    for wanted in only:
        if not any(wanted in c.id for c in published):
            there = ", ".join(c.id for c in published)
            raise ValueError(f"no claim with published values has {wanted!r} in its id: {there}")
    for wanted in subjects:
        if wanted not in known:
            raise ValueError(
                f"the paper publishes no value of {wanted!r}; it does of: {', '.join(known)}"
            )
    return [
        Cell(c, registry[name], EFFECTS[c.id], find_experiment(EFFECTS[c.id].experiment))
        for c in published
        if not only or any(wanted in c.id for wanted in only)
        for name in known
        if name in c.published and (not subjects or name in subjects)
    ]


def make_rows(cells: Sequence[Cell]) -> Iterator[Row]:
    """Compute the rows of the table, one after the other."""
    for cell in cells:
        needed = cell.find_trials()
        seconds = [
            read_gpu_seconds().estimate(cell.experiment.name, cell.entry, n) if n else None
            for n in (cell.trials, needed)
        ]
        yield Row(
            claim=cell.claim.id,
            subject=cell.entry.name,
            experiment=cell.experiment.name,
            published=cell.published,
            threshold=cell.threshold,
            direction=cell.claim.threshold.direction,
            trials=cell.trials,
            judged=len(cell.effect.draw_judged(cell.trials).items),
            power=cell.compute_power(cell.trials),
            needed=needed,
            seconds=seconds[0],
            seconds_needed=seconds[1],
            note=explain(cell, needed),
        )


def explain(cell: Cell, needed: int | None) -> str:
    """Say what a power does not: that the value lies within the threshold, or that this asks for nothing."""
    claimed = cell.claim.threshold.direction
    if cell.within:
        return f"the published value is not {claimed} the threshold: it cannot be supported"
    if (reason := UNREACHED.get((cell.claim.id, cell.entry.name))) is not None:
        return f"not reached by default: {reason}"
    if needed is None:
        return f"{MOST} trials do not give a power of {WANTED}"
    return ""


def list_notes() -> list[str]:
    """What all powers rest on, and how the seconds were obtained."""
    spreads = read_spreads()._asdict()
    lines = [
        "power: the chance of `supported` if the published value is true, with the interval of the claim "
        "alone, not corrected over claims. Assumed, where no paper prints it:",
        *(f"- {text.format(**spreads)}" for text in ASSUMPTIONS),
    ]
    known = read_gpu_seconds()
    said = (
        f"seconds: measured with random weights at the shape of {known.subject} on {known.machine}; for other "
        "numbers of trials along a line, for other models by their parameters: estimates, without loading and "
        "without the measurement of mediation that most experiments build on."
        if known.points
        else "seconds: not measured; benchmarks/gpu_seconds.py does, on a GPU."
    )
    return [*lines, said]
