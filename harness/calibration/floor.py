"""Measure the noise floor of a subject: run it against itself in ways that change nothing of the model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from harness.calibration.countdown import Countdown
from harness.calibration.runs import Serving, run_side
from harness.machine.memory import free_memory
from harness.measuring.batches import cut_batches, divide_batches
from harness.reporting.floor import SCHEMA, Floor, LogitFloor, add_up_floor
from harness.reporting.sides import Side
from harness.reporting.wording import spell_count
from harness.runs.selection import SHIPPED, apply_asked
from harness.runs.subject_holder import choose_device
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.subjects.loading import load
from harness.subjects.registry import PARTS, Entry, find, read_registry

USUAL = "as usual"

LOGIT_TRIALS = 24
"""Trials of two objects whose logits are compared."""


@dataclass(frozen=True)
class Asked:
    """What a floor is measured of, and how; see `claims floor`.

    Attributes:
        subject: Name or folder.
        claims: Ids of the claims that are judged; all if None.
        seed: The first seed.
        repeats: How many seeds.
        trials: Of every experiment; each experiment's own number if None.
        gate: Whether failing the task blocks a claim.
        gpu: Whether it runs on a GPU.
        dtype: The usual precision of a folder or a model of the hub; its own if None.
        other_dtype: Another one that is tried; on a GPU one is if this is None.
    """

    subject: str
    claims: Collection[str] | None = None
    seed: int = 0
    repeats: int = 3
    trials: int | None = None
    gate: bool = True
    gpu: bool = False
    dtype: str | None = None
    other_dtype: str | None = None

    @property
    def entry(self) -> Entry:
        """The subject as it is usually run."""
        found = find(self.subject, read_registry())
        return found if found.kind in SHIPPED else apply_asked(found, self.dtype, None)

    def list_servings(self) -> list[Serving]:
        """The ways in which it is run, the usual one first.

        Raises:
            ValueError: Another precision is asked of a subject that keeps its own.
        """
        entry = self.entry
        usual = Serving(USUAL, dtype=self.dtype, gpu=self.gpu)
        if entry.kind in SHIPPED and (asked := self.dtype or self.other_dtype):
            way = f" (fixtures/{entry.source})" if entry.weights == "stored" else ""
            raise ValueError(
                f"{asked}: {entry.name} ships with the project and keeps its precision: name its folder{way}"
            )
        ways = [
            usual,
            replace(usual, name="half batches", divisor=2),
            replace(usual, name="eager attention", attention="eager"),
        ]
        other = self.other_dtype
        if self.gpu and entry.kind not in SHIPPED:
            other = other or ("bfloat16" if entry.dtype in ("float32", *PARTS) else "float32")
        return ways + ([replace(usual, name=other, dtype=other)] if other else [])


def measure_floor(asked: Asked, store: Path, work: Path, say: Callable[[str], None]) -> Floor:
    """Measure the noise floor of a subject.

    What is measured is kept, so that the same call goes on after an interruption.

    Args:
        asked: What, and how.
        store: Folder of measurements, shared with `pytest claims`.
        work: Folder for measurements with smaller batches, which have the same names as the usual ones.
        say: Receives a line after each step: a run of the suite, or the comparison of logits.

    Raises:
        ValueError: There are fewer than one seed, or another precision is asked where it cannot be.
        harness.calibration.collecting.SuiteFailed: A claim could not be judged.
    """
    if asked.repeats < 1:
        raise ValueError(f"--repeats {asked.repeats}: at least one seed is needed")
    usual, *others = asked.list_servings()
    parts = [(usual, asked.seed + i) for i in range(asked.repeats)]
    parts += [(serving, asked.seed) for serving in others]
    sides: dict[tuple[str, int], Side] = {}
    say(
        f"{len(parts)} runs of the suite, then logits; what an earlier run has measured is not measured again"
    )
    countdown = Countdown(len(parts) + 1, say)
    for serving, seed in parts:
        sides[serving.name, seed] = run_side(
            [asked.subject],
            claims=asked.claims,
            seed=seed,
            trials=asked.trials,
            gate=asked.gate,
            serving=serving,
            store=store if serving.divisor == 1 else work / "store",
        )
        judged = spell_count(len(sides[serving.name, seed].card.records), "verdict")
        countdown.finish(f"{serving.name}, seed {seed}, {judged}")
    logits = compare_logits(asked.entry, [usual, *others])
    countdown.finish("logits")
    first = sides[usual.name, asked.seed].card
    by_claim = {key: {r.claim: r for r in s.card.records} for key, s in sides.items()}
    run = first.run
    noise = [serving.name for serving in others if serving.dtype == usual.dtype]
    return {
        "schema": SCHEMA,
        "subject": first.subjects[0],
        "family": first.records[0].family,
        "seed": asked.seed,
        "repeats": asked.repeats,
        "trials": asked.trials,
        "gate": asked.gate,
        "stimuli": run.stimuli,
        "device": run.device,
        "dtype": run.dtype,
        "harness": run.harness,
        "noise": noise,
        "logits": logits,
        "claims": add_up_floor(
            [by_claim[usual.name, asked.seed + i] for i in range(asked.repeats)],
            {serving.name: by_claim[serving.name, asked.seed] for serving in others},
            noise,
        ),
    }


def compare_logits(entry: Entry, servings: Sequence[Serving]) -> dict[str, LogitFloor]:
    """Compare the logits at the last token between ways to run a subject.

    Args:
        entry: The subject.
        servings: The ways, the one that the others are compared with first.
    """
    found = {serving.name: read_logits(entry, serving) for serving in servings}
    usual = found[servings[0].name]
    return {s.name: describe_difference(usual, found[s.name]) for s in servings[1:]}


def read_logits(entry: Entry, serving: Serving) -> torch.Tensor:
    """Logits at the last token of some trials, float64 [trials, vocabulary]."""
    # Not earlier: nnsight, which it imports, changes what plugins of pytest that load after it inherit from.
    from harness.tracing.capture import read_last_logits

    asked = replace(entry, dtype=serving.dtype or entry.dtype)
    subject = load(asked, device=choose_device(serving.gpu), attention=serving.attention)
    trials = draw_balanced_trials(
        subject.grids[2], HIGH_ENTROPY[2], LOGIT_TRIALS, np.random.default_rng(0)
    )
    with divide_batches(serving.divisor):
        rows = [
            read_last_logits(subject, subject.encode(trials[cut])).double().cpu()
            for cut in cut_batches(len(trials), LOGIT_TRIALS)
        ]
    del subject
    free_memory()
    return torch.cat(rows)


def describe_difference(usual: torch.Tensor, other: torch.Tensor) -> LogitFloor:
    """Describe how logits differ, [trials, vocabulary] each."""
    moved = (other - usual).abs()
    return {
        "trials": len(usual),
        "largest": float(moved.max()),
        "mean": float(moved.mean()),
        "spread": float(usual.std()),
        "answers": int((usual.argmax(-1) != other.argmax(-1)).sum()),
    }
