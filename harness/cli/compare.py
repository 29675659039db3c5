"""The subcommand `claims compare`: say what a run lost against a baseline."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from harness.cli.options import Subparsers
from harness.machine.files import write_json
from harness.subjects.registry import Quantised

if TYPE_CHECKING:
    from harness.reporting.fates import Comparison


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "compare",
        help="what a run lost against a baseline, claim by claim",
        description="Compare two scorecards on the same scenes. Each is the folder of a --scorecard, its "
        "scorecard.json, or the name of a baseline in reports/baselines. Or judge a subject twice and compare "
        "that: `claims compare CHECKPOINT --quantised int8`, as it is and as it is served; `claims compare "
        "BASE --merged FOLDER`, without and with what was merged into it.",
        epilog="exit status: 0 nothing lost, or all of it accepted; 1 a claim regressed, is missing on one "
        "side or has no verdict, or the run is partial; 2 a file cannot be read, a run has not finished, the "
        "margin is out of range, or a claim cannot be accepted; 3 the two were not asked the same and cannot "
        "be compared",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument("before", help="the baseline; or a subject, by name or folder")
    parser.add_argument("after", nargs="?", help="the run")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--quantised",
        choices=get_args(Quantised),
        help="judge the subject in float32, and served so: in bfloat16, or with weights rounded to int8 or nf4",
    )
    how.add_argument(
        "--merged", metavar="NAME|FOLDER", help="judge the subject, and this one made of it"
    )
    judged = parser.add_argument_group("with --quantised or --merged")
    judged.add_argument(
        "--section",
        action="append",
        default=[],
        metavar="3.4",
        help="judge the claims of this section alone; may be repeated. The comparison is for these alone, then",
    )
    judged.add_argument("--into", type=Path, metavar="DIR", help="for the two scorecards")
    judged.add_argument(
        "--pytest",
        default="",
        metavar="OPTIONS",
        help="options for both runs in one text, as --pytest='--gpu --trials 100 --no-gate'",
    )
    parser.add_argument(
        "--margin",
        type=float,
        metavar="SHARE",
        help="share of its distance to the threshold that a claim may lose (default 0.25)",
    )
    parser.add_argument(
        "--floor",
        type=Path,
        metavar="FILE",
        help="noise floor of the baseline's model, from `claims floor` (default: scorecard.floor beside "
        "the baseline, if there): no margin is below it",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="append a table, for a job's summary"
    )
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page, with what was lost first"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, for programs")
    parser.add_argument(
        "--partial",
        action="store_true",
        help="let a run of some claims pass, compared in these alone; without it such a run is red",
    )
    parser.add_argument(
        "--strict-heads",
        action="store_true",
        help="red, too, where a stage is carried by other heads, or nobody can tell that it is not",
    )
    parser.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="CLAIM=REASON",
        help="let a claim that regressed stop nothing, for this reason, which stands beside it in all that is "
        "printed and written; may be repeated. Refused for a claim that did not regress",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Compare two scorecards; 1 if the run lost a claim, 3 if the two cannot be compared.

    Raises:
        ValueError: A scorecard cannot be read, or the margin is out of range.
    """
    from harness.reporting import comparison_page
    from harness.reporting.gate import (
        markdown,
        refusal_markdown,
        refusal_to_json,
        render,
        to_json,
    )
    from harness.reporting.sides import NotComparable

    try:
        found = _compare(arguments)
    except (ValueError, OSError) as refusal:
        # What an earlier comparison wrote there must not be taken for this one.
        after = arguments.after or arguments.merged or f"{arguments.before}:{arguments.quantised}"
        names = (arguments.before, after)
        if arguments.html:
            comparison_page.write_refusal(str(refusal), *names, arguments.html)
        _write(
            arguments,
            refusal_to_json(str(refusal), *names),
            refusal_markdown(str(refusal), *names),
        )
        if not isinstance(refusal, NotComparable):
            raise
        print(f"claims compare: {refusal}", file=sys.stderr)
        return 3
    each = arguments.after is None
    print("\n".join(render(found, each=each)))
    _write(arguments, to_json(found), markdown(found))
    if arguments.html:
        comparison_page.write(found, arguments.html)
    return 1 if found.red else 0


def _compare(arguments: argparse.Namespace) -> Comparison:
    from harness.reporting.compare import MARGIN, accept_losses, compare
    from harness.reporting.sides import load_side
    from harness.runs.baselines import find_baseline_file

    margin = MARGIN if arguments.margin is None else arguments.margin
    if not 0 < margin < 1:
        raise ValueError(f"--margin {margin}: it must be above 0 and below 1")
    reasons = _read_reasons(arguments.accept)
    asked = bool(arguments.quantised or arguments.merged)
    if asked == (arguments.after is not None):
        raise ValueError("name two scorecards, or one subject with --quantised or --merged")
    paths = (
        _judge_both(arguments)
        if asked
        else [find_baseline_file(name) for name in (arguments.before, arguments.after)]
    )
    before, after = load_side(paths[0], arguments.floor), load_side(paths[1])
    partial = arguments.partial or bool(arguments.section)
    found = compare(before, after, margin, partial=partial, strict=arguments.strict_heads)
    return accept_losses(found, reasons)


def _read_reasons(accepted: Sequence[str]) -> dict[str, str]:
    """Read, from the texts after --accept, why the loss of each claim is accepted.

    Raises:
        ValueError: A claim is named twice, or has no reason.
    """
    reasons: dict[str, str] = {}
    for text in accepted:
        claim, _, reason = text.partition("=")
        if claim in reasons:
            raise ValueError(f"--accept {claim}: named twice; give it one reason")
        if not reason.strip():
            raise ValueError(
                f"--accept {claim}: no reason; say why, as in --accept {claim}='it is ...'"
            )
        reasons[claim] = reason
    return reasons


def _judge_both(arguments: argparse.Namespace) -> list[Path]:
    """Judge the two subjects that were asked for; the folders of their scorecards."""
    from harness.runs.both_sides import find_files, find_sides, run_sides

    name, merged, quantised = arguments.before, arguments.merged, arguments.quantised
    before, after = find_sides(name, quantised=quantised, merged=merged)
    sides = [(before, name), (after, merged or f"{name}:{quantised}")]
    files, more = find_files(arguments.section), shlex.split(arguments.pytest)
    return run_sides(sides, arguments.into, files, more)


def _write(arguments: argparse.Namespace, facts: Mapping[str, object], table: str) -> None:
    """Write what was found to the files that --json and --markdown name."""
    if arguments.json:
        write_json(arguments.json, facts)
    if arguments.markdown:
        with arguments.markdown.open("a", encoding="utf-8") as file:
            file.write(table)
