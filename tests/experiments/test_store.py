import json

import numpy as np
import pytest
import xarray as xr

from harness.experiments.measuring import Experiment, Measuring, TooFewTrials
from harness.experiments.store import Store, content_key
from harness.subjects.registry import read_registry

ENTRY = read_registry()["tiny-llava"]


def dataset(value=1.0):
    return xr.Dataset(
        {"r": (("pair", "layer"), np.full((2, 3), value)), "name": (("pair",), ["a", "b"])},
        {"pair": ["x", "y"], "layer": [0, 1, 2]},
    )


def test_what_is_put_is_what_is_got(tmp_path):
    store = Store(tmp_path)
    store.put("k", dataset(), {"experiment": "e"})
    assert store.get("k").identical(dataset())
    assert store.get("other") is None
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".nc"]


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "note", "foreign"])
def test_a_damaged_entry_is_not_there_and_said_to_be_damaged(tmp_path, damage):
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


def test_the_key_follows_everything_that_a_measurement_depends_on():
    keys = {
        content_key(name, weights, seed=seed, trials=trials)
        for name in ("a", "b")
        for weights in ("w", "v")
        for seed in (0, 1)
        for trials in (50, 51)
    }
    assert len(keys) == 16


def measuring(store, runs, **options):
    def run(subject, trials, rng, progress):
        runs.append(trials)
        return dataset(float(rng.random()))

    experiment = Experiment("made_up", run, trials=40)
    options = {"trials": None, "seed": 0, **options}
    made = Measuring(
        store, lambda entry: None, setting={"device": "cpu"}, say=lambda line: None, **options
    )
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
