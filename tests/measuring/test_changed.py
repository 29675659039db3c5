"""What is measured on weights that were replaced meanwhile is kept under no name."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import xarray as xr

from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measuring
from harness.measuring.store import Store
from harness.subjects.contents import FolderChanged
from harness.subjects.registry import find, read_registry


@pytest.fixture
def folder(checkpoints, tmp_path):
    return shutil.copytree(checkpoints["tiny-llava"], tmp_path / "mine")


def replace_weights(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    (folder / "new").write_bytes(content)
    (folder / "new").replace(path)


def measuring(store):
    return Measuring(
        Store(store), lambda entry: None, trials=None, seed=0, setting={}, say=lambda line: None
    )


def experiment(name, during=lambda: None):
    def measure(request):
        during()
        return xr.Dataset({"x": (("trial",), np.ones(request.trials))})

    return Experiment(name, measure, trials=40, source=f"made_up:{name}")


def test_weights_that_are_replaced_between_two_measurements_end_all_that_follow(folder, tmp_path):
    entry = find(str(folder), read_registry())
    made = measuring(tmp_path / "store")
    made.measure(experiment("first"), entry)
    key = made.find_key(experiment("second"), entry)
    replace_weights(folder)
    assert made.find_key(experiment("second"), entry) == key
    for name in ("second", "first", "third"):
        with pytest.raises(FolderChanged, match=r"mine: model\.safetensors is another"):
            made.measure(experiment(name), entry)
    assert len(list((tmp_path / "store").glob("*.nc"))) == 1
    # A run that begins now measures what is there now.
    later = measuring(tmp_path / "store")
    assert later.find_key(experiment("second"), entry) != key
    assert later.measure(experiment("first"), entry).seconds > 0


def test_weights_that_are_replaced_during_a_measurement_leave_nothing_in_the_store(
    folder, tmp_path
):
    entry = find(str(folder), read_registry())
    made = measuring(tmp_path / "store")
    with pytest.raises(FolderChanged):
        made.measure(experiment("first", lambda: replace_weights(folder)), entry)
    assert not list((tmp_path / "store").glob("*.nc"))


def test_the_folder_of_a_subject_is_hashed_once_for_all_measurements(folder, tmp_path, monkeypatch):
    from harness.subjects import contents

    read = []
    inner = contents.hashlib.file_digest
    monkeypatch.setattr(
        contents.hashlib,
        "file_digest",
        lambda file, how: read.append(file.name) or inner(file, how),
    )
    entry = find(str(folder), read_registry())
    made = measuring(tmp_path / "store")
    for name in ("first", "second", "third"):
        made.measure(experiment(name), entry)
    assert sum(name.endswith(".safetensors") for name in read) == 1
    assert len(read) == len(set(read))
