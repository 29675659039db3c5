"""What a run was asked for, whoever asks: pytest, a subcommand, a task of a cluster or a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.machine.files import ROOT


@dataclass(frozen=True)
class Options:
    """What was asked on the command line.

    Attributes:
        subjects: Names or folders; all that fit if empty.
        family: Architecture of folders, or a filter on the registry.
        gpu: Run on a GPU and include the hub's subjects.
        remote: Where the decoder layers run: "ndif", "local" or a URL; None for here.
        dtype: Of folders and of the hub's subjects; None for that of each. What ships with the project keeps
            its own, as its verdicts were found.
        arrangement: How they are asked, in the same way.
        controls: Include the controls.
        gate: Block claims of which the subject fails the task; without it they are asked all the same.
        trials: For every experiment; each experiment's own number if None; "auto" as `sequential` says.
        seed: Of all stimuli.
        baseline: Name, path, "none", or None for the committed ones of the embedded subjects. Controls are
            read against the table of what each must give.
        scorecard: Folder for the scorecard, or None.
        records: Folder for this run's records, emptied when it begins.
        store: Folder of measurements.
        attention: "sdpa" or "eager".
        photographs: Folder of two-object photographs, for subjects that were not trained on drawn solids.
        coco: Folder of COCO 2017 validation images, for the same.
    """

    subjects: tuple[str, ...] = ()
    family: str | None = None
    gpu: bool = False
    remote: str | None = None
    dtype: str | None = None
    arrangement: str | None = None
    controls: bool = False
    gate: bool = True
    trials: int | str | None = None
    seed: int = 0
    baseline: str | None = None
    scorecard: Path | None = None
    records: Path = ROOT / "reports" / "runs" / "records"
    store: Path = ROOT / "reports" / "store"
    attention: str = "sdpa"
    photographs: Path = ROOT / "data" / "photographs"
    coco: Path = ROOT / "data" / "coco"
