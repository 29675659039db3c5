"""The last lines that a run prints: where all verdicts are, and which command to type next."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.judging.verdict import Outcome, Verdict
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import one_line


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended: what the next step depends on.

    Attributes:
        card: The run's scorecard.
        folder: The folder of --scorecard, or None.
        asked: The arguments behind `pytest` on the command line.
        embedded: Names of the subjects that ship with the project and are no controls.
        baseline: The baseline as it was named with --baseline.
        refusal: Why the run cannot be compared with the baseline; "" if it can.
        lost: Whether the run lost a claim against the baseline.
        narrowed: Whether only some of the claims were asked.
        whole: Whether every verdict was printed.
    """

    card: Scorecard
    folder: Path | None = None
    asked: tuple[str, ...] = ("claims",)
    embedded: Collection[str] = ()
    baseline: str | None = None
    refusal: str = ""
    lost: bool = False
    narrowed: bool = False
    whole: bool = False


OF_TOX = "claims -n 2 --scorecard reports/runs/latest"
"""Arguments that `tox run -e claims` (tox.ini) puts before those that the user typed."""


def tell_next_steps(ended: EndedRun, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The last lines of a run: where every verdict can be seen, and which commands to type next, and why."""
    steps = [(spell_command(command, environ), why) for command, why in choose_next_steps(ended)]
    column = max((len(command) for command, _ in steps), default=0) + 3
    return [
        *_tell_where(ended),
        *(
            f"{'next: ' if not i else '      '}{c.ljust(column)}{why}"
            for i, (c, why) in enumerate(steps)
        ),
    ]


def _tell_where(ended: EndedRun) -> list[str]:
    if not ended.card.records:
        return []
    every = f"all {len(ended.card.records)} verdicts" if ended.card.records[1:] else "the verdict"
    if ended.folder:
        table = "" if ended.whole else " (a table here: -v)"
        return [f"{every}, with pictures: {ended.folder}/index.html{table}"]
    if ended.whole:
        return ["with pictures: --scorecard out writes out/index.html; nothing is measured again"]
    return [
        f"{every}: -v prints a table, --scorecard out writes out/index.html; nothing is measured again"
    ]


def choose_next_steps(ended: EndedRun) -> list[tuple[str, str]]:
    """At most two commands to type next, each with what it is for, to be fitted by `spell_command`."""
    card, folder = ended.card, shlex.quote(str(ended.folder or "out"))
    keep = _repeat(ended.asked, "--scorecard", "out")
    whole = (_repeat(_ask_all_claims(ended.asked)), "every claim")
    standings = card.standings()
    red = [r for r in card.records if standings[r.claim, r.subject].outcome in _RED]
    if card.missing:
        stops = {"-x", "--exitfirst", "--maxfail"} & {a.partition("=")[0] for a in ended.asked}
        how = (
            f"the same command without {', '.join(sorted(stops))}"
            if stops
            else "the same command again"
        )
        return [(how, "goes on from what is measured already")]
    if not card.records:
        return [("claims list", "every claim; none was chosen here")]
    if ended.refusal:
        return [(_repeat(ended.asked, "--baseline", "none"), "judge it without that baseline")]
    if ended.lost or any(standings[r.claim, r.subject].change == "regressed" for r in red):
        before = shlex.quote(ended.baseline or next((r.subject for r in red), ""))
        first = [] if ended.folder else [(keep, "keep the run; nothing is measured again")]
        own = " --partial" if ended.narrowed else ""
        own += " --strict-heads" if "--strict-heads" in ended.asked else ""
        compare = (f"claims compare {before} {folder}{own}", "what was lost, scene by scene")
        bless = (f"claims bless {folder}", "if it is meant: make it the baseline")
        # A run of some claims must not become a baseline: the verdicts of the others would be gone.
        return [*first, compare, whole if ended.narrowed else bless][:2]
    broken = [r for r in red if r.verdict is Verdict.error or r.control] or red
    if broken and (broken[0].control or broken[0].verdict is Verdict.error):
        name = one_line(broken[0].claim)
        why = "that claim alone"
        why += "; fixtures/controls.toml has what it must give" if broken[0].control else ""
        # One claim alone is never all that was sealed.
        return [(_repeat(_drop_options(ended.asked, "--seal"), "-k", name), why)]
    if ended.narrowed:
        return [whole]
    if not red and card.subjects and set(card.subjects) <= set(ended.embedded):
        return [
            ("pytest claims -m control", "models that have the mechanism, and some that lack it")
        ]
    if not red and all(r.control for r in card.records):
        return [("pytest claims --subject ./checkpoint", "a model of your own")]
    if ended.folder is None:
        return [(keep, "keep it, for later runs to be compared with")]
    later = f"pytest claims --subject ./later --baseline {folder}"
    return [(later, "a later checkpoint against this one: red if it lost something")]


def _repeat(asked: Sequence[str], *changes: str) -> str:
    """The command line of a run with one option set to another value."""
    kept = _drop_options(asked, changes[0]) if changes else asked
    return shlex.join(["pytest", *kept, *changes])


def _drop_options(asked: Sequence[str], *options: str) -> list[str]:
    """A command line without the options named and their values."""
    kept: list[str] = []
    skip = False
    for argument in asked:
        name, equals, _ = argument.partition("=")
        if skip or name in options or (argument[:2] in options and argument[:2] != "--"):
            # The value is part of this argument, or is the next one.
            skip = not skip and argument in options and not equals
            continue
        kept.append(argument)
    return kept


def _ask_all_claims(asked: Sequence[str]) -> list[str]:
    """A command line that leaves out no claim: without -k, and all claims in place of some files.

    Nor does it allow a partial run, which it is not.
    """
    kept: list[str] = []
    named = False
    previous = ""
    whole = [argument for argument in asked if argument != "--partial"]
    for argument in _drop_options(whole, "-k", "--deselect", "--ignore"):
        # What follows an option may be its value, which stays as it is: `--subject claims`.
        is_value = previous.startswith("-") and "=" not in previous
        is_path = argument == "claims" and not is_value
        if is_path or argument.partition("::")[0].endswith(".py"):
            if not named:
                kept.append("claims")
            named = True
        else:
            kept.append(argument)
        previous = argument
    return kept


_RED = (Outcome.failed, Outcome.error)


def spell_command(
    command: str, environ: Mapping[str, str] = os.environ, executable: str = sys.executable
) -> str:
    """Rewrite a command so that it can be typed on this machine: through tox, or by the program's path.

    Args:
        command: A command that starts with `pytest` or `claims`; any other is returned as it is.
        environ: Environment variables; TOX_ENV_NAME and PATH are read.
        executable: The running Python, beside which the programs are installed.
    """
    program, _, rest = command.partition(" ")
    if program not in ("pytest", "claims"):
        return command
    rest = rest.replace(OF_TOX, "claims", 1)
    if environ.get("TOX_ENV_NAME") and program == "pytest":
        if rest == "claims -m control":
            return "tox run -e controls"
        return f"tox run -e claims -- {rest.removeprefix('claims').strip()}".removesuffix(" -- ")
    home = Path(executable).parent
    found = shutil.which(program, path=environ.get("PATH", ""))
    if environ.get("TOX_ENV_NAME") or found is None or Path(found).parent != home:
        beside = home / program
        if beside.exists():
            with contextlib.suppress(ValueError):
                beside = beside.relative_to(Path.cwd())
            return f"{beside} {rest}"
    return command
