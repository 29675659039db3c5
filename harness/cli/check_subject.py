"""The subcommand `claims check-subject`: find out whether a checkpoint can be measured."""

from __future__ import annotations

import argparse

from harness.cli.options import Subparsers, add_subject_options

HINT = "stimuli.toml in its folder can give it other words, docs/stimuli.md"
"""What to do about a word that a model does not know."""


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "check-subject",
        help="find out whether a checkpoint of your own can be measured",
        description="Load a checkpoint and try, by effect, all that the experiments take for granted, one line "
        "per check; then show how it answers, since what names no color cannot be judged. Exits with 1 if any "
        "check fails, with 2 if the checkpoint cannot be loaded or asked (docs/subjects.md).",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument("subject", help="a folder with safetensors, or a name of subjects.toml")
    parser.add_argument("--family", help="where config.json does not say")
    parser.add_argument("--gpu", action="store_true", help="on a GPU")
    add_subject_options(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Load a checkpoint and try all that experiments take for granted; 1 if a check fails."""
    from harness.experiments.arranging import choose_arrangement
    from harness.experiments.catalogue import SPELLING
    from harness.experiments.spelling import draw_spelling_trials
    from harness.measuring.experiment import measure_alone
    from harness.runs.selection import apply_asked
    from harness.runs.subject_holder import choose_device, tell_arrangement, tell_rounding
    from harness.subjects.arrangement import check_template
    from harness.subjects.loading import load
    from harness.subjects.own_stimuli import FILE, USUAL
    from harness.subjects.registry import SharedFirstPiece, find, read_registry
    from harness.subjects.spelling import find_unknown_words
    from harness.tracing.conformance import check_conformance

    entry = find(arguments.subject, read_registry(), family=arguments.family)
    entry = apply_asked(entry, arguments.dtype, arguments.arrangement)
    device = choose_device(arguments.gpu)
    subject = choose_arrangement(load(entry, device=device), print)
    # Otherwise every check would fail in the same words.
    check_template(subject.tokenizer, subject.anatomy, subject.entry.arrangement)
    subject.encode(draw_spelling_trials(subject, 1)["sentence"])
    print(
        f"{entry.name}: {subject.anatomy.family}, {subject.layers} layers, {subject.heads} heads, "
        f"{subject.key_heads} key heads, {entry.dtype}, asked {subject.entry.arrangement}"
    )
    for line in (
        tell_arrangement(entry, subject.entry.arrangement),
        tell_rounding(entry, device),
    ):
        if line:
            print(line)
    if entry.stimuli != USUAL:
        print(f"{entry.name}: {FILE}: {entry.stimuli}")
    failed = 0
    for finding in check_conformance(subject):
        failed += bool(finding.failure)
        said = f"FAILED: {finding.failure}" if finding.failure else "ok"
        print(f"  {finding.check:44} {said}", flush=True)
    for word in find_unknown_words(subject.tokenizer, entry.stimuli):
        failed += 1
        print(f"FAILED: the tokenizer does not know {word!r}: {HINT}")
    try:
        spelled = measure_alone(SPELLING, subject, trials=SPELLING.count_trials(entry.scale))
        print(f"{entry.name}: {spelled.attrs['tells']}")
        asked = [
            t.answer for t in draw_spelling_trials(subject, spelled.sizes["trial"])["sentence"]
        ]
        own = entry.stimuli.names
        never = sorted(
            {own.get(w, w) for w in asked} - {own.get(w, w) for w in spelled.said.values.flat}
        )
        if never:
            print(f"{entry.name}: never answered, though asked for: {', '.join(never)} ({HINT})")
    except SharedFirstPiece as refusal:
        failed += 1
        print(f"FAILED: {refusal}")
    print(f"{failed} checks failed" if failed else "all checks passed")
    return 1 if failed else 0
