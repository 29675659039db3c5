"""Runs that are disturbed at one of their writes: killed, or told that the disk is full.

All of them are forks of one interpreter in which everything is imported, so that each takes a second or two.
Every file of a run takes its name by `os.replace`; that is where a run is disturbed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from harness.machine.files import ROOT

WAYS = ("half", "whole", "named", "later")
"""How a run is killed at a write: half of the temporary file is there, all of it is there, it has just taken
its name, or some time later."""

WARM = '''
"""Fork a run for every line that is read, and say how it ended."""
import errno, gc, json, os, signal, sys, threading, time, traceback

import h5netcdf, matplotlib.pyplot, pandas, pytest, scipy.stats, torch, transformers, xarray
import harness.cli.main, harness.experiments.arranging, harness.reporting.writing, harness.runs.run
import harness.subjects.loading, harness.suite.plugin, harness.tracing.selfcheck
from harness.experiments.catalogue import EXPERIMENTS
from harness.measuring.code import hash_code, hash_stimuli

hash_code(e.module for e in EXPERIMENTS)
hash_stimuli()
# A thread would not be there in a fork, and a lock that it held would stay held.
assert threading.active_count() == 1
gc.collect()
gc.freeze()

def disturb(at, way, later, noted):
    """Note every file that takes its name, and disturb this process at one of them."""
    written, replace = [], os.replace

    def end():
        os.kill(os.getpid(), signal.SIGKILL)

    def replaced(source, target, **more):
        with open(noted, "a") as file:
            file.write(f"{target}\\n")
        written.append(target)
        if len(written) - 1 < at or at < 0 or (len(written) - 1 > at and way != "filled"):
            return replace(source, target, **more)
        if way in ("full", "filled"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        if way == "half":
            os.truncate(source, os.path.getsize(source) // 2)
        if way == "later":
            threading.Timer(later, end).start()
        if way in ("half", "whole"):
            end()
        result = replace(source, target, **more)
        if way == "named":
            end()
        return result

    os.replace = replaced

def turn_clock_back(seconds):
    """Let the clock of this process go backwards, as many seconds each time that it is read."""
    read, now = [0], time.time

    def earlier():
        read[0] += 1
        return now() - seconds * read[0]

    time.time = earlier

for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(output, 1)
        os.dup2(output, 2)
        status = 99
        try:
            disturb(asked["at"], asked["way"], asked["later"], asked["noted"])
            if asked["clock"]:
                turn_clock_back(asked["clock"])
            status = int(pytest.main(asked["arguments"]))
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(status)
    _, ended = os.waitpid(child, 0)
    print(json.dumps(os.waitstatus_to_exitcode(ended)), flush=True)
'''


class WarmRuns:
    """An interpreter that judges cheap claims on `planted`, in one fork after another."""

    def __init__(self) -> None:
        # Plugins that are not needed cost time, and some cannot be imported after the libraries that they wrap.
        alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", WARM],
            cwd=ROOT, env={**os.environ, **alone, "OMP_NUM_THREADS": "1"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(self, folder, *options, at=-1, way="whole", later=0.0, clock=0):
        """Judge three claims into a folder, and return the exit status: negative if the run was killed.

        Args:
            folder: Holds the store, the scorecard, `written.txt` and `output.txt`.
            options: More of pytest's.
            at: Number of the write at which it is disturbed; -1 for none.
            way: One of WAYS, "full" for a disk that is full at one write, or "filled" for one that stays full.
            later: Seconds, with "later".
            clock: Seconds that the clock goes back whenever it is read.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "written.txt").unlink(missing_ok=True)
        asked = {
            "arguments": [
                "-q", "-p", "no:unraisableexception", "--trials", "24",
                f"{ROOT}/claims/visual_symbols/test_3_1_scene_description.py", "-k", "objects",
                "--subject", "planted", "--store", str(folder / "store"),
                "--scorecard", str(folder / "out"), *options,
            ],
            "output": str(folder / "output.txt"), "noted": str(folder / "written.txt"),
            "at": at, "way": way, "later": later, "clock": clock,
        }  # fmt: skip
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        """End the interpreter."""
        self._process.stdin.close()
        self._process.wait(timeout=60)


def read_written(folder):
    """The files that the last run in a folder gave their names, in this order, as far as it came."""
    noted = folder / "written.txt"
    return noted.read_text().splitlines() if noted.exists() else []


def read_output(folder):
    """What the last run in a folder printed."""
    return (folder / "output.txt").read_text()


def read_state(folder):
    """Whether the scorecard in a folder says that its run has finished, or only that it has begun."""
    return json.loads((folder / "out" / "scorecard.json").read_text())["run"]["state"]


def read_result(folder):
    """What a run found: all of the scorecard but its times and command, and its evidence by its digest."""
    content = json.loads((folder / "out" / "scorecard.json").read_text())
    for fact in ("started", "command"):
        del content["run"][fact]
    for record in content["records"]:
        del record["seconds"]
    return content


def list_files(folder):
    """The files that runs have left in a folder, without what differs between two runs by its name alone."""
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    own = {"output.txt", "written.txt"}
    return {f.split("/run-")[0] for f in found - own if not f.endswith(".lock")}
