"""The state of a run, as its scorecard says it: begun until everything is written, then finished."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

BEGUN, FINISHED = "begun", "finished"
"""States of a run. An older scorecard names none, and was written at the end."""


class Unfinished(ValueError):
    """The run whose scorecard is read has not finished."""


def describe_begun(schema: int, command: str, started: str) -> dict[str, Any]:
    """The facts that stand in the scorecard of a run that this process has begun."""
    return {
        "schema": schema,
        "state": BEGUN,
        "command": command,
        "started": started,
        "process": os.getpid(),
        "host": platform.node(),
    }


def tell_begun(run: Mapping[str, Any]) -> str:
    """By which command a run was begun, when and where, in words."""
    where = f"process {run.get('process', '?')} on {run.get('host', '?')}"
    return f"begun {run.get('started', '?')} by `{run.get('command', '?')}`, {where}"


def tell_unfinished(run: Mapping[str, Any]) -> str:
    """That a run has not finished, by which command it was begun, and what to do, in words."""
    return (
        f"its run has not finished ({tell_begun(run)}): if it is still running, wait for it; if it was "
        "killed, run that command again, which goes on from what is measured already"
    )


def refuse_unfinished(run: Mapping[str, Any]) -> None:
    """Refuse the facts of a run that has not finished.

    Raises:
        Unfinished: It has not; the message says by which command it was begun.
    """
    if run.get("state", FINISHED) != FINISHED:
        raise Unfinished(tell_unfinished(run))
