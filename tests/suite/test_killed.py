"""A run that is killed at any write leaves no result that is not its own, and goes on when asked again.

How often is `BINDING_CLAIMS_KILLS` (3 if it is not set; 100 take some ten minutes). Which moments these are
follows from the test alone: first every file that is written in each of four ways, then more at random.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys

import pytest
from disturbed import (
    WAYS,
    WarmRuns,
    list_files,
    read_output,
    read_result,
    read_state,
    read_written,
)

from harness.machine.files import ROOT, write_json

pytestmark = pytest.mark.deep

KILLS = int(os.environ.get("BINDING_CLAIMS_KILLS", "3"))

LONGEST = 0.3
"""Most seconds after a write at which a run is killed: with 1.5, three in ten had ended before."""


@pytest.fixture(scope="module")
def warm():
    runs = WarmRuns()
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def undisturbed(warm, tmp_path_factory):
    """An undisturbed run, with a store in which its first measurement was kept before, and what it wrote."""
    folder = tmp_path_factory.mktemp("undisturbed")
    status = warm.run(folder / "whole")
    assert status in (0, 1), read_output(folder / "whole")
    kept = [path for path in read_written(folder / "whole") if "/store/" in path]
    first = next(os.path.basename(path) for path in kept if path.endswith(".json"))
    (folder / "first").mkdir()
    for name in (first, first.replace(".json", ".nc")):
        shutil.copy(folder / "whole" / "store" / name, folder / "first")
    shutil.copytree(folder / "first", folder / "rest" / "store")
    assert warm.run(folder / "rest") == status
    assert read_result(folder / "rest") == read_result(folder / "whole")
    return folder, read_written(folder / "rest"), status


def draw_moments(written):
    """The writes at which to kill a run, with the way and seconds: each in every way, and then at random."""
    drawn = random.Random(1)
    moments = [(at, way) for at in range(len(written)) for way in WAYS]
    drawn.shuffle(moments)
    more = [(drawn.randrange(len(written)), "later") for _ in range(KILLS)]
    return [(at, way, drawn.uniform(0, LONGEST)) for at, way in (moments + more)[:KILLS]]


def test_a_run_writes_every_kind_of_file(undisturbed):
    """The moments are among these, so that a kind of file that is missing here is one that is never tried."""
    _, written, _ = undisturbed
    kinds = {
        "store": "/store/",
        "record": "/records/",
        "evidence of a claim": ".evidence.gz",
        "evidence": "/scorecard.evidence.json.gz",
        "scorecard": "/scorecard.json",
        "JUnit": "/scorecard.xml",
        "page": "/index.html",
    }
    assert [kind for kind, part in kinds.items() if not any(part in path for path in written)] == []


def test_a_run_killed_after_its_first_measurement_ends_as_an_undisturbed_one(
    warm, undisturbed, tmp_path
):
    earlier, written, status = undisturbed
    wanted, files = read_result(earlier / "rest"), list_files(earlier / "rest")
    equal = killed = 0
    for number, (at, way, later) in enumerate(draw_moments(written)):
        folder = tmp_path / str(number)
        shutil.copytree(earlier / "first", folder / "store")
        # An earlier run has left the scorecard of something else there.
        shutil.copytree(earlier / "rest" / "out", folder / "out")
        write_json(folder / "out" / "scorecard.json", {**wanted, "records": wanted["records"][1:]})
        ended = warm.run(folder, at=at, way=way, later=later)
        told = f"{number}: killed at {written[at]}, {way}, {later:.2f} s"
        if ended == -signal.SIGKILL:
            killed += 1
        else:
            # It was quicker than the delay.
            assert (way, ended) == ("later", status), told + read_output(folder)
        # Before the first file has its name the run has not begun, and the earlier scorecard is still there.
        if at > 0 or way not in ("half", "whole"):
            finished = read_state(folder) == "finished"
            assert not finished or read_result(folder) == wanted, told
            assert finished == (at == len(written) - 1 and way == "named") or way == "later", told
        assert warm.run(folder) == status, told + read_output(folder)
        assert read_result(folder) == wanted, told
        assert list_files(folder) == files, told
        equal += 1
        shutil.rmtree(folder)
    assert equal == KILLS
    # With the delays some runs end before they are killed, but not most of them.
    assert killed >= 0.7 * KILLS
    print(f"{equal} of {KILLS} equal, {killed} of them killed")


WORKERS_KILLED = min(KILLS, 3)

KILLER = '''
"""Kill the parent of a worker of pytest-xdist when the worker gives a file its name."""
import os, signal

at, written, replace = int(os.environ["KILL_AT"]), [], os.replace

def noted(source, target, **more):
    if "PYTEST_XDIST_WORKER" in os.environ:
        written.append(target)
        if len(written) - 1 == at:
            os.kill(os.getppid(), signal.SIGKILL)
    return replace(source, target, **more)

os.replace = noted
'''


def test_workers_that_outlive_a_killed_run_do_not_write_into_the_next(undisturbed, tmp_path):
    earlier, _, status = undisturbed
    (tmp_path / "killer.py").write_text(KILLER)

    def go(folder, at):
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        return subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "-p", "killer", "--trials", "24", "-n", "2",
                "claims/visual_symbols/test_3_1_scene_description.py", "-k", "objects",
                "--subject", "planted", "--store", str(folder / "store"),
                "--scorecard", str(folder / "out"),
            ],
            cwd=ROOT, env={**os.environ, "KILL_AT": str(at), "PYTHONPATH": path}, text=True,
            capture_output=True, timeout=600,
        )  # fmt: skip

    for number in range(WORKERS_KILLED):
        folder = tmp_path / str(number)
        killed = go(folder, 2 + number)
        assert killed.returncode == -signal.SIGKILL, killed.stdout
        # At once, while the workers may still be at it.
        assert go(folder, -1).returncode == status
        assert read_result(folder) == read_result(earlier / "rest")
