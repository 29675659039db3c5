"""The subcommand `claims export`: hand a scorecard to other tools, in their formats."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import Subparsers, find_scorecard
from harness.machine.files import NoCheckout, read_json, write_bytes

if TYPE_CHECKING:
    from harness.reporting.scorecard import Scorecard
    from harness.reporting.sides import Side

TABLES = ("csv", "json", "parquet")
"""Formats of a table, which can hold the evidence instead of the verdicts."""

FOLDERS = ("eee", "hf")
"""Formats of several files."""

FORMATS = (*TABLES, *FOLDERS, "markdown", "badge")


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "export",
        help="the verdicts of a run for pandas, a spreadsheet, a model card, a pull request, a badge",
        description="Hand a scorecard to other tools. csv, json and parquet: a table, one row a verdict, "
        "one column a key of the record (in Python: Scorecard.frame()), or with --evidence one row a trial. "
        "eee: the schema of Every Eval Ever. hf: model-index and .eval_results for a repository of the Hugging "
        "Face Hub. markdown: the summary of a job, or a comment on a pull request. badge: an SVG file. "
        "docs/exports.md describes all of them.",
    )
    parser.set_defaults(execute=execute)
    add = parser.add_argument
    add("run", type=Path, help="folder of --scorecard, or its scorecard.json")
    add("--format", choices=FORMATS, default="csv", help="default csv")
    add(
        "--out",
        type=Path,
        metavar="PATH",
        help="a file instead of printing; of eee and hf a folder",
    )
    add(
        "--evidence",
        action="store_true",
        help="csv, json, parquet: one row a trial, with its scene",
    )
    add(
        "--subject",
        action="append",
        default=[],
        metavar="NAME",
        help="only this subject; repeatable",
    )
    add(
        "--model", action="append", default=[], metavar="NAME=ID",
        help="eee, hf: what a subject is called on the hub, such as candidate=org/model; repeatable",
    )  # fmt: skip
    add("--benchmark", default="", metavar="ID", help="hf: the benchmark dataset of .eval_results")
    add("--source", default="", metavar="URL", help="hf, markdown: where the whole scorecard is")


def execute(arguments: argparse.Namespace) -> int:
    """Write a scorecard in another format, to a file, a folder or the terminal.

    Raises:
        ValueError: There is no scorecard, it cannot be read, or the options do not fit the format.
        RuntimeError: parquet was asked for and pyarrow is not installed.
    """
    path = find_scorecard(arguments.run)
    _refuse_options(arguments)
    side = _choose_subjects(_load(path, arguments), arguments.subject)
    if arguments.format in FOLDERS:
        _write_folder(_make_files(side, arguments), arguments.out)
        return 0
    content = _make_content(side, arguments)
    if arguments.out is not None:
        write_bytes(arguments.out, content)
    else:
        # In UTF-8 whatever the locale, as in a file.
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    return 0


def _refuse_options(arguments: argparse.Namespace) -> None:
    """Refuse options that do not fit the format, before anything is read.

    Raises:
        ValueError: They do not; the message says what to give.
    """
    form, out = arguments.format, arguments.out
    ending = {"markdown": "md", "badge": "svg"}.get(form, form)
    if form in FOLDERS and (out is None or (out.exists() and not out.is_dir())):
        raise ValueError(f"{form} is a folder of files: name one that is there or new with --out")
    if form not in FOLDERS and out is not None and out.is_dir():
        raise ValueError(
            f"--out {out} is a folder: name a file, such as {out / f'verdicts.{ending}'}"
        )
    if form == "parquet" and out is None:
        raise ValueError("parquet is no text: name a file with --out, such as verdicts.parquet")
    if arguments.evidence and form not in TABLES:
        raise ValueError(f"--evidence is for {', '.join(TABLES)}; {form} has its own place for it")
    if arguments.benchmark and form != "hf":
        raise ValueError("--benchmark is for --format hf")


def _load(path: Path, arguments: argparse.Namespace) -> Side:
    """The scorecard of a file, with its evidence if that is exported."""
    from harness.reporting.scorecard import Scorecard
    from harness.reporting.sides import Side, load_side

    if arguments.evidence or arguments.format == "eee":
        return load_side(path)
    content = read_json(path)
    try:
        if not isinstance(content, dict):
            raise ValueError("not a scorecard")
        return Side(str(path), Scorecard.from_json(content))
    except ValueError as error:
        raise ValueError(f"{path} cannot be exported: {error}") from error


def _choose_subjects(side: Side, wanted: list[str]) -> Side:
    from harness.reporting.sides import leave_out_subjects

    there = side.card.subjects
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise ValueError(
            f"{side.where} has no subject {', '.join(unknown)}; it has {', '.join(there)}"
        )
    if not wanted:
        return side
    evidence = {pair: found for pair, found in side.evidence.items() if pair[1] in wanted}
    return replace(leave_out_subjects(side, set(there) - set(wanted)), evidence=evidence)


def _make_content(side: Side, arguments: argparse.Namespace) -> bytes:
    """The file of a format that is one file."""
    from harness.reporting import badge, frames, markdown

    card = side.card
    if arguments.format == "markdown":
        return markdown.write(card, arguments.source).encode()
    if arguments.format == "badge":
        if len(card.subjects) != 1:
            names = ", ".join(card.subjects) or "none"
            raise ValueError(f"a badge is of one subject: name one with --subject ({names})")
        return badge.draw(card, card.subjects[0]).encode()
    table = frames.frame_evidence(side.evidence) if arguments.evidence else card.frame()
    if arguments.format == "parquet":
        return frames.to_parquet(table, frames.describe_card(card))
    spell: Callable[..., str] = {"csv": frames.to_csv, "json": frames.to_json}[arguments.format]
    return spell(table).encode()


def _make_files(side: Side, arguments: argparse.Namespace) -> dict[str, str]:
    """The files of a format that is a folder, by their paths in it."""
    from harness.reporting import eee, hub

    models = _find_models(side.card, arguments.model)
    if arguments.format == "eee":
        return eee.write(side.card, side.evidence, models)
    if not arguments.benchmark:
        print(
            "claims export: no .eval_results, since the Hub takes results of a benchmark dataset that it "
            "knows: name one with --benchmark",
            file=sys.stderr,
        )
    return hub.write(side.card, models, arguments.benchmark, arguments.source)


def _write_folder(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.encode())
        print(path)
    if not files:
        raise ValueError("no subject has an estimate, so there is nothing to write")


def _find_models(card: Scorecard, given: list[str]) -> dict[str, str]:
    """What subjects are called on the hub: as it was given, or as the registry has it."""
    from harness.subjects.registry import read_registry

    named = dict(pair.partition("=")[::2] for pair in given)
    for name, model in named.items():
        if not model or name not in card.subjects:
            known = ", ".join(card.subjects)
            raise ValueError(f"--model {name}={model}: give NAME=ID, NAME one of {known}")
    try:
        registry = read_registry()
    except NoCheckout:
        registry = {}
    # A variant such as "planted:heads" is the same model by another way.
    entries = {
        s: registry[s.partition(":")[0]] for s in card.subjects if s.partition(":")[0] in registry
    }
    known_models = {
        s: entry.source if entry.kind == "hub" else f"binding-claims/{s}"
        for s, entry in entries.items()
    }
    return {**known_models, **named}
