"""How fast replays give the mediation scores of all heads, as ratios within one run.

    python benchmarks/mediation.py --subject tiny-llava --trials 50 --json out.json

Four ways to the same scores, on the same trials: (a) one nnsight trace per head and trial, which is what the
public reproduction does, (b) one run with a plain torch hook per head and trial, (c) one such run per layer and
trial, with its heads as rows, (d) replay. The scores must agree. Without a GPU (a) to (c) take some minutes for
50 trials; --sample N times N heads of each layer and scales what they took, and --few N does so for N trials;
the JSON says so. Operations are counted from shapes (`flops`), so that any attention can be timed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flops import counted
from shapes import SHAPES, shaped
from ways import Heads, OneByOne, drawn, replayed

from harness.machine.placement import count_threads
from harness.stimuli.contrast import CONDITIONS
from harness.subjects.loading import load
from harness.subjects.registry import Refused, find, read_registry
from harness.subjects.subject import Subject

PACKAGES = ("torch", "transformers", "nnsight")
"""Packages whose versions are told: what runs here, and what is compared."""

AGREE = 1e-5
"""Scores of two ways may differ by this in float32; in other dtypes they are rounded more and only reported."""


def measure(
    subject: Subject,
    trials: int,
    *,
    repeats: int,
    sample: int | None,
    few: int | None,
    seed: int,
) -> dict:
    """Time the four ways on all conditions.

    Args:
        subject: The model.
        trials: Contrasts of each condition.
        repeats: Of the replay, whose median counts.
        sample: Heads of each layer that (a) to (c) run; all if None.
        few: Contrasts that (a) to (c) run; all if None.
        seed: Of the contrasts and of the sample.

    Returns:
        What the JSON file holds.
    """
    rng = np.random.default_rng(seed)
    of_layer = [
        rng.permutation(subject.heads)[: sample or subject.heads] for _ in range(subject.layers)
    ]
    heads: Heads = [
        (layer, int(h)) for layer, chosen in enumerate(of_layer) for h in sorted(chosen)
    ]
    # Each trial is run twice more, once without a patch and once on the counterfactual.
    runs = subject.layers * subject.heads + 2
    few = min(few or trials, trials)
    share = (len(heads) + 2) / runs * few / trials
    seconds = dict.fromkeys(("nnsight", "hooks", "rows", "replay"), 0.0)
    tokens = {"naive": 0, "replay": 0}
    by_condition, flops, needed, worst = {}, 0, 0, 0.0
    for condition in CONDITIONS:
        pairs = drawn(subject, condition, trials, seed)
        ours = replayed(subject, pairs)
        chosen = ours[:few, [layer for layer, _ in heads], [head for _, head in heads]]
        took = statistics.median(
            _timed(subject, replayed, subject, pairs)[0] for _ in range(repeats)
        )
        with counted(subject) as count:
            replayed(subject, pairs)
        one, spent = OneByOne(subject, pairs[:few]), {"replay": took}
        off = 0.0
        for name, way in (("hooks", one.hooked), ("nnsight", one.traced), ("rows", one.rowed)):
            _timed(subject, way, heads[:1])
            spent[name], theirs = _timed(subject, way, heads)
            spent[name] /= share
            off = max(off, float(np.abs(chosen - theirs).max()))
        naive = sum(c.input_ids.numel() for c, _ in one.sides) * subject.layers * runs
        tokens["naive"] += naive * trials // few
        tokens["replay"] += count.token_layers
        flops, needed, worst = flops + count.done, needed + count.needed, max(worst, off)
        for name, value in spent.items():
            seconds[name] += value
        by_condition[condition] = {"seconds": spent, "max_difference": off}
        print(
            f"{condition}: nnsight {spent['nnsight']:.2f} s, hooks {spent['hooks']:.2f} s, heads as rows "
            f"{spent['rows']:.2f} s, replay {took:.3f} s ({spent['nnsight'] / took:.0f}, "
            f"{spent['hooks'] / took:.0f} and {spent['rows'] / took:.0f} times faster), largest "
            f"difference {off:.1e}",
            flush=True,
        )
    ceiling = matmul_ceiling(subject)
    return {
        "ratio_nnsight": seconds["nnsight"] / seconds["replay"],
        "ratio_hooks": seconds["hooks"] / seconds["replay"],
        "ratio_rows": seconds["rows"] / seconds["replay"],
        "max_difference": worst,
        "token_layers": tokens,
        "seconds": seconds,
        "share_of_ceiling": flops / seconds["replay"] / ceiling,
        "flops": flops,
        "flops_needed": needed,
        "ceiling_flops_per_second": ceiling,
        "heads_timed": len(heads),
        "heads": subject.layers * subject.heads,
        "trials": trials,
        "trials_timed": few,
        "seed": seed,
        "conditions": by_condition,
        "machine": machine(subject),
    }


def _timed(subject: Subject, way: Callable[..., Any], *given: Any) -> tuple[float, Any]:
    _wait(subject.device)
    begun = time.perf_counter()
    found = way(*given)
    _wait(subject.device)
    return time.perf_counter() - begun, found


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_ceiling(subject: Subject) -> float:
    """FLOP/s of the best of some square matrix products in the subject's dtype on its device."""
    best = 0.0
    sizes = (512, 1024, 2048) if subject.device.type == "cpu" else (4096, 8192)
    for size in sizes:
        a = torch.randn(size, size, dtype=subject.model.dtype, device=subject.device)
        took = min(_timed(subject, torch.matmul, a, a)[0] for _ in range(8))
        best = max(best, 2 * size**3 / took)
    return best


def machine(subject: Subject) -> dict[str, Any]:
    """Where this was measured, and when."""
    return {
        **machine_of(subject.device.type),
        "dtype": str(subject.model.dtype).removeprefix("torch."),
        "attention": subject.model.config.get_text_config()._attn_implementation,
    }


def machine_of(device: str) -> dict[str, Any]:
    """The machine, the versions and the date."""
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        **{package: version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def subject_of(name: str, device: str, dtype: str, layers: int | None) -> Subject:
    """A subject of the registry or a folder, or a published model's shape with random weights."""
    torch.set_num_threads(count_threads())
    if name in SHAPES:
        return shaped(name, device=device, dtype=getattr(torch, dtype), layers=layers)
    subject = load(find(name, read_registry()), device=device)
    subject.model.to(getattr(torch, dtype))
    return subject


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if scores in float32 do not agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--subject", default="tiny-llava", help=f"registered, a folder, or {', '.join(SHAPES)}"
    )
    parser.add_argument("--trials", type=int, default=50, help="contrasts of each condition")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument(
        "--sample", type=int, help="heads per layer that (a) to (c) run, then scaled"
    )
    parser.add_argument("--few", type=int, help="contrasts that (a) to (c) run, then scaled")
    parser.add_argument(
        "--repeats", type=int, default=5, help="replays, of which the median counts"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--layers", type=int, help="of a shape; all of its layers if not given")
    options = parser.parse_args(argv)
    if options.trials < 1 or options.repeats < 1 or min(options.sample or 1, options.few or 1) < 1:
        parser.error("--trials, --repeats, --sample and --few are at least 1")
    try:
        subject = subject_of(options.subject, options.device, options.dtype, options.layers)
    except Refused as error:
        parser.error(str(error))
    found = measure(
        subject,
        options.trials,
        repeats=options.repeats,
        sample=options.sample,
        few=options.few,
        seed=options.seed,
    )
    found = {"subject": options.subject, **found}
    print(
        f"{options.subject}: replay {found['ratio_nnsight']:.0f} times faster than a trace per head, "
        f"{found['ratio_hooks']:.0f} times faster than a hooked run per head, {found['ratio_rows']:.0f} times "
        f"faster than one with heads as rows; tokens x layers "
        f"{found['token_layers']['naive']:,} against {found['token_layers']['replay']:,}; "
        f"{found['share_of_ceiling']:.0%} of the matrix-product ceiling"
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    if options.dtype == "float32" and not found["max_difference"] <= AGREE:
        print(
            f"scores differ by {found['max_difference']:.1e}, more than {AGREE:.0e}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
