"""Time every experiment at the shape of Qwen2-VL-7B with random weights; `claims power` tells seconds by it.

    python benchmarks/gpu_seconds.py --device cuda --json gpu_seconds.json --toml fixtures/gpu_seconds.toml
    python benchmarks/gpu_seconds.py --tiny

No network and no checkpoint are needed. Random weights answer nothing right, so what is only done after right
answers is done all the same: no gate, every answer right, every image listed. They end no answer either, so
counts end after as many tokens as a list of eight objects takes.

Each experiment is measured on few trials, and again on more of them, at most its own number, as long as that
fits into --limit. Of counting four batches are timed, and the seconds multiplied. Files are written after each
experiment, so that what was measured is not lost if the machine is.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from mediation import machine
from shapes import TINY, shaped

from harness.experiments.catalogue import EXPERIMENTS, MEDIATION
from harness.experiments.naming import Named
from harness.machine.memory import clear_frames, free_memory
from harness.machine.placement import count_threads
from harness.measuring.experiment import Experiment, Request
from harness.measuring.seeding import seed_generator
from harness.stimuli.prompt import Trial
from harness.subjects.registry import BYTES
from harness.subjects.subject import Subject

PUBLISHED = "qwen2-vl-7b"
SMALLEST = 48
"""Trials of the first measurement: fewer leave halves without enough scenes, or `listing` without lists."""

COUNTED = 32
"""Trials of counting: as many as it writes at once, so that time goes by whole batches of them."""

WRITTEN = 100
"""Tokens of a count: a list of eight objects and the number, which random weights would never end."""

BATCHES = 16
"""How many times as many batches counting asks as are timed.

Of 120 trials there are four batches for each of ten sets of heads, and one for each of 24 sets of random heads,
64 in all. Timed is one batch for each of four sets.
"""

TEMPLATE = """\
{%- for turn in messages -%}
{{ turn.role }}{% for part in turn.content -%}
{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>
{%- else -%}{{ part.text }}{%- endif -%}{%- endfor -%}{%- endfor -%}
{%- if add_generation_prompt -%}assistant{% endif -%}
"""
"""A chat for `arrangements`, which has nothing to compare where a tokenizer knows none."""

LAST = ("counting", "retrieval_variants")
"""Measured last: one takes long, the other holds a second copy of the weights."""

HEAD = """\
# Seconds that each experiment takes at the shape of {subject} with random weights: [trials, seconds].
# `claims power` draws a line through them, and scales it to other models by their parameters. Made by:
# python benchmarks/gpu_seconds.py --device cuda --toml fixtures/gpu_seconds.toml
"""


VISUAL = "harness.experiments.visual_symbols"


def name_right(found: Callable[..., Any]) -> Callable[..., Any]:
    """Let objects be named as `found` does, and take the right ones for its answers."""

    def name(subject: Subject, trials: Sequence[Trial], edits: Any = None) -> list[Named]:
        found(subject, trials, edits)
        return [Named(t.target.color, t.target.shape) for t in trials]

    return name


def capture_right(found: Callable[..., Any]) -> Callable[..., Any]:
    """Capture as `found` does, and take the right answers for those that were given."""

    def capture(subject: Subject, trials: Sequence[Trial], kind: Any) -> Any:
        values, _ = found(subject, trials, kind)
        return values, np.array([t.answer for t in trials])

    return capture


def keep_all(found: Callable[..., Any]) -> Callable[..., Any]:
    """Ask as `found` does, and keep every contrast."""

    def keep(subject: Subject, pairs: list[Any]) -> list[Any]:
        found(subject, pairs)
        return pairs

    return keep


def keep_all_lists(found: Callable[..., Any]) -> Callable[..., Any]:
    """Ask for the second entries as `found` does, and keep a list of every image."""
    listing = importlib.import_module(f"{VISUAL}.listing")

    def keep(subject: Subject, asked: Sequence[Trial], firsts: Sequence[str]) -> list[Any]:
        made = [listing.MadeList(trial, "red circle") for trial in asked]
        listing._write_entries(subject, [x.asked_second for x in made])
        return made

    return keep


def count_right(found: Callable[..., Any]) -> Callable[..., Any]:
    """Count as `found` does, and take every count for right."""

    def count(subject: Subject, trials: Sequence[Trial], heads: Any) -> Any:
        return replace(found(subject, trials, heads), right=np.ones(len(trials), bool))

    return count


class NoRandomHeads:
    """Stands for the random heads of counting, whose batches are counted and not timed."""

    def __init__(self, trials: int) -> None:
        self.draws = np.zeros(trials, np.int64)
        self.fewest = 0

    @classmethod
    def deal(cls, heads: Any, others: Any, scenes: Sequence[str], rng: Any) -> NoRandomHeads:
        """Deal none."""
        return cls(len(scenes))

    def ask(self, items: Sequence[Any], answer: Any) -> Any:
        """Ask nothing."""
        return np.zeros(len(items), bool)


def do_all_work() -> None:
    """Let experiments do what they do only after right answers; of counting, the best heads alone."""
    wrapped = {
        "repair": {"name_objects": name_right},
        "degrade": {"capture_with_answers": capture_right},
        "through_selection": {"_keep_right": keep_all},
        "listing": {"_keep_lists": keep_all_lists},
        "counting": {"_count_without": count_right},
    }
    for name, changes in wrapped.items():
        module = importlib.import_module(f"{VISUAL}.{name}")
        for what, make in changes.items():
            setattr(module, what, make(getattr(module, what)))
    counting = importlib.import_module(f"{VISUAL}.counting")
    for what, value in (
        ("ORDERS", ("top",)),
        ("RandomHeads", NoRandomHeads),
        ("TOKENS", WRITTEN),
    ):
        if not hasattr(counting, what):
            raise AttributeError(f"counting has no {what} any more: adapt this benchmark")
        setattr(counting, what, value)


def time_once(
    experiment: Experiment, subject: Subject, trials: int, needed: dict[str, xr.Dataset]
) -> tuple[float, xr.Dataset]:
    """Seconds of one measurement without a gate, and the measurement."""
    measure = experiment.load_measure(gate=False)
    rng = seed_generator(0, experiment.name, needs=experiment.draws_apart)
    _wait(subject)
    begun = time.perf_counter()
    data = measure(Request(subject, trials, rng, needed=needed))
    _wait(subject)
    return time.perf_counter() - begun, data


def choose_trials(first: int, seconds: float, whole: int, limit: float) -> int | None:
    """Choose how many trials are measured the second time: as many as the limit allows, at least half more.

    None if that is not possible.
    """
    fit = int(first * limit / max(seconds, 1e-9))
    second = min(whole, fit)
    return second if second >= 1.5 * first else None


def time_experiment(
    experiment: Experiment, subject: Subject, needed: dict[str, xr.Dataset], limit: float
) -> tuple[list[dict[str, float]], xr.Dataset]:
    """Seconds on few trials, and on more if they fit, and the last measurement."""
    if experiment.name == "counting":
        seconds, data = time_once(experiment, subject, COUNTED, needed)
        return [{"trials": experiment.trials, "seconds": BATCHES * seconds}], data
    first = min(SMALLEST, experiment.trials)
    seconds, data = time_once(experiment, subject, first, needed)
    points = [{"trials": first, "seconds": seconds}]
    second = choose_trials(first, seconds, experiment.count_trials("paper"), limit)
    if second is not None:
        seconds, data = time_once(experiment, subject, second, needed)
        points.append({"trials": second, "seconds": seconds})
    return points, data


def _wait(subject: Subject) -> None:
    if subject.device.type == "cuda":
        torch.cuda.synchronize(subject.device)


def list_in_order() -> list[Experiment]:
    """All experiments, mediation first, which most of them build on, and those of LAST at the end."""
    rest = [e for e in EXPERIMENTS if e is not MEDIATION]
    return [MEDIATION, *sorted(rest, key=lambda e: LAST.index(e.name) if e.name in LAST else -1)]


def measure_all(
    subject: Subject, limit: float, names: Sequence[str], save: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Time all experiments, or those of the given names and mediation; a failure does not stop the others."""
    do_all_work()
    found: dict[str, Any] = {
        "subject": subject.name,
        "parameters": sum(p.numel() for p in subject.model.parameters()) / 1e9,
        "machine": machine(subject),
        "experiments": {},
        "failed": {},
    }
    needed: dict[str, xr.Dataset] = {}
    # Kernels are chosen and loaded in the first run, which no later one pays for.
    behaviour = next(e for e in EXPERIMENTS if e.name == "behaviour")
    time_once(behaviour, subject, 8, needed)
    for experiment in list_in_order():
        if names and experiment.name not in (*names, MEDIATION.name):
            continue
        try:
            points, data = time_experiment(experiment, subject, needed, limit)
        except Exception as error:
            clear_frames(error)
            found["failed"][experiment.name] = f"{type(error).__name__}: {error}".splitlines()[0]
            traceback.print_exception(error)
            free_memory()
        else:
            if experiment is MEDIATION:
                needed = {MEDIATION.name: data}
            found["experiments"][experiment.name] = points
            said = ", ".join(f"{p['trials']} trials in {p['seconds']:.2f} s" for p in points)
            print(f"{experiment.name}: {said}", flush=True)
        save(found)
    return found


def write_toml(found: dict[str, Any]) -> str:
    """The figures as the data file that `claims power` reads."""
    where = found["machine"]
    said = f"{where['device']}, {where['dtype']}, torch {where['torch']}, {where['date']}"
    lines = [
        HEAD.format(subject=found["subject"]),
        f'subject = "{found["subject"]}"',
        f'machine = "{said}"',
        f"parameters = {found['parameters']:.3f}",
        "",
        "[seconds]",
    ]
    for name, points in found["experiments"].items():
        pairs = ", ".join(f"[{p['trials']}, {p['seconds']:.3g}]" for p in points)
        lines.append(f"{name} = [{pairs}]")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if an experiment failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--dtype", choices=list(BYTES), default="exact", help="default: that of the registry"
    )
    parser.add_argument("--tiny", action="store_true", help="few layers, to try this on a CPU")
    parser.add_argument(
        "--limit", type=float, default=25.0, help="seconds of a second measurement at most (25)"
    )
    parser.add_argument("--experiment", action="append", default=[], help="only this one")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument(
        "--toml", type=Path, help="file for the figures as `claims power` reads them"
    )
    options = parser.parse_args(argv)
    torch.set_num_threads(count_threads())
    subject = shaped(
        TINY if options.tiny else PUBLISHED,
        device=options.device,
        dtype=options.dtype,
    )

    def save(found: dict[str, Any]) -> None:
        if options.json:
            options.json.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
        if options.toml:
            options.toml.write_text(write_toml(found))

    subject.tokenizer.chat_template = TEMPLATE
    begun = time.perf_counter()
    found = measure_all(subject, options.limit, options.experiment, save)
    print(f"{len(found['experiments'])} experiments in {time.perf_counter() - begun:.0f} s")
    for name, reason in found["failed"].items():
        print(f"{name} failed: {reason}", file=sys.stderr)
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
