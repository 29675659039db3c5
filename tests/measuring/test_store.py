import errno
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measuring, TooFewTrials
from harness.measuring.store import Store, make_key
from harness.subjects.registry import read_registry

ENTRY = read_registry()["tiny-llava"]


def dataset(value=1.0):
    return xr.Dataset(
        {"r": (("pair", "layer"), np.full((2, 3), value)), "name": (("pair",), ["a", "b"])},
        {"pair": ["x", "y"], "layer": [0, 1, 2]},
    )


def test_a_stored_measurement_is_read_back_unchanged(tmp_path):
    store = Store(tmp_path)
    store.put("k", dataset(), {"experiment": "e"})
    assert store.get("k").identical(dataset())
    assert store.get("other") is None
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.is_file()) == [".json", ".nc"]


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "note", "foreign"])
def test_a_damaged_entry_is_reported_and_counts_as_missing(tmp_path, damage):
    said = []
    store = Store(tmp_path, said.append)
    store.put("k", dataset(), {})
    data, note = tmp_path / "k.nc", tmp_path / "k.json"
    content = data.read_bytes()
    if damage == "cut":
        data.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        data.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "gone":
        data.unlink()
    elif damage == "note":
        note.write_text(note.read_text()[:10])
    else:
        note.write_text(json.dumps(["not", "ours"]))
    assert store.get("k") is None
    assert "damaged" in said[0]


def test_a_failed_write_leaves_the_old_entry(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.put("k", dataset(1.0), {})
    monkeypatch.setattr("os.replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        store.put("k", dataset(2.0), {})
    monkeypatch.undo()
    assert store.get("k").identical(dataset(1.0))
    assert not list(tmp_path.glob("*.tmp"))


def test_a_full_disk_is_an_error_that_can_be_caught_and_leaves_no_files(tmp_path):
    # In a process of its own, since on a full disk the netCDF library could end it.
    program = """
import resource, sys
import numpy as np
import xarray as xr
from pathlib import Path
from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measuring
from harness.measuring.store import Store
from harness.subjects.registry import read_registry

def measure(request):
    return xr.Dataset({"r": (("trial",), request.rng.random(100_000))})

store = Store(Path(sys.argv[1]))
said = []
measuring = Measuring(
    store, lambda entry: None, trials=None, seed=0, setting={}, say=said.append
)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
entry = read_registry()["tiny-llava"]
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
own = Experiment("made_up", measure, trials=40, source="made_up:made_up")
found = measuring.measure(own, entry)
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
assert found.data["r"].size == 100_000
assert "could not keep made_up on tiny-llava: " in said[0], said
assert "File too large" in said[0], said
assert not list(store.folder.glob("*.tmp")), list(store.folder.iterdir())
assert measuring.measure(own, entry).seconds > 0
assert measuring.measure(own, entry).seconds == 0
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "store")], check=True)


def test_a_full_disk_does_not_stop_a_measurement(tmp_path, monkeypatch):
    def full(*args, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    said, runs = [], []
    made, experiment = measuring(Store(tmp_path), runs, say=said.append)
    monkeypatch.setattr("os.open", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    found = made.measure(experiment, ENTRY)
    monkeypatch.undo()
    assert found.data.identical(made.measure(experiment, ENTRY).data)
    assert "could not keep made_up on tiny-llava: [Errno 28] No space left" in said[0]
    assert runs == [40, 40]


HOLDER = """
import sys, time
from pathlib import Path
from harness.measuring.store import Store
sys.path.insert(0, sys.argv[2])
from test_store import dataset
store = Store(Path(sys.argv[1]))
with store.alone(sys.argv[3], "it") as found:
    assert found is None
    print("holds", flush=True)
    time.sleep(float(sys.argv[4]))
    store.put(sys.argv[3], dataset(7.0), {})
"""


def holder(folder, key, seconds):
    """Another process that has begun to measure under this key."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), str(Path(__file__).parent), key, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "holds\n"
    return process


def key_of(made, experiment, tmp_path, monkeypatch):
    """The key under which a measurement would be kept; nothing is measured."""
    keys = []
    monkeypatch.setattr(made.store, "get", lambda key: keys.append(key) or dataset())
    made.measure(experiment, ENTRY)
    monkeypatch.undo()
    return keys[0]


def test_a_measurement_in_another_process_is_awaited_and_the_wait_reported(tmp_path, monkeypatch):
    said, runs = [], []
    store = Store(tmp_path, said.append)
    made, experiment = measuring(store, runs)
    key = key_of(made, experiment, tmp_path, monkeypatch)
    process = holder(tmp_path, key, 1.0)
    found = made.measure(experiment, ENTRY)
    assert process.wait() == 0
    assert (found.data.identical(dataset(7.0)), found.seconds, runs) == (True, 0.0, [])
    assert said == ["waiting for another run that measures made_up on tiny-llava"]
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.is_file()) == [".json", ".nc"]


def test_a_process_killed_while_measuring_does_not_block_others(tmp_path, monkeypatch):
    runs = []
    made, experiment = measuring(Store(tmp_path), runs)
    key = key_of(made, experiment, tmp_path, monkeypatch)
    process = holder(tmp_path, key, 600)
    (tmp_path / f"{key}.{process.pid}.tmp").write_text("half of a file")
    threading.Timer(0.5, process.kill).start()
    found = made.measure(experiment, ENTRY)
    assert runs == [40]
    assert made.store.get(key).identical(found.data)
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.is_file()) == [".json", ".nc"]


def test_many_processes_make_a_measurement_once_and_damage_nothing(tmp_path):
    program = """
import sys, time
from pathlib import Path
from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measuring
from harness.measuring.store import Store
sys.path.insert(0, sys.argv[2])
from test_store import ENTRY, dataset
def measure(request):
    with open(Path(sys.argv[1]) / "runs.log", "a") as file:
        file.write("measured\\n")
    time.sleep(0.3)
    return dataset(float(request.rng.random()))
folder = Path(sys.argv[1]) / "store"
experiment = Experiment("made_up", measure, trials=40, source="made_up:made_up")
made = Measuring(
    Store(folder, print), lambda entry: None, trials=None, seed=0, setting={}, say=print
)
print(float(made.measure(experiment, ENTRY).data["r"][0, 0]))
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert (tmp_path / "runs.log").read_text() == "measured\n"
    assert len({text.splitlines()[-1] for text in printed}) == 1
    assert "damaged" not in "".join(printed)


def test_a_folder_that_cannot_be_locked_is_used_without_a_lock(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    runs = []
    made, experiment = measuring(Store(tmp_path), runs)
    made.measure(experiment, ENTRY)
    made.measure(experiment, ENTRY)
    assert runs == [40]


def test_the_key_depends_on_everything_that_changes_a_measurement():
    keys = {
        make_key(name, weights, code, seed=seed, trials=trials)
        for name in ("a", "b")
        for code in ("c", "d")
        for weights in ("w", "v")
        for seed in (0, 1)
        for trials in (50, 51)
    }
    assert len(keys) == 32


def measuring(store, runs, **options):
    def measure(request):
        runs.append(request.trials)
        return dataset(float(request.rng.random()))

    experiment = Experiment("made_up", measure, trials=40, source="made_up:made_up")
    options = {"trials": None, "seed": 0, "say": lambda line: None, **options}
    made = Measuring(store, lambda entry: None, setting={"device": "cpu"}, **options)
    return made, experiment


def test_a_measurement_is_made_once(tmp_path):
    runs = []
    first, experiment = measuring(Store(tmp_path), runs)
    made = first.measure(experiment, ENTRY)
    second, experiment = measuring(Store(tmp_path), runs)
    again = second.measure(experiment, ENTRY)
    assert runs == [40]
    assert again.data.identical(made.data)
    assert (again.key, again.seconds) == (made.key, 0.0)


def test_another_seed_or_number_of_trials_is_another_measurement(tmp_path):
    runs, keys = [], set()
    for options in ({}, {"seed": 1}, {"trials": 32}):
        made, experiment = measuring(Store(tmp_path), runs, **options)
        keys.add(made.measure(experiment, ENTRY).key)
    assert len(keys) == 3
    assert runs == [40, 40, 32]


def test_too_few_trials_are_refused_with_the_number_that_is_enough(tmp_path):
    with pytest.raises(TooFewTrials, match="--trials 23: at least 24"):
        measuring(Store(tmp_path), [], trials=23)
