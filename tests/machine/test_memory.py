"""Where memory runs out it is reported, tried again with half the rows, and given back."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from harness.experiments.catalogue import MEDIATION, READINESS
from harness.machine.memory import LITTLE, clear_frames
from harness.measuring.batches import cut_batches, divide_batches, limit_rows
from harness.measuring.experiment import Experiment, measure_alone
from harness.measuring.measuring import Measuring
from harness.measuring.store import Store
from harness.runs.subject_holder import SubjectHolder
from harness.subjects.loading import load, measure_weights_gib
from harness.subjects.registry import read_registry
from harness.tracing.footprint import OutOfMemory

ENTRY = read_registry()["tiny-llava"]


class Held:
    """Stands for something large."""


def measuring(tmp_path, subject=None):
    said = []
    made = Measuring(
        Store(tmp_path),
        lambda entry: subject,
        trials=None,
        seed=0,
        setting={"device": "cpu"},
        say=said.append,
    )
    return made, said


def needing(rows, limit, errors, alive):
    """An experiment that runs `rows` rows at once, and raises the next of `errors` if those are too many."""

    def measure(request):
        large = Held()
        alive.append(weakref.ref(large))
        if limit_rows(rows) > limit:
            raise errors[len(alive) - 1]
        return xr.Dataset({"r": (("trial",), request.rng.random(request.trials))})

    return Experiment("greedy", measure, trials=40, source="made_up:greedy")


KINDS = [
    lambda: torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 7.00 GiB.\nGPU 0 has more"
    ),
    lambda: MemoryError(),
    lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_try_has_half_the_rows_and_the_measurement_says_so(tmp_path, kind):
    made, said = measuring(tmp_path)
    alive = []
    found = made.measure(needing(64, 32, [kind()], alive), ENTRY)
    assert found.data.attrs["batch"] == "half"
    assert "out of memory measuring greedy on tiny-llava with 64 rows at once: trying 32" in said[0]
    assert made.measure(needing(64, 0, [], alive), ENTRY).data.attrs["batch"] == "half"
    # The second try draws what the first would have.
    whole, _ = measuring(tmp_path / "whole")
    undivided = whole.measure(needing(64, 64, [], []), ENTRY).data
    assert np.array_equal(undivided.r, found.data.r)
    assert "batch" not in undivided.attrs


@pytest.mark.parametrize("kind", KINDS)
def test_where_half_is_too_much_the_claim_gets_the_error_and_no_memory_is_held(tmp_path, kind):
    made, _ = measuring(tmp_path)
    errors, alive = [kind(), kind()], []
    experiment = needing(64, 8, errors, alive)
    with pytest.raises(OutOfMemory) as caught:
        made.measure(experiment, ENTRY)
    said = str(caught.value)
    assert said.startswith(
        "out of memory: measuring greedy on tiny-llava with 64 rows at once and then 32 rows at once ("
    )
    assert "Try " in said
    assert "\n" not in said
    # The errors are still here, but what their frames held is gone.
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
    with pytest.raises(OutOfMemory):
        made.measure(experiment, ENTRY)
    assert len(alive) == 2, "what did not fit was tried again"


def test_other_errors_are_not_taken_for_a_lack_of_memory(tmp_path):
    made, said = measuring(tmp_path)
    alive = []
    with pytest.raises(RuntimeError, match="out of <memory>"):
        made.measure(needing(64, 8, [RuntimeError("out of <memory>")], alive), ENTRY)
    assert (len(alive), said) == (1, [])


def test_an_experiment_without_batches_is_not_tried_twice(tmp_path):
    made, _ = measuring(tmp_path)
    tried = []

    def measure(request):
        tried.append(request.trials)
        raise OutOfMemory("tiny-llava: one trial of 300 tokens does not fit into memory")

    with pytest.raises(
        OutOfMemory, match=r"measuring greedy on tiny-llava with one row at a time \("
    ):
        made.measure(Experiment("greedy", measure, trials=40, source="made_up:greedy"), ENTRY)
    assert tried == [40]


def test_parts_cover_everything_and_are_as_large_as_allowed():
    assert list(cut_batches(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    with divide_batches(2) as batches:
        assert list(cut_batches(5, 5)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
        assert limit_rows(1) == 1
    assert batches.rows == 2
    assert limit_rows(5) == 5


@pytest.mark.parametrize("experiment", [READINESS, MEDIATION], ids=lambda e: e.name)
def test_half_the_rows_measure_the_same(experiment):
    subject = load(ENTRY)
    whole = measure_alone(experiment, subject, trials=24)
    with divide_batches(2) as batches:
        half = measure_alone(experiment, subject, trials=24)
    assert batches.rows in (8, 16)
    xr.testing.assert_allclose(whole, half, atol=1e-4)


def test_an_error_that_is_let_go_keeps_its_message_but_not_its_tensors():
    alive = []

    def deepest():
        large = Held()
        alive.append(weakref.ref(large))
        raise ValueError("inner")

    def middle():
        large = Held()
        alive.append(weakref.ref(large))
        try:
            deepest()
        except ValueError as inner:
            raise RuntimeError("outer") from inner

    with pytest.raises(RuntimeError, match="outer") as caught:
        middle()
    gc.collect()
    assert all(ref() is not None for ref in alive)
    # A report reads `f_locals`, which caches a snapshot of the variables in the frame.
    assert "large" in caught.traceback[-1].frame.f_locals
    clear_frames(caught.value)
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
    assert str(caught.value.__cause__) == "inner"


def test_memory_that_stays_on_the_gpu_is_reported(monkeypatch):
    said = []
    holder = SubjectHolder("cpu", "sdpa", said.append)
    on_gpu = iter([0, LITTLE, 0, 3 * 2**30])
    monkeypatch.setattr("harness.runs.subject_holder.count_allocated_bytes", lambda: next(on_gpu))
    holder(ENTRY)
    holder.release()
    assert [line for line in said if "stay" in line] == []
    holder(ENTRY)
    holder.release()
    assert "3.0 GiB stay on the GPU after tiny-llava was let go" in said[-1]


def test_a_released_subject_is_gone():
    holder = SubjectHolder("cpu", "sdpa", lambda line: None)
    model = weakref.ref(holder(ENTRY).model)
    holder.release()
    assert model() is None


def test_a_subject_that_finds_no_memory_gives_one_line_and_keeps_no_weights(monkeypatch):
    alive = []

    def check(subject):
        alive.append(weakref.ref(subject.model))
        raise torch.OutOfMemoryError("CUDA out of memory.\nmore")

    monkeypatch.setattr("harness.tracing.selfcheck.selfcheck", check)
    holder = SubjectHolder("cpu", "sdpa", lambda line: None)
    for _ in range(2):
        with pytest.raises(
            OutOfMemory, match=r"out of memory: loading tiny-llava on cpu.*0\.0 GiB"
        ):
            holder(ENTRY)
    gc.collect()
    assert [ref() for ref in alive] == [None]


def test_weights_are_counted_in_the_folder_and_in_the_dtype_of_the_entry():
    parameters = sum(p.numel() for p in load(ENTRY).model.parameters())
    assert measure_weights_gib(ENTRY) == pytest.approx(parameters * 4 / 2**30, rel=0.05)
    assert measure_weights_gib(replace(ENTRY, dtype="bfloat16")) == measure_weights_gib(ENTRY) / 2
    # 13.35 billion parameters of two bytes, and of four.
    large = read_registry()["llava-1.5-13b"]
    assert measure_weights_gib(large) == pytest.approx(24.87, abs=0.05)
    assert measure_weights_gib(replace(large, dtype="float32")) == pytest.approx(49.7, abs=0.05)
    # What is stored in float32 stays so in exact mode.
    assert measure_weights_gib(replace(ENTRY, dtype="exact")) == measure_weights_gib(ENTRY)


def test_a_subject_larger_than_the_gpus_is_refused_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr("harness.runs.subject_holder._free", lambda: [10.0, 10.0])
    holder = SubjectHolder("cuda", "sdpa", lambda line: None)
    with pytest.raises(
        Exception, match=r"llava-1\.5-13b: its weights take 24\.9 GiB.*10\.0 and 10\.0"
    ):
        holder(read_registry()["llava-1.5-13b"])


def test_spreading_needs_accelerate_and_says_so(monkeypatch):
    monkeypatch.setattr("harness.subjects.loading.find_spec", lambda name: None)
    monkeypatch.setattr("harness.runs.subject_holder._free", lambda: [20.0, 20.0])
    holder = SubjectHolder("cuda", "sdpa", lambda line: None)
    with pytest.raises(Exception, match="accelerate.*is not installed: pip install"):
        holder(read_registry()["llava-1.5-13b"])


def test_a_model_that_spills_over_to_the_cpu_is_refused():
    from harness.subjects.loading import CannotLoad, _check_spread

    _check_spread("s", {"": "cpu"})
    _check_spread("s", {"model.a": 0, "model.b": 1})
    for place in ("cpu", "disk"):
        with pytest.raises(CannotLoad, match="s: parts of it found no room on a GPU"):
            _check_spread("s", {"model.a": 0, "model.b": place})
