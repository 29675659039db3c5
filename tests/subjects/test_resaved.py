"""A checkpoint that is saved again in another way is read as the same numbers."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.resaved import SAVED, save_again
from harness.subjects.weights import INDEX, SINGLE

REGISTRY = read_registry()
PLANTED = find("planted", REGISTRY)


@pytest.fixture(scope="module")
def weights():
    return load(PLANTED).model.state_dict()


@pytest.mark.parametrize("how", SAVED)
def test_what_is_saved_again_is_loaded_as_it_was(weights, tmp_path, how):
    folder = save_again(PLANTED.folder, tmp_path / how, how)
    entry = find(str(folder), REGISTRY)
    assert (entry.kind, entry.dtype) == ("local", "float32")
    found = load(entry).model.state_dict()
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_each_way_makes_other_files(tmp_path):
    made = {how: save_again(PLANTED.folder, tmp_path / how, how) for how in SAVED}
    assert (made["sharded"] / INDEX).is_file()
    assert len(list(made["sharded"].glob("*.safetensors"))) == 3
    before = (PLANTED.folder / SINGLE).read_bytes()
    single = [how for how in SAVED if (made[how] / SINGLE).is_file()]
    assert single == ["reversed", "double"]
    assert all((made[how] / SINGLE).read_bytes() != before for how in single)
    with safe_open(made["double"] / SINGLE, "pt") as held:
        assert {held.get_slice(name).get_dtype() for name in held.keys()} == {"F64"}  # noqa: SIM118
    with safe_open(made["reversed"] / SINGLE, "pt") as held:
        names = held.offset_keys()
    assert names == sorted(names, reverse=True)


def test_numbers_that_another_precision_holds_are_not_saved_again(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    save_file({"a": torch.zeros(2, dtype=torch.bfloat16)}, source / SINGLE)
    with pytest.raises(ValueError, match=r"a is not of float32"):
        save_again(source, tmp_path / "again", "double")
    assert not (tmp_path / "again").exists()
