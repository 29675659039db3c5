"""The end of a run whose subjects changed under it: their claims have no verdict but an error."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from harness.suite.wiring import RUN


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    # Before the scorecard is made. Only the first process has marked the folders before any was read.
    run = session.config.stash.get(RUN, None)
    if run is not None and run.begun and not hasattr(session.config, "workerinput"):
        run.refuse_changed()
    return (yield)
