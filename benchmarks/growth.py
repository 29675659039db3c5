"""How the cost of replays grows with heads, layers, trials and image tokens, and that memory does not.

    python benchmarks/growth.py --out reports/benchmarks

Untrained models of the embedded LLaVA's architecture, one size changed at a time. A hooked run per head is
timed on a sample and scaled. Memory is the peak of a process that runs the whole experiment.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from flops import counted
from mediation import _timed, machine, subject_of
from ways import OneByOne, drawn, replayed

from harness.experiments.catalogue import MEDIATION
from harness.measuring.experiment import measure_alone
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.subject import Subject
from harness.training.architectures import LAYERS, TOKEN, WIDTH, tiny_llava

CONDITION = "id_selection"
TRIALS = 50
SWEEPS: dict[str, Sequence[int]] = {
    "heads": (4, 8, 16, 32),
    "layers": (4, 8, 16, 32),
    "trials": (10, 50, 250, 1000),
    "image tokens": (64, 144, 256, 576),
}
MEMORY_TRIALS = (50, 500, 5000)


def sized(folder: Path, *, heads: int = 8, layers: int = LAYERS, image_tokens: int = 64) -> Subject:
    """An untrained LLaVA with another number of heads (of the same width), layers or image tokens."""
    torch.manual_seed(0)
    side = round(image_tokens**0.5) * TOKEN
    text = dict(
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=WIDTH // 8,
        num_hidden_layers=layers,
        max_position_embeddings=1024,
    )
    made = tiny_llava(vision=dict(image_size=side), text=text)
    made.image_processor.size = made.image_processor.crop_size = {"height": side, "width": side}
    made.save(folder)
    return load(find(str(folder), read_registry()))


def point(subject: Subject, trials: int) -> dict[str, float]:
    """Seconds of a replay and of hooked runs (one head of every eighth, scaled) for all heads."""
    pairs = drawn(subject, CONDITION, trials, 0)
    replayed(subject, pairs)
    took = min(_timed(subject, replayed, subject, pairs)[0] for _ in range(3))
    with counted(subject) as count:
        replayed(subject, pairs)
    few = pairs[:5]
    heads = [(layer, layer % subject.heads) for layer in range(0, subject.layers, 2)]
    one = OneByOne(subject, few)
    one.hooked(heads[:1])
    runs = len(few) * (len(heads) + 2)
    each = _timed(subject, one.hooked, heads)[0] / runs
    all_runs = trials * (subject.layers * subject.heads + 2)
    length = one.sides[0][0].input_ids.shape[1]
    return {
        "replay_seconds": took,
        "hooks_seconds": each * all_runs,
        "ratio": each * all_runs / took,
        "token_layers_replay": count.token_layers,
        "token_layers_naive": all_runs * length * subject.layers,
    }


def sweep() -> dict[str, dict[int, dict[str, float]]]:
    """Every size in turn, the others as they are in the embedded subject."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for what, values in SWEEPS.items():
        found[what] = {}
        for value in values:
            with tempfile.TemporaryDirectory() as folder:
                sizes = {} if what == "trials" else {what.replace(" ", "_"): value}
                subject = sized(Path(folder) / "sized", **sizes)
                found[what][value] = point(subject, value if what == "trials" else TRIALS)
            print(f"{what} {value}: {_line(found[what][value])}", flush=True)
    return found


def _line(figures: dict[str, float]) -> str:
    return (
        f"replay {figures['replay_seconds']:.3f} s, a hooked run per head "
        f"{figures['hooks_seconds']:.1f} s, {figures['ratio']:.0f} times"
    )


def peak_memory(trials: int) -> float:
    """MiB that a process of its own takes at its peak for the experiment with so many trials."""
    command = [sys.executable, __file__, "--peak", str(trials)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def _peak(trials: int) -> None:
    subject = subject_of("tiny-llava", "cpu", "float32", None)
    measure_alone(MEDIATION, subject, trials=trials)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def picture(found: dict[str, Any], path: Path) -> None:
    """Seconds against each size, both ways, and the peak of memory against trials."""
    figure, axes = plt.subplots(1, len(SWEEPS) + 1, figsize=(16, 3.4), layout="constrained")
    for axis, (what, points) in zip(axes, found["growth"].items(), strict=False):
        sizes = [int(size) for size in points]
        for way, label in (("hooks_seconds", "one run per head"), ("replay_seconds", "replay")):
            axis.plot(sizes, [p[way] for p in points.values()], marker="o", label=label)
        axis.set(xscale="log", yscale="log", xlabel=what)
        axis.set_xticks(sizes, [str(s) for s in sizes])
        axis.minorticks_off()
    axes[0].set_ylabel("seconds")
    axes[0].legend(frameon=False)
    memory = found["peak_mib"]
    axes[-1].plot([int(t) for t in memory], list(memory.values()), marker="o", color="black")
    axes[-1].set(
        xscale="log",
        xlabel="trials",
        ylabel="peak memory, MiB",
        ylim=(0, 1.3 * max(memory.values())),
    )
    axes[-1].set_xticks([int(t) for t in memory], list(map(str, memory)))
    axes[-1].minorticks_off()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    where = found["machine"]
    lines = [
        f"{where['device']}, {where['threads']} threads, {where['dtype']}, torch {where['torch']}, "
        f"{where['date']}; {TRIALS} trials of ID selection on an untrained LLaVA of {LAYERS} layers of 8 "
        "heads and 64 image tokens, one size changed at a time.",
        "",
        "| size | | one run per head (s) | replay (s) | ratio | tokens x layers, naive | replay |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, points in found["growth"].items():
        lines += [
            f"| {what} | {size} | {p['hooks_seconds']:.1f} | {p['replay_seconds']:.3f} | {p['ratio']:.0f} "
            f"| {p['token_layers_naive']:,.0f} | {p['token_layers_replay']:,.0f} |"
            for size, p in points.items()
        ]
    lines += ["", "| trials of each condition | peak of the process (MiB) |", "|---|---|"]
    lines += [f"| {trials} | {mib:.0f} |" for trials, mib in found["peak_mib"].items()]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure everything and write growth.json, growth.md and growth.png."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("reports/runs/benchmarks"))
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.peak:
        _peak(options.peak)
        return 0
    where = machine(subject_of("tiny-llava", "cpu", "float32", None))
    memory = {}
    for trials in MEMORY_TRIALS:
        memory[trials] = peak_memory(trials)
        print(f"{trials} trials of each condition: peak {memory[trials]:.0f} MiB", flush=True)
    found = {"machine": where, "growth": sweep(), "peak_mib": memory}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "growth.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    (options.out / "growth.md").write_text(table(found))
    picture(found, options.out / "growth.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
