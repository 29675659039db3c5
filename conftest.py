"""Pytest starts here: a worker gets its threads and GPU before torch is imported, then the plugin is loaded."""

import os
from collections.abc import Iterable

import pytest

from harness.machine.placement import place_process

place_process(os.environ)
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

pytest_plugins = ["harness.suite.plugin", "pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever has no hour run one of several shares of the tests, of which together none is left out."""
    parser.addoption(
        "--share",
        metavar="K/N",
        default="1/1",
        help="run the K-th of N shares of what is selected: every N-th test, or every N-th subject of claims",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one share of what -m and -k have selected; claims on one subject stay together."""
    number, of = read_share(config.getoption("--share"))
    keys = [_find_subject(item) or item.nodeid for item in items]
    kept = choose_share(keys, number, of)
    left = [item for item, key in zip(items, keys, strict=True) if key not in kept]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item, key in zip(items, keys, strict=True) if key in kept]


def read_share(written: str) -> tuple[int, int]:
    """Read "2/6" as the second of six shares.

    Raises:
        pytest.UsageError: It says no such thing.
    """
    number, _, of = written.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise pytest.UsageError(f"--share {written}: expected K/N with K from 1 to N, such as 2/6")
    return int(number), int(of)


def choose_share(keys: Iterable[str], number: int, of: int) -> set[str]:
    """Choose every `of`-th of the different keys in their order, from the `number`-th on."""
    return set(list(dict.fromkeys(keys))[number - 1 :: of])


def _find_subject(item: pytest.Item) -> str:
    """The subject that a claim is judged on; "" for tests that judge no claim."""
    judged = hasattr(getattr(item, "function", None), "claim")
    return item.callspec.id if judged and hasattr(item, "callspec") else ""
