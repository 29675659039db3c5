"""The parts of pytest-xdist that the suite uses, as types. It is optional, and checkers do not see its own."""

from __future__ import annotations

from typing import Protocol

import pytest


class Gateway(Protocol):
    """The connection to a worker."""

    id: str


class Worker(Protocol):
    """A worker as the controlling process sees it.

    Attributes:
        config: Configuration of the controlling process.
        gateway: Connection to the worker.
        workerinput: What the worker finds in its `config.workerinput`.
    """

    config: pytest.Config
    gateway: Gateway
    workerinput: dict[str, object]

    @property
    def shutting_down(self) -> bool:
        """Whether it was told to end once its tests are done."""


class Log(Protocol):
    """Prints messages for debugging pytest-xdist."""

    def __call__(self, *parts: object) -> None:
        """Print the parts, if debugging."""


class Scheduler(Protocol):
    """What hands out tests to workers."""

    config: pytest.Config
