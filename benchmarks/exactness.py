"""How far linear layers are from float64 in float32, in exact mode and in half precision, and what they take.

    python benchmarks/exactness.py --out reports/benchmarks
    python benchmarks/exactness.py --device cuda --out reports/benchmarks

Every linear layer of the tiny checkpoints of all families, saved in bfloat16 and in float16, is given what it
is given in a run, and the product is computed in four ways. Then random rows and matrices of published widths,
with and without features that are a thousand times larger than others, and the time that each way takes. An
error is the root mean square of the differences by that of the product in float64. On a CPU the products of
halves are made float32 and added by the CPU: how a GPU adds them only --device cuda tells.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mediation import machine_of
from torch import nn

from harness.machine.placement import count_threads
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.subjects.exact import multiply
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry

TESTS = Path(__file__).parents[1] / "tests"

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}

WAYS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "float32": lambda rows, weight: rows @ weight.float().mT,
    "exact": lambda rows, weight: multiply(rows, weight, 3),
    "nearly-exact": lambda rows, weight: multiply(rows, weight, 2),
    "half": lambda rows, weight: rows.to(weight.dtype) @ weight.mT,
}
"""Products of float32 rows with weights in half precision."""

WIDTHS = {"keys": (3584, 512), "up": (3584, 18944), "down": (18944, 3584)}
"""Widths in and out of layers of Qwen2-VL-7B."""

SHARES = {"median": 0.5, "90 %": 0.9, "largest": 1.0}


def measure_errors(rows: torch.Tensor, weight: torch.Tensor) -> dict[str, float]:
    """The error of each way for rows [M, K] and weights [N, K] in half precision."""
    truth = rows.double() @ weight.double().mT
    size = truth.square().mean().sqrt()
    return {
        name: float((way(rows, weight).double() - truth).square().mean().sqrt() / size)
        for name, way in WAYS.items()
    }


def measure_families(trials: int) -> list[dict[str, Any]]:
    """The errors of all layers of the tiny checkpoints, by family and dtype."""
    # Their builders belong to the tests.
    sys.path.insert(0, str(TESTS))
    from families import FAMILIES

    found = []
    for name, build in FAMILIES.items():
        for half, dtype in HALVES.items():
            torch.manual_seed(5)
            with tempfile.TemporaryDirectory() as folder:
                checkpoint = build()
                checkpoint.model.to(dtype)
                checkpoint.save(Path(folder))
                entry = find(folder, read_registry())
                subject = load(replace(entry, arrangement="plain", dtype="float32"))
            errors: list[dict[str, float]] = []

            def compare(
                layer: nn.Module, given: tuple[torch.Tensor], output: torch.Tensor,
                dtype: torch.dtype = dtype, errors: list[dict[str, float]] = errors,
            ) -> None:  # fmt: skip
                errors.append(measure_errors(given[0].flatten(0, -2), layer.weight.to(dtype)))

            for module in subject.model.modules():
                if isinstance(module, nn.Linear):
                    module.register_forward_hook(compare)
            rng = np.random.default_rng(0)
            drawn = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[2], trials, rng)
            with torch.no_grad():
                subject.model(**subject.encode(drawn).inputs)
            found.append({"family": name, "dtype": half, **_summarise(errors)})
            print(f"{name}, {half}: {len(errors)} layers", flush=True)
    return found


def measure_widths(rows: int, device: str, repeats: int) -> list[dict[str, Any]]:
    """Errors and seconds at published widths, by dtype and by whether some features are far larger."""
    found = []
    for layer, (wide, out) in WIDTHS.items():
        for half, dtype in HALVES.items():
            generator = torch.Generator(device).manual_seed(0)
            values = torch.randn(rows, wide, device=device, generator=generator)
            weight = torch.randn(out, wide, device=device, generator=generator)
            weight = (weight * 0.02).to(dtype)
            seconds = {name: _time(way, values, weight, repeats) for name, way in WAYS.items()}
            even = measure_errors(values, weight)
            values[:, :4] *= 1000
            found.append(
                {
                    "layer": layer,
                    "widths": [wide, out],
                    "dtype": half,
                    "seconds": seconds,
                    "errors": even,
                    "errors_with_large_features": measure_errors(values, weight),
                }
            )
            print(f"{layer}, {half}: {seconds}", flush=True)
    return found


def _summarise(errors: Sequence[dict[str, float]]) -> dict[str, Any]:
    return {
        "layers": len(errors),
        "errors": {
            way: {
                name: float(np.quantile([each[way] for each in errors], share))
                for name, share in SHARES.items()
            }
            for way in WAYS
        },
    }


def _time(
    way: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    rows: torch.Tensor,
    weight: torch.Tensor,
    repeats: int,
) -> float:
    """The median of some times, after one that does not count."""
    took = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        way(rows, weight)
        if rows.is_cuda:
            torch.cuda.synchronize()
        took.append(time.perf_counter() - begun)
    return statistics.median(took[1:])


def write_report(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    machine, ways = found["machine"], list(WAYS)
    lines = [
        "# How exact linear layers are",
        "",
        f"Written by `python benchmarks/exactness.py` on {machine['device']}, "
        f"{machine['threads']} threads, torch {machine['torch']}, {machine['date']}; what an error is stands "
        "there, and every figure in the JSON beside this file.",
    ]
    if found["families"]:
        lines += [
            "",
            f"Layers of tiny checkpoints, errors in units of 1e-8: {', '.join(SHARES)} over the layers.",
            "",
            f"| family | weights | layers | {' | '.join(ways)} |",
            "|---" * (3 + len(ways)) + "|",
        ]
        for each in found["families"]:
            cells = [_spell(each["errors"][way].values()) for way in ways]
            head = f"| {each['family']} | {each['dtype']} | {each['layers']} |"
            lines.append(f"{head} {' | '.join(cells)} |")
    lines += [
        "",
        f"Published widths, {found['rows']} random rows: errors in units of 1e-8, then with four features a "
        "thousand times larger; and the time as a multiple of float32's.",
        "",
        f"| layer | widths | weights | {' | '.join(ways)} | time of {', '.join(ways[1:])} |",
        "|---" * (4 + len(ways)) + "|",
    ]
    for each in found["widths"]:
        pairs = zip(
            each["errors"].values(), each["errors_with_large_features"].values(), strict=True
        )
        usual, *others = each["seconds"].values()
        times = ", ".join(f"{other / usual:.2f}" for other in others)
        wide, out = each["widths"]
        head = f"| {each['layer']} | {wide} to {out} | {each['dtype']} |"
        lines.append(f"{head} {' | '.join(map(_spell, pairs))} | {times} |")
    return "\n".join(lines) + "\n"


def _spell(errors: Any) -> str:
    return ", ".join(f"{error * 1e8:.3g}" if error < 1e-4 else f"{error:.0e}" for error in errors)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="of the published widths")
    parser.add_argument("--rows", type=int, help="at published widths (16, and 4096 on a GPU)")
    parser.add_argument("--trials", type=int, default=4, help="that the tiny checkpoints are shown")
    parser.add_argument("--repeats", type=int, default=3, help="products, whose median time counts")
    parser.add_argument("--no-families", action="store_true", help="published widths alone")
    parser.add_argument("--out", type=Path, help="folder for exactness.md and exactness.json")
    options = parser.parse_args(argv)
    torch.set_num_threads(count_threads())
    rows = options.rows or (16 if options.device == "cpu" else 4096)
    found = {
        "machine": machine_of(options.device),
        "rows": rows,
        "families": [] if options.no_families else measure_families(options.trials),
        "widths": measure_widths(rows, options.device, options.repeats),
    }
    print(write_report(found))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        name = "exactness" if options.device == "cpu" else "exactness-gpu"
        (options.out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
        (options.out / f"{name}.md").write_text(write_report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
