"""Every experiment, one line each: to add one, write what measures it, what reads it, and its line here.

`_symbols("keys", "Keys", 160, "color of a shape", needs=HEADS)` says that `measure` in
`harness/experiments/visual_symbols/keys.py` measures 160 trials, that `Keys` in
`harness/readings/visual_symbols/keys.py` reads them, which task a subject must do, and that the experiment
builds on the heads that mediation found. The fixture `keys` of the claims exists by that alone. Nothing that
measures or reads is imported before it is used.

`paper_trials` are for subjects of the paper's size: `claims power` computes what the smallest published effects
need, and `tests/calibration/test_power.py` holds the numbers to it. Where an experiment asks such subjects on
the user's images, that many images are used. Embedded subjects keep fewer, so that a run takes minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TypedDict, Unpack

from harness.experiments.tasks import SETS, TASKS
from harness.measuring.experiment import Experiment


class _Facts(TypedDict, total=False):
    """What a line of the catalogue may say besides, see `Experiment`."""

    paper_trials: int
    least: float
    needs: tuple[Experiment, ...]
    looks: bool
    own_images: str


SPELLING = Experiment(
    "spelling",
    "harness.experiments.spelling:measure",
    48,
    reading="harness.readings.spelling:Spelling",
    looks=False,
    settles=True,
)
"""How the subject writes its answers; every other experiment reads them in that spelling."""


def _declare(
    paper: str,
    file: str,
    reading: str,
    trials: int,
    requires: str | None = None,
    *,
    name: str = "",
    measure: str = "measure",
    ungated: str = "",
    **facts: Unpack[_Facts],
) -> Experiment:
    """An experiment that is measured and read by files at the same place in `experiments` and in `readings`."""
    module = f"harness.experiments.{paper}.{file}"
    facts["needs"] = (SPELLING, *facts.get("needs", ()))
    return Experiment(
        name or file,
        f"{module}:{measure}",
        trials,
        reading=f"harness.readings.{paper}.{file}:{reading}" if reading else "",
        requires=requires,
        ungated=f"{module}:{ungated}" if ungated else None,
        **facts,
    )


_symbols = partial(_declare, "visual_symbols")
_reproduction = partial(_declare, "reproduction")
_dual = partial(_declare, "dual_mechanisms", least=0.80)

BEHAVIOUR = _symbols("behaviour", "Behaviour", 200, looks=False)
READINESS = _symbols(
    "behaviour", "Behaviour", 48, name="readiness", measure="measure_tasks", looks=False
)
"""Asked before anything expensive is measured: a claim is blocked where its task is failed."""

MEDIATION = _symbols(
    "mediation",
    "Mediation",
    50,
    "two objects",
    paper_trials=170,
    ungated="measure_ungated",
    looks=False,
)
HEADS = (MEDIATION,)
"""Needed by all experiments that edit the heads of a stage."""

_SHAPES, _SQUARES, _SOLIDS = (f"row question, {s}" for s in ("shapes", "squares", "solids"))
LAST_TOKEN = _dual("last_token", "LastToken", 96, _SHAPES, paper_trials=480, looks=False)
LAST_TOKEN_SQUARES = _dual(
    "last_token",
    "LastToken",
    160,
    _SQUARES,
    paper_trials=480,
    name="last_token_squares",
    measure="measure_squares",
    looks=False,
)
"""With what the last token holds at which slot, exchanges of image tokens are compared.

A claim judges half of the pairs of one direction alone, an eighth of all.
"""

TAKEN = ("judge", "entry", "request")
"""Fixtures that are no experiment's."""

EXPERIMENTS: tuple[Experiment, ...] = (
    SPELLING,
    BEHAVIOUR,
    READINESS,
    _symbols("similarity", "Similarity", 288, "four objects, 2x2", paper_trials=440),
    _symbols("components", "Components", 432, "six objects, outer columns"),
    MEDIATION,
    _symbols("blocks", "Blocks", 384, "block of four", paper_trials=600),
    _symbols("transplant", "Transplant", 180, "block of four", paper_trials=700, needs=HEADS),
    # The paper has 200 photographs, and Qwen2.5-VL-32B's feature heads come closest to their threshold.
    _symbols(
        "steering",
        "Steering",
        142,
        "two solids",
        paper_trials=560,
        needs=HEADS,
        own_images="photographs",
    ),
    _symbols(
        "steering",
        "Steering",
        142,
        "side by side",
        needs=HEADS,
        name="steering_drawn",
        measure="measure_drawn",
    ),
    _symbols("keys", "Keys", 160, "color of a shape", paper_trials=200, needs=HEADS),
    # A quarter is twice what naming any other of eight objects gives; the paper improves subjects from 0.52 on.
    _symbols("reuse", "Reuse", 216, "directly beside", paper_trials=320, least=0.25, needs=HEADS),
    _symbols("entropy", "Entropy", 160, "nine objects", paper_trials=260),
    _symbols("degrade", "Degrade", 180, "nine objects", needs=HEADS),
    _symbols("through_selection", "ThroughSelection", 96, "two objects", needs=HEADS),
    _symbols("blank", "Blank", 96, "nine objects"),
    # These two tell by their own answers, in the subject's own words, whether it does the task.
    # Half of the images of lists are sources: a mean over hundreds of objects is free of content (E10).
    _symbols("listing", "Listing", 160, paper_trials=1000, needs=HEADS, own_images="coco"),
    # A claim asks for 0.70 with heads silenced, which a subject that counts no better as it is could not give.
    _symbols("counting", "Counting", 120, least=0.85, needs=HEADS),
    _symbols("repair", "Repair", 144, "nine objects", paper_trials=560, needs=HEADS),
    _reproduction("retrieval_variants", "RetrievalVariants", 96, "two objects", needs=HEADS),
    _reproduction("similarity_variants", "SimilarityVariants", 100, "four objects, 2x2"),
    _reproduction("arrangements", "Arrangements", 100),
)

DRAFTS: tuple[Experiment, ...] = (
    # The paper keeps 50 pairs of each direction, and asks all 480 questions where it removes the ordering.
    LAST_TOKEN,
    LAST_TOKEN_SQUARES,
    _dual("probes", "Probes", 96, paper_trials=480),
    _dual(
        "probes", "Probes", 96, paper_trials=480, name="probes_squares", measure="measure_squares"
    ),
    _dual("swaps", "Swaps", 96, _SHAPES, paper_trials=480, needs=(LAST_TOKEN,)),
    _dual(
        "swaps",
        "Swaps",
        96,
        _SQUARES,
        paper_trials=480,
        needs=(LAST_TOKEN_SQUARES,),
        name="swaps_squares",
        measure="measure_squares",
    ),
    _dual(
        "swaps",
        "Swaps",
        96,
        _SOLIDS,
        paper_trials=480,
        needs=(LAST_TOKEN,),
        name="swaps_solids",
        measure="measure_solids",
    ),
    _dual("removal", "Removal", 160, _SHAPES, paper_trials=480),
    _dual(
        "removal",
        "Removal",
        160,
        _SQUARES,
        paper_trials=480,
        name="removal_squares",
        measure="measure_squares",
    ),
    _dual(
        "removal",
        "Removal",
        160,
        _SOLIDS,
        paper_trials=480,
        name="removal_solids",
        measure="measure_solids",
    ),
    # Of these pairs only those are kept that are still answered right without the ordering: 13 to 50 of 50.
    _dual("backup", "Backup", 96, _SHAPES, paper_trials=480),
    _dual(
        "backup",
        "Backup",
        96,
        _SQUARES,
        paper_trials=480,
        name="backup_squares",
        measure="measure_squares",
    ),
)
"""Experiments of the second paper, whose claims are drafts (claims/dual_mechanisms).

Each has a fixture, and no run measures one by itself.
"""


def check_catalogue(experiments: Iterable[Experiment]) -> None:
    """Refuse a catalogue with mistakes that would else be found only where a claim uses them.

    Raises:
        ValueError: A name occurs twice or is another fixture's, or nobody knows the task that is required.
    """
    seen: set[str] = set()
    for experiment in experiments:
        name, task = experiment.name, experiment.requires
        if name in seen or name in TAKEN:
            raise ValueError(f"{name!r} cannot be the name of an experiment: it is taken")
        if task is not None and task not in (*SETS, *TASKS):
            known = ", ".join((*SETS, *TASKS))
            raise ValueError(f"{name} requires {task!r}, and the tasks are: {known}")
        seen.add(name)


check_catalogue((*EXPERIMENTS, *DRAFTS))


def find_experiment(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        LookupError: There is none; the message lists what there is.
    """
    known = {experiment.name: experiment for experiment in (*EXPERIMENTS, *DRAFTS)}
    if name not in known:
        raise LookupError(f"unknown experiment {name!r}; there are: {', '.join(known)}")
    return known[name]


def find_gate(experiment: Experiment) -> Experiment | None:
    """The experiment that measures whether a subject does the task that the given one requires.

    Returns:
        None if it requires no task.

    Raises:
        LookupError: There is no such task; the message lists the tasks.
    """
    task = experiment.requires
    if task is None:
        return None
    check_catalogue([experiment])
    return READINESS if task in TASKS else BEHAVIOUR


def list_measured(
    experiment: Experiment, *, gate: bool = True, blocked: bool = False
) -> list[Experiment]:
    """Every experiment that is measured for one: that of its task first, then those it needs, then itself.

    Before each stands what it needs in turn.

    Args:
        experiment: From the catalogue.
        gate: Whether subjects that fail the task are blocked.
        blocked: Whether the subject fails the task, so that nothing but the task is measured.
    """
    asked = find_gate(experiment) if gate else None
    wanted = [asked] if asked else []
    # Where the measurement itself tells whether the subject does the task, nothing comes before it.
    if not (blocked and asked):
        wanted += [*experiment.needs, experiment]
    return list(dict.fromkeys(e for one in wanted for e in (*one.needs, one)))
