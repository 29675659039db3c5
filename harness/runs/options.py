"""The options of a run, whoever sets them: pytest, a subcommand, a task on a cluster or a notebook."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.machine.files import ROOT
from harness.reporting.junit import Flavour

Arrangement = Literal["plain", "chat", "prefilled", "auto"]
"""How a subject is asked, see `harness.subjects.arrangement`; "auto" is decided on loading."""


@dataclass(frozen=True)
class Options:
    """What a run is asked to do.

    Attributes:
        subjects: Names or folders; if empty, all that the other options allow.
        family: Architecture of folders, or a filter on the registry.
        gpu: Whether to run on a GPU and include the hub's subjects.
        remote: Where the decoder layers run: "ndif", "local" or a URL; None for here.
        dtype: Precision of folders and of the hub's subjects; None for each one's own. Subjects that ship with
            the project keep theirs, in which their verdicts were found.
        arrangement: How folders and the hub's subjects are asked; None for each one's own, like `dtype`.
        controls: Whether to include the controls.
        gate: Whether to block claims whose task the subject fails; if not, they are judged all the same.
        trials: For every experiment; each experiment's own number if None; "auto" for as many as settle a claim
            (see `harness.statistics.looks`).
        seed: Seed of all stimuli.
        baseline: Name, path, "none", "published", or None for the committed ones of the embedded subjects.
            Controls are always compared with the table of what each must give, unless it is "none".
        partial: Whether a run of some claims passes the gate, for these alone.
        strict: Whether a stage that is carried by other heads than in the baseline fails the gate.
        seal: File of what may be asked, and nothing else; None if that is free.
        scorecard: Folder for the scorecard; None if none is written.
        records: Folder for this run's records, emptied when it begins.
        store: Folder of measurements.
        attention: "sdpa" or "eager".
        photographs: Folder of two-object photographs, for subjects of the paper's scale.
        coco: Folder of COCO 2017 validation images, for the same subjects.
        command: What began the run, as it is typed; stands in the scorecard.
        junit: Flavour of the JUnit file of the scorecard.
    """

    subjects: tuple[str, ...] = ()
    family: str | None = None
    gpu: bool = False
    remote: str | None = None
    dtype: str | None = None
    arrangement: Arrangement | None = None
    controls: bool = False
    gate: bool = True
    trials: int | str | None = None
    seed: int = 0
    baseline: str | None = None
    partial: bool = False
    strict: bool = False
    seal: Path | None = None
    scorecard: Path | None = None
    records: Path = ROOT / "reports" / "runs" / "records"
    store: Path = ROOT / "reports" / "store"
    attention: str = "sdpa"
    photographs: Path = ROOT / "data" / "photographs"
    coco: Path = ROOT / "data" / "coco"
    command: str = ""
    junit: Flavour = "pytest"


def parse_seed(text: str) -> int:
    """Parse the value of --seed.

    Raises:
        ArgumentTypeError: It is not a whole number from 0.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"invalid value {text!r}: give a whole number from 0")
    return int(text)


def parse_trials(text: str) -> int:
    """Parse a number of trials; how few are too few is said where the run is known.

    Raises:
        ArgumentTypeError: It is not a whole number.
    """
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"invalid value {text!r}: give a whole number") from None
