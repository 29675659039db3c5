"""Shares of the tests leave none out, run none twice, and keep the claims on one subject together."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.machine.files import ROOT


@pytest.fixture(scope="module")
def start():
    """The file at the project's root in which pytest starts."""
    spec = spec_from_file_location("start", ROOT / "conftest.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(st.lists(st.sampled_from("abcdefgh")), st.integers(1, 9))
def test_all_shares_together_hold_every_test_once(start, keys, of):
    shares = [start.choose_share(keys, number, of) for number in range(1, of + 1)]
    assert sorted(key for share in shares for key in share) == sorted(set(keys))


@given(st.sets(st.text(max_size=3), min_size=1), st.integers(1, 9))
def test_shares_differ_by_at_most_one_test(start, keys, of):
    sizes = [len(start.choose_share(keys, number, of)) for number in range(1, of + 1)]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("written", ["", "2", "0/3", "4/3", "a/b", "-1/3", "1/0", "1/2/3"])
def test_a_share_that_there_is_not_is_refused(start, written):
    with pytest.raises(pytest.UsageError, match="expected K/N"):
        start.read_share(written)


def test_claims_on_one_subject_stay_together(start):
    def judge():
        pass

    judge.claim = "a claim"
    items = [
        SimpleNamespace(nodeid=f"{name}[{on}]", function=judge, callspec=SimpleNamespace(id=on))
        for name in ("test_a", "test_b")
        for on in ("planted", "unbound", "taught")
    ]
    left = []
    config = SimpleNamespace(
        getoption=lambda name: "2/2",
        hook=SimpleNamespace(pytest_deselected=lambda items: left.extend(items)),
    )
    every = list(items)
    start.pytest_collection_modifyitems(config, items)
    assert [item.nodeid for item in items] == ["test_a[unbound]", "test_b[unbound]"]
    assert left == [item for item in every if item not in items]
