"""A disk that is full at any write, or a clock that goes backwards, leaves no result that is not right."""

from __future__ import annotations

import os
import shutil

import pytest
from disturbed import WarmRuns, read_output, read_result, read_state, read_written

pytestmark = pytest.mark.deep


@pytest.fixture(scope="module")
def warm():
    runs = WarmRuns()
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def undisturbed(warm, tmp_path_factory):
    """The folder of an undisturbed run, the files that it wrote, and its exit status."""
    folder = tmp_path_factory.mktemp("undisturbed") / "whole"
    status = warm.run(folder)
    assert status in (0, 1), read_output(folder)
    return folder, read_written(folder), status


@pytest.mark.parametrize("way", ["full", "filled"])
def test_a_disk_that_is_full_at_any_write_is_told_in_a_line(warm, undisturbed, tmp_path, way):
    """It is full at one write, as when somebody makes room, or from then on."""
    earlier, written, status = undisturbed
    wanted = read_result(earlier)
    for at, path in enumerate(written):
        told = f"full at write {at}, {path}"
        folder = tmp_path / str(at)
        ended = warm.run(folder, at=at, way=way)
        output = read_output(folder)
        assert "No space left on device" in output, told
        assert "INTERNALERROR" not in output, told
        assert ended in (1, 4), told
        assert list(tmp_path.rglob("*.tmp")) == [], told
        if (folder / "out" / "scorecard.json").exists() and read_state(folder) == "finished":
            found = read_result(folder)
            # A measurement that is not kept is judged all the same; a verdict that is not kept is an error.
            lost = [r["claim"] for r in found["records"] if r["verdict"] == "error"]
            assert ("/store/" in path and found == wanted) or lost, told
            assert found["missing"] == [], told
        else:
            assert "/store/" not in path or way == "filled", told
        assert warm.run(folder) == status, told
        assert read_result(folder) == wanted, told
        shutil.rmtree(folder)


def test_a_clock_that_goes_backwards_changes_no_result(warm, undisturbed, tmp_path):
    earlier, _, status = undisturbed
    assert warm.run(tmp_path, clock=3600) == status, read_output(tmp_path)
    assert read_result(tmp_path) == read_result(earlier)


def test_files_from_the_future_are_used_and_replaced_like_others(warm, undisturbed, tmp_path):
    """As after a clock that was wrong for a day: nothing goes by which of two files is older."""
    earlier, _, status = undisturbed
    shutil.copytree(earlier, tmp_path / "run")
    (tmp_path / "run" / "out" / "scorecard.json").write_text('{"run": {"state": "begun"}}')
    for path in tmp_path.rglob("*"):
        os.utime(path, (2**32, 2**32))
    assert warm.run(tmp_path / "run") == status
    assert read_result(tmp_path / "run") == read_result(earlier)
    stored = [path for path in read_written(tmp_path / "run") if "/store/" in path]
    assert stored == [], "nothing was measured again"
