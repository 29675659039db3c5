"""What the subcommands of `claims` do; each takes the parsed command line and gives the exit status."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import quote

from harness.machine.files import read_json, write_json


def listed(arguments: argparse.Namespace) -> int:
    """Print every claim, or every subject."""
    if arguments.subjects:
        from harness.subjects.registry import read_registry

        for entry in read_registry().values():
            marks = ", ".join(f"-m {m}" for m in entry.markers)
            memory = f"{entry.memory_gib:4d} GiB" if entry.memory_gib else 8 * " "
            print(f"{entry.name:20} {entry.family:15} {entry.kind:9} {memory}  {marks}")
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


def train(arguments: argparse.Namespace) -> int:
    """Make an embedded subject or a control anew."""
    from dataclasses import replace

    from harness.runs.run import ROOT
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


def bless(arguments: argparse.Namespace) -> int:
    """Make a run the baseline of its subjects."""
    from harness.judging.evidence import save_evidence
    from harness.reporting.sides import evidence_beside, load_side
    from harness.runs.baselines import BASELINES

    target_folder = arguments.into or BASELINES
    path = arguments.run / "scorecard.json" if arguments.run.is_dir() else arguments.run
    # What cannot be compared with must not become a baseline.
    side, content = load_side(path), read_json(path)
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
        asked = {s: f for s, f in side.card.run.subjects.items() if s == subject}
        run = {**side.card.run.to_json(), "started": "", "subjects": asked}
        kept = {"missing": [], "correction": content["correction"]}
        write_json(target, {"run": run, "records": records, **kept})
        own = {pair: found for pair, found in side.evidence.items() if pair[1] == subject}
        save_evidence(evidence_beside(target), own)
        print(f"{target}: {len(records)} claims")
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Say what a run lost against a baseline."""
    from harness.reporting.compare import MARGIN, compare
    from harness.reporting.gate import markdown, render, to_json
    from harness.reporting.sides import NotComparable, load_side
    from harness.runs.baselines import baseline_file

    before, after = (load_side(baseline_file(name)) for name in (arguments.before, arguments.after))
    try:
        found = compare(before, after, MARGIN if arguments.margin is None else arguments.margin)
    except NotComparable as refusal:
        print(f"claims compare: {refusal}", file=sys.stderr)
        return 3
    print("\n".join(render(found)))
    if arguments.json:
        write_json(arguments.json, to_json(found))
    if arguments.markdown:
        with arguments.markdown.open("a", encoding="utf-8") as file:
            file.write(markdown(found))
    return 1 if found.red else 0


def export(arguments: argparse.Namespace) -> int:
    """Write the records of a scorecard as a table."""
    from harness.reporting.scorecard import Scorecard

    path = arguments.run / "scorecard.json" if arguments.run.is_dir() else arguments.run
    if not path.is_file():
        raise ValueError(
            f"{arguments.run}: no scorecard there; `pytest claims --scorecard {arguments.run}` writes one"
        )
    content = read_json(path)
    try:
        if not isinstance(content, dict):
            raise ValueError("not a scorecard")
        frame = Scorecard.from_json(content).frame()
    except ValueError as error:
        raise ValueError(f"{path} cannot be exported: {error}") from error
    text = frame.to_csv(index=False, lineterminator="\n")
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        arguments.out.write_bytes(text.encode())
    return 0


def calibrate(arguments: argparse.Namespace) -> int:
    """Find out how often the suite is wrong."""
    from harness.calibration.calibrate import SHORT, Size, calibrate
    from harness.calibration.summary import findings
    from harness.reporting.error_rates import render
    from harness.runs.run import CALIBRATION, ROOT

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


def check_subject(arguments: argparse.Namespace) -> int:
    """Try by effect whether a checkpoint can be measured."""
    from harness.experiments.arranging import settle
    from harness.runs.selection import change
    from harness.runs.subject_holder import device_for, tell_rounding
    from harness.subjects.loading import load
    from harness.subjects.registry import find, read_registry
    from harness.tracing.conformance import conformance

    entry = find(arguments.subject, read_registry(), family=arguments.family)
    entry = change(entry, arguments.dtype, arguments.arrangement)
    device = device_for(arguments.gpu)
    subject = settle(load(entry, device=device), print)
    print(
        f"{entry.name}: {subject.anatomy.family}, {subject.layers} layers, {subject.heads} heads, "
        f"{subject.key_heads} key heads, {entry.dtype}, asked {subject.entry.arrangement}"
    )
    if rounded := tell_rounding(entry, device):
        print(rounded)
    failed = 0
    for finding in conformance(subject):
        failed += bool(finding.failure)
        said = f"FAILED: {finding.failure}" if finding.failure else "ok"
        print(f"  {finding.check:44} {said}", flush=True)
    print(f"{failed} checks failed" if failed else "all checks passed")
    return 1 if failed else 0


def pin(arguments: argparse.Namespace) -> int:
    """Write the commit of a revision into fixtures/subjects.toml."""
    from harness.subjects.pinning import CannotPin, commit_of, pin, pinned
    from harness.subjects.registry import UnknownSubject, read_registry

    registry = read_registry()
    unknown = [name for name in arguments.names if name not in registry]
    if unknown:
        raise UnknownSubject(f"not in fixtures/subjects.toml: {', '.join(unknown)}")
    status = 0
    for entry in registry.values() if arguments.all else map(registry.get, arguments.names):
        if pinned(entry):
            if not arguments.all:
                where = entry.revision or "it ships with the project"
                print(f"{entry.name}: nothing to pin ({where})")
            continue
        try:
            commit = commit_of(entry)
            pin(entry, commit)
        except CannotPin as error:
            print(f"claims pin: {error}", file=sys.stderr)
            status = 2
        else:
            print(f"{entry.name}: pinned to {commit}")
    return status


def measure(arguments: argparse.Namespace) -> int:
    """Measure into a store, so that pytest only has to judge."""
    from harness.runs import ahead
    from harness.runs.options import Options
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
        dtype=arguments.dtype,
        arrangement=arguments.arrangement,
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
