"""A run that is killed at any moment leaves no result that is not its own, and goes on when asked again.

How often is `BINDING_CLAIMS_KILLS` (2 if it is not set); which moments these are follows from the test alone.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys

import pytest

from harness.machine.files import ROOT, write_json

pytestmark = pytest.mark.deep

KILLS = int(os.environ.get("BINDING_CLAIMS_KILLS", "2"))

KILLER = '''
"""Note every file that is written, and kill a process at one of them."""
import os, signal, threading

written, at = [], int(os.environ.get("KILL_AT", "-1"))
whom = os.getppid if os.environ["KILL_WHOM"] == "parent" else os.getpid
counts = os.environ["KILL_WHOM"] != "parent" or "PYTEST_XDIST_WORKER" in os.environ
replace = os.replace

def noted(source, target, **more):
    if counts:
        written.append(str(target))
        with open(os.environ["WRITTEN"], "a") as file:
            file.write(f"{target}\\n")
        if len(written) - 1 == at:
            later = float(os.environ["KILL_LATER"])
            if later < 0:
                # The temporary file is whole, and has not taken the name.
                os.kill(whom(), signal.SIGKILL)
            else:
                threading.Timer(later, os.kill, (whom(), signal.SIGKILL)).start()
    return replace(source, target, **more)

os.replace = noted
'''


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    """A function that judges cheap claims in a folder, and kills the run at a write if that is asked."""
    plugin = tmp_path_factory.mktemp("plugin")
    (plugin / "killer.py").write_text(KILLER)

    def run(folder, *options, at=-1, later=-1.0, whom="self"):
        environment = {
            **os.environ,
            "KILL_AT": str(at),
            "KILL_LATER": str(later),
            "KILL_WHOM": whom,
        }
        environment |= {"WRITTEN": str(folder / "written.txt")}
        environment["PYTHONPATH"] = os.pathsep.join([str(plugin), str(ROOT)])
        (folder / "written.txt").unlink(missing_ok=True)
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "-p", "killer", "--trials", "24",
                "claims/visual_symbols/test_3_1_scene_description.py", "--subject", "planted",
                "--store", str(folder / "store"), "--scorecard", str(folder / "out"), *options,
            ],
            cwd=ROOT, env=environment, text=True, capture_output=True, timeout=600,
        )  # fmt: skip
        return done

    return run


def read_result(folder):
    """What the run found: all of the scorecard but its times and command, and its evidence by its digest."""
    content = json.loads((folder / "out" / "scorecard.json").read_text())
    for fact in ("started", "command"):
        del content["run"][fact]
    for record in content["records"]:
        del record["seconds"]
    return content


@pytest.fixture(scope="module")
def undisturbed(go, tmp_path_factory):
    """What an undisturbed run finds, the files that it writes, and from which on a measurement is kept."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = go(folder)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    written = (folder / "written.txt").read_text().splitlines()
    kept = next(i for i, path in enumerate(written) if "/store/" in path and path.endswith("json"))
    return folder, written, kept + 1, done.returncode


def draw_moments(written, first):
    """Writes after the first kept measurement at which to kill, each with how long after it, in seconds."""
    moments = random.Random(1)
    places = [moments.randrange(first, len(written)) for _ in range(KILLS)]
    return [(at, moments.choice([-1.0, moments.uniform(0, 0.5)])) for at in places]


def test_a_run_killed_after_its_first_measurement_ends_as_an_undisturbed_one(
    go, undisturbed, tmp_path
):
    earlier, written, first, status = undisturbed
    wanted = read_result(earlier)
    for number, (at, later) in enumerate(draw_moments(written, first)):
        folder = tmp_path / str(number)
        folder.mkdir()
        # An earlier run has left the scorecard of something else there.
        shutil.copytree(earlier / "out", folder / "out")
        write_json(folder / "out" / "scorecard.json", {**wanted, "records": wanted["records"][1:]})
        killed = go(folder, at=at, later=later)
        told = f"killed at {written[at]}, {later} s later"
        over = killed.returncode != -signal.SIGKILL
        if over:
            # It was quicker than the delay.
            assert later > 0, told
            assert read_result(folder) == wanted, told
        else:
            state = json.loads((folder / "out" / "scorecard.json").read_text())["run"]["state"]
            assert state == "begun" or read_result(folder) == wanted, told
            assert state == "begun" or at == len(written) - 1 or later > 0, told
        assert go(folder).returncode == status, told
        assert read_result(folder) == wanted, told


def test_workers_that_outlive_a_killed_run_do_not_write_into_the_next(go, undisturbed, tmp_path):
    earlier, _, _, status = undisturbed
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        killed = go(folder, "-n", "2", at=2 + number, later=0.0, whom="parent")
        assert killed.returncode == -signal.SIGKILL, killed.stdout
        # At once, while the workers may still be at it.
        assert go(folder, "-n", "2").returncode == status
        assert read_result(folder) == read_result(earlier)
