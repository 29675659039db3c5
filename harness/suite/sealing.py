"""Refuse to judge anything else than was sealed, also where workers of pytest-xdist collect it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.judging.claim import Pair
from harness.judging.seal_differences import find_differences, find_unasked
from harness.machine.files import write_json
from harness.reporting.wording import spell_count
from harness.runs.run import Run
from harness.runs.sealing import describe_seal, gather_seal, state_tests
from harness.suite.wiring import RECORDS, RUN

MATCHED = pytest.StashKey[str]()
"""Of the configuration: that all that was collected is as it was sealed, in a line."""


def refuse_unsealed(
    session: pytest.Session,
    run: Run,
    asked: Iterable[Pair],
    left_out: Iterable[Pair],
    process: str,
) -> None:
    """Refuse a session that would ask something else than its run's seal says.

    A worker only writes the differences down, since an error of its own would look like a crash; the
    controlling process, which collects nothing, refuses when it hears that the worker is ready.

    Args:
        session: The session, with all its tests.
        run: The run of this process.
        asked: Claims and subjects that are tested.
        left_out: Claims and subjects that were found and not chosen.
        process: Name of this process.

    Raises:
        pytest.UsageError: There are differences; the message names each.
    """
    found = _find_unsealed(run, session.items, list(asked), list(left_out))
    if not found:
        session.config.stash[MATCHED] = _tell_matched(run)
        return
    if hasattr(session.config, "workerinput"):
        write_json(_name_note(session.config, process), found)
        return
    raise _refuse(run, found)


def refuse_noted(config: pytest.Config, process: str) -> None:
    """Refuse, in the controlling process, what a worker has collected and found not to be as it was sealed.

    Raises:
        pytest.UsageError: The worker noted differences; the message names each.
    """
    run, note = config.stash[RUN], _name_note(config, process)
    if run is not None and run.seal is not None and note.exists():
        raise _refuse(run, json.loads(note.read_text(encoding="utf-8")))


def _find_unsealed(
    run: Run, items: Iterable[pytest.Item], asked: list[Pair], left_out: list[Pair]
) -> list[str]:
    """What a run would ask otherwise than its seal says, a line each; nothing for a run without a seal."""
    if run.seal is None:
        return []
    options, tests = run.options, state_tests(items)
    try:
        now = gather_seal(tests, seed=options.seed, trials=options.trials, gate=options.gate)
    except ValueError as error:
        return [str(error)]
    controls = {entry.name.partition(":")[0] for entry in run.entries if run.is_exact(entry)}
    subjects = {subject for _, subject in asked or left_out}
    found = find_differences(run.seal, now, controls)
    return [str(each) for each in (*found, *find_unasked(run.seal, asked, left_out, subjects))]


def _tell_matched(run: Run) -> str:
    """That what would be asked is what was sealed, in a line; "" for a run without a seal."""
    if run.seal is None:
        return ""
    claims, facts = spell_count(len(run.seal.claims), "claim"), describe_seal(run.seal)
    changed = f"; {facts['changed']} changed since" if "changed" in facts else ""
    return f"--seal {run.options.seal}: all is as it was sealed: {claims}, digest {run.seal.digest}{changed}"


def _refuse(run: Run, differences: list[str]) -> pytest.UsageError:
    # Nothing was judged, so that the end of the session has nothing to conclude.
    run.begun = False
    lines = [f"--seal {run.options.seal}: this is not what was sealed, so nothing was judged"]
    return pytest.UsageError("\n".join([*lines, *(f"  {text}" for text in differences)]))


def _name_note(config: pytest.Config, process: str) -> Path:
    """The file in which a worker writes what is not as it was sealed; not *.json, as records are called."""
    return config.stash[RECORDS] / f"unsealed-{process}.txt"
