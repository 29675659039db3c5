"""The command `claims`: what is done outside pytest."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from harness.judging.record import read_json, write_json

EPILOG = """\
judging is done by pytest:
  pytest claims                            the embedded subjects, against their baselines
  pytest claims --scorecard out            and write scorecard.json, scorecard.xml, index.html into out/
  pytest claims --subject ./checkpoint     a model of your own (a folder with safetensors)
  pytest claims -m qwen --gpu              the published Qwen models, on a GPU
  pytest claims -m control                 subjects whose mechanism is known: is the suite right?
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="claims",
        description="Claims of papers on visual binding, as tests run against vision-language models.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser(
        "list", help="print every claim, or every subject with --subjects"
    )
    listing.add_argument(
        "--subjects", action="store_true", help="subjects of fixtures/subjects.toml"
    )
    training = commands.add_parser(
        "train",
        help="make an embedded subject or a control anew",
        description="Train an embedded subject from its recipe (run the same command again after an "
        "interruption: it goes on from the last checkpoint), or write the weights of a control.",
    )
    training.add_argument(
        "name", help="tiny-llava or tiny-qwen2-vl; planted, shortcut or another control"
    )
    training.add_argument(
        "--out", type=Path, help="where it goes (default: its place in fixtures/)"
    )
    training.add_argument("--work", type=Path, help="checkpoints (default reports/runs/train-NAME)")
    training.add_argument("--seed", type=int, help="instead of the recipe's")
    training.add_argument("--smoke", action="store_true", help="one minute: proof that it runs")
    blessing = commands.add_parser(
        "bless",
        help="make a run the baseline of its subjects",
        description="Copy the verdicts of a run to reports/baselines/SUBJECT.json, one file per subject. "
        "A partial run, or one with errors or missing claims, is refused.",
    )
    blessing.add_argument("run", type=Path, help="folder of --scorecard, or its scorecard.json")
    blessing.add_argument("--into", type=Path, help="another folder than reports/baselines")
    calibrating = commands.add_parser(
        "calibrate",
        help="find out how often the suite is wrong",
        description="Judge the controls, many untrained subjects and subjects that are shown the wrong image; "
        "repeat the planted one; simulate the intervals; break the code and see whether a test notices. "
        "About an hour on two cores; run the same command again after an interruption and it goes on. "
        "Exits with 1 if anything is not as it must be.",
    )
    calibrating.add_argument(
        "--out",
        type=Path,
        help="the JSON (default reports/calibration.json, which scorecards quote)",
    )
    calibrating.add_argument(
        "--work", type=Path, help="finished parts (default reports/runs/calibration)"
    )
    calibrating.add_argument(
        "--jobs", type=int, help="processes at once (default: as many as cores)"
    )
    calibrating.add_argument(
        "--short", action="store_true", help="a minute or two: proof that it runs; needs --out"
    )
    _add_measure(commands)
    arguments = parser.parse_args(argv)
    try:
        return _COMMANDS[arguments.command](arguments)
    except BrokenPipeError:
        # Whoever reads this has enough; what is still buffered must not complain at the exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, RuntimeError) as error:
        print(f"claims {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"claims {arguments.command}: interrupted", file=sys.stderr)
        return 130


def _add_measure(commands: argparse._SubParsersAction) -> None:
    measuring = commands.add_parser(
        "measure",
        help="measure into a store, so that pytest only has to judge",
        description="Run experiments on subjects and keep what they measure; `pytest claims` with the same "
        "--store, --seed and --trials then judges it and measures nothing. All are run, also where claims "
        "would be blocked, but for those on photographs, which pytest measures. Run the same command again "
        "after an interruption: what is kept is not measured again. Exits with 1 if anything could not be "
        "measured.",
    )
    add = measuring.add_argument
    add("--subject", action="append", default=[], metavar="NAME|FOLDER", help="as in pytest claims")
    add("--family", help="as in pytest claims")
    add("--gpu", action="store_true", help="on GPUs; adds the hub's subjects, as in pytest claims")
    add("--experiment", action="append", default=[], help="by name, several times; default: all")
    add("--trials", type=int, help="instead of each experiment's own number")
    add("--seed", type=int, default=0, help="of all stimuli (default 0)")
    add("--store", type=Path, help="where to keep it (default reports/store)")
    add("--attention", choices=["sdpa", "eager"], default="sdpa")
    add(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="ray: spread over a Ray cluster whose nodes share the folder of --store (extra: cluster)",
    )
    add("--address", help="of the Ray cluster; default: one is started on this machine")


def _measure(arguments: argparse.Namespace) -> int:
    from harness import ahead
    from harness.session import Options
    from harness.subjects.registry import read_registry

    if arguments.address and arguments.engine != "ray":
        raise ValueError("--address is of a Ray cluster: add --engine ray")
    # Another node has another working folder.
    subjects = [
        s if s in read_registry() or not Path(s).is_dir() else str(Path(s).absolute())
        for s in arguments.subject
    ]
    options = Options(
        subjects=tuple(subjects),
        family=arguments.family,
        gpu=arguments.gpu,
        trials=arguments.trials,
        seed=arguments.seed,
        baseline="none",
        store=(arguments.store or Options.store).absolute(),
        attention=arguments.attention,
    )
    experiments = ahead.chosen(arguments.experiment)
    if arguments.engine == "ray":
        done = ahead.on_ray(options, experiments, arguments.address)
    else:
        done = ahead.here(options, experiments, lambda line: print(line, flush=True))
    problems = [result.problem for result in done if result.problem]
    print(f"{len(done) - len(problems)} of {len(done)} measurements are in {options.store}")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


def _list(arguments: argparse.Namespace) -> int:
    if arguments.subjects:
        from harness.subjects.registry import read_registry

        for entry in read_registry().values():
            marks = ", ".join(f"-m {m}" for m in entry.markers)
            print(f"{entry.name:20} {entry.family:12} {entry.kind:9} {marks}")
        return 0
    from harness.calibration.runs import declared

    for claim in declared():
        threshold = claim.threshold
        print(f"{claim.id}\n  {claim.statement}\n  {claim.source}")
        print(f"  {threshold.direction} {threshold.value:g} {threshold.unit} ({threshold.origin})")
        if threshold.note:
            print(f"  {threshold.note}")
        if claim.published:
            print("  published: " + ", ".join(f"{m} {v:g}" for m, v in claim.published.items()))
    return 0


def _train(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from harness.session import ROOT
    from harness.subjects.registry import FIXTURES
    from harness.training.card import card, describe
    from harness.training.evaluation import evaluate
    from harness.training.trainer import Recipe, spent_hours, train
    from harness.training.wired.plans import PLANS
    from harness.training.wired.shipping import ship

    if arguments.name in PLANS:
        out = arguments.out or FIXTURES / "controls" / arguments.name
        ship(PLANS[arguments.name], out)
        print(f"{arguments.name}: written to {out}")
        return 0
    recipe = Recipe(arguments.name)
    if arguments.seed is not None:
        recipe = replace(recipe, seed=arguments.seed)
    if arguments.smoke:
        recipe = recipe.smoke()
    if arguments.smoke and not arguments.out:
        raise ValueError("--smoke makes no usable subject: say with --out where it may go")
    work = arguments.work or ROOT / "reports" / "runs" / f"train-{recipe.name}"
    out = arguments.out or FIXTURES / recipe.name
    every = 10 if arguments.smoke else 100
    subject = train(recipe, work, say=lambda line: print(line, flush=True), every=every)
    accuracies = evaluate(subject, prompts=40 if arguments.smoke else 400)
    parameters = sum(p.numel() for p in subject.model.parameters())
    content = card(recipe, accuracies, spent_hours(work), parameters)
    subject.save(out)
    write_json(out / "card.json", content)
    (out / "README.md").write_text(describe(content))
    for task, (share, n) in accuracies.items():
        print(f"  {task:42} {share:6.1%} of {n}")
    print(f"{recipe.name}: written to {out}")
    return 0


def _bless(arguments: argparse.Namespace) -> int:
    from harness.session import BASELINES

    target_folder = arguments.into or BASELINES
    path = arguments.run / "scorecard.json" if arguments.run.is_dir() else arguments.run
    content = read_json(path)
    if any(r.get("control") for r in content["records"]):
        raise ValueError(
            f"{path} has controls: what they must give stands in fixtures/controls.toml"
        )
    errors = [r["claim"] for r in content["records"] if r["verdict"] == "error"]
    if content["run"]["partial"] or content.get("missing") or errors:
        raise ValueError(
            f"{path}: partial, or with missing claims or errors: run it again before blessing"
        )
    for subject in sorted({r["subject"] for r in content["records"]}):
        # A baseline says what holds, not when it was measured: timings would change at every bless.
        records = [
            {**r, "seconds": None, "baseline": None}
            for r in content["records"]
            if r["subject"] == subject
        ]
        target = target_folder / f"{quote(subject, safe='')}.json"
        run = {**content["run"], "started": ""}
        kept = {"missing": [], "correction": content["correction"]}
        write_json(target, {"run": run, "records": records, **kept})
        print(f"{target}: {len(records)} claims")
    return 0


def _calibrate(arguments: argparse.Namespace) -> int:
    from harness.calibration.calibrate import SHORT, Size, calibrate
    from harness.calibration.summary import findings
    from harness.reporting.calibration import render
    from harness.session import CALIBRATION, ROOT

    if arguments.short and not arguments.out:
        raise ValueError("--short calibrates nothing: say with --out where its JSON may go")
    content = calibrate(
        SHORT if arguments.short else Size(),
        arguments.work or ROOT / "reports" / "runs" / "calibration",
        jobs=arguments.jobs or len(os.sched_getaffinity(0)),
        say=lambda line: print(line, flush=True),
    )
    out = arguments.out or CALIBRATION
    write_json(out, content)
    print("\n".join(["", *render(content), f"written: {out}"]))
    wrong = findings(content)
    print(
        "\n".join(
            ["", f"{len(wrong)} not as it must be:", *wrong] if wrong else ["all as it must be"]
        )
    )
    return 1 if wrong else 0


_COMMANDS = {
    "list": _list,
    "train": _train,
    "bless": _bless,
    "calibrate": _calibrate,
    "measure": _measure,
}


if __name__ == "__main__":
    sys.exit(main())
