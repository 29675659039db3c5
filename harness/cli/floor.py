"""The subcommand `claims floor`: what differs between runs of one and the same model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import Subparsers
from harness.machine.files import check_writable, write_bytes, write_json
from harness.subjects.registry import BYTES

if TYPE_CHECKING:
    from harness.calibration.floor import Asked
    from harness.judging.claim import Claim

EPILOG = """\
what is run:
  with other seeds           other scenes: how far does an estimate vary, which verdicts change?
  in batches of half size    the same scenes: sums are taken in another order
  with eager attention       the same scenes, another kernel
  in another precision       only on a GPU, or with --also-dtype
For the last three logits are compared, too. What other batches and other attention move a claim by is its
noise floor. What another precision moves is told and is not part of it: a model may lose its mechanism there.

what is written into DIR:
  scorecard.floor            JSON, for the gate: where DIR is the folder of a baseline (--scorecard DIR), a
                             comparison with that takes no margin below the floor
  floor.md                   the same as tables, which are also printed

The same command goes on after an interruption: what is measured is kept in the store, which is that of `pytest
claims`, so that a baseline that was judged with the same options costs nothing again.

examples:
  claims floor planted --section 3.4 --trials 24      two minutes, to see what it does
  claims floor ./released --out before                the floor of a baseline in the folder before
  claims floor ./released --out before --gpu          on a GPU, and told what bfloat16 moves
  claims floor planted --claim drawn --repeats 10     claims with "drawn" in their id, ten seeds

exit status: 0 measured; 2 a claim could not be judged, or an option cannot be used; 130 interrupted
"""


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "floor",
        help="what differs between runs of one and the same model",
        description="Run a subject against itself: with other seeds, in other batches, with other attention, "
        "in another precision. Says for each claim how far it moves though the model is the same.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(execute=execute, tell_kept=tell_kept)
    parser.add_argument("subject", help="a name or a folder, as in pytest claims --subject")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="seeds (default 3)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: reports/runs/floor/SUBJECT"
    )
    parser.add_argument(
        "--section",
        action="append",
        default=[],
        metavar="S",
        help="claims of this section, such as 3.4; may be repeated",
    )
    parser.add_argument(
        "--claim", action="append", default=[], metavar="TEXT", help="claims with this in their id"
    )
    parser.add_argument("--trials", type=int, metavar="N", help="as in pytest claims")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the first seed")
    parser.add_argument("--no-gate", action="store_false", dest="gate", help="as in pytest claims")
    parser.add_argument("--gpu", action="store_true", help="as in pytest claims")
    parser.add_argument("--dtype", choices=list(BYTES), help="as in pytest claims")
    parser.add_argument("--also-dtype", choices=list(BYTES), help="another precision to compare")
    parser.add_argument("--store", type=Path, metavar="DIR", help="as in pytest claims")


def execute(arguments: argparse.Namespace) -> int:
    """Measure the floor, write it and print it.

    Raises:
        ValueError: No claim is called so, or an option cannot be used.
        OSError: The folder cannot be written.
    """
    from harness.calibration.floor import Asked, measure_floor
    from harness.calibration.runs import collect_claims
    from harness.reporting.floor import find_floor_file, render_floor
    from harness.subjects.registry import find, read_registry

    entry = find(arguments.subject, read_registry())
    out = _choose_folder(arguments)
    written = find_floor_file(out / "scorecard.json")
    check_writable(written)
    asked = Asked(
        arguments.subject,
        choose_claims(collect_claims(), arguments.section, arguments.claim),
        seed=arguments.seed,
        repeats=arguments.repeats,
        trials=arguments.trials,
        gate=arguments.gate,
        gpu=arguments.gpu,
        dtype=arguments.dtype,
        other_dtype=arguments.also_dtype,
    )
    if (baseline := out / "scorecard.json").is_file():
        _refuse_other_baseline(asked, entry.name, baseline)
    found = measure_floor(
        asked,
        _choose_store(arguments),
        out / "floor",
        say=lambda line: print(line, flush=True),
    )
    table = "\n".join(render_floor(found))
    write_json(written, found)
    write_bytes(out / "floor.md", f"{table}\n".encode())
    print(f"\n{table}\n\nwritten: {written}")
    return 0


def tell_kept(arguments: argparse.Namespace) -> str:
    """What of an interrupted command is kept, in words."""
    stores = f"{_choose_store(arguments)} and {_choose_folder(arguments) / 'floor'}"
    return f"what was measured is kept in {stores}"


def _choose_folder(arguments: argparse.Namespace) -> Path:
    """The folder of --out, or the usual one of the subject."""
    from harness.machine.files import REPORTS, name_file
    from harness.subjects.registry import find, read_registry

    name = find(arguments.subject, read_registry()).name
    return arguments.out or REPORTS / "runs" / "floor" / name_file(name)


def _choose_store(arguments: argparse.Namespace) -> Path:
    """The folder of --store, or that of `pytest claims`."""
    from harness.runs.options import Options

    return arguments.store or Options.store


def _refuse_other_baseline(asked: Asked, subject: str, baseline: Path) -> None:
    """Refuse to measure for long what could not be the floor of the baseline in the same folder.

    Raises:
        ValueError: The baseline is of another subject, seed or number of trials, or cannot be read.
    """
    from harness.machine.files import read_json
    from harness.reporting.floor import refuse_other_run
    from harness.reporting.scorecard import Scorecard

    try:
        card = Scorecard.from_json(read_json(baseline))
    except ValueError as error:
        raise ValueError(f"{baseline} cannot be a baseline: {error}") from error
    known = [r for r in card.records if r.subject == subject]
    refuse_other_run(
        {"seed": asked.seed, "trials": asked.trials, "gate": asked.gate},
        subject,
        card.run,
        known,
        f"beside {baseline} would be",
        "give the baseline's options, or another folder with --out",
    )


def choose_claims(
    claims: list[Claim], sections: list[str], texts: list[str]
) -> frozenset[str] | None:
    """Find the ids of the claims that were asked for, by section or by a part of the id; None for all.

    Raises:
        ValueError: There are none; the message lists the sections.
    """
    if not sections and not texts:
        return None
    chosen = frozenset(
        c.id
        for c in claims
        if any(c.id.partition(".")[2].startswith(f"{s}.") for s in sections)
        or any(text in c.id for text in texts)
    )
    if not chosen:
        known = sorted({c.id.partition(".")[2].rpartition(".")[0] for c in claims})
        named = ", ".join([*sections, *texts])
        raise ValueError(f"no claim is of {named}; there are the sections {', '.join(known)}")
    return chosen
