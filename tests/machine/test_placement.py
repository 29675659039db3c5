"""Threads and GPUs of a process are decided from names and numbers, so that no GPU is needed here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.machine.placement import (
    ROOM,
    DoesNotFit,
    NoGpu,
    check_gpus,
    count_threads,
    find_device,
    find_gpu_of_worker,
    list_visible_gpus,
    place_process,
)

NAMES = st.one_of(
    st.integers(0, 64).map(str),
    st.uuids().map(lambda u: f"GPU-{u}"),
    st.uuids().map(lambda u: f"MIG-{u}"),
)
GPUS = st.lists(NAMES, unique=True, max_size=9)


@given(GPUS)
def test_workers_share_out_the_callers_gpus_in_order_and_none_twice(names):
    visible = ",".join(names)
    given_out = [find_gpu_of_worker(i, visible) for i in range(len(names))]
    assert given_out == names
    assert find_gpu_of_worker(len(names), visible) == ""


@given(st.integers(0, 100))
def test_where_all_gpus_are_visible_a_worker_takes_the_one_with_its_number(index):
    assert find_gpu_of_worker(index, None) == str(index)


@given(GPUS, st.sampled_from(["-1", "", "NoDevFiles", "x"]), GPUS)
def test_the_list_of_gpus_ends_where_cuda_ends_it(names, stop, after):
    assert list_visible_gpus(",".join([*names, stop, *after])) == names


def test_spaces_around_names_do_not_matter():
    assert list_visible_gpus(" 3 , 5") == ["3", "5"]


@given(GPUS, st.integers(0, 12))
def test_a_worker_is_placed_once_and_processes_that_it_starts_keep_its_place(names, index):
    environ = {
        "PYTEST_XDIST_WORKER": f"gw{index}",
        "PYTEST_XDIST_WORKER_COUNT": "13",
        "CUDA_VISIBLE_DEVICES": ",".join(names),
    }
    place_process(environ)
    once = dict(environ)
    assert once["CUDA_VISIBLE_DEVICES"] == (names[index] if index < len(names) else "")
    assert int(once["OMP_NUM_THREADS"]) >= 1
    place_process(environ)
    assert environ == once
    # A worker of a run that was started in this worker has another number, and the same place.
    environ["PYTEST_XDIST_WORKER"] = "gw1"
    place_process(environ)
    assert environ["CUDA_VISIBLE_DEVICES"] == once["CUDA_VISIBLE_DEVICES"]


@pytest.mark.parametrize("environ", [{}, {"CUDA_VISIBLE_DEVICES": "3,5"}, {"OMP_NUM_THREADS": "7"}])
def test_a_process_that_is_no_worker_is_left_alone(environ):
    before = dict(environ)
    place_process(environ)
    assert environ == before


@given(st.integers(1, 256), st.integers(1, 64))
def test_threads_of_all_workers_are_no_more_than_the_cores(cores, workers):
    threads = count_threads({"PYTEST_XDIST_WORKER_COUNT": str(workers)}, cores)
    assert threads >= 1
    assert threads * workers <= cores or threads == 1
    assert count_threads({"OMP_NUM_THREADS": "3"}, cores) == 3


@given(st.integers(1, 64), st.integers(0, 64))
def test_more_workers_than_gpus_are_refused_with_the_number_allowed(workers, gpus):
    if workers <= gpus:
        check_gpus(workers, gpus)
        return
    with pytest.raises(NoGpu, match=rf"{workers} workers.*{gpus} visible GPUs?,.*use -n {gpus} "):
        check_gpus(workers, gpus)


FREE = st.lists(st.floats(0, 200), min_size=1, max_size=8)


@given(st.floats(0, 800), FREE)
def test_a_subject_goes_where_it_fits_and_is_spread_only_where_it_must_be(need, free):
    fits = [i for i, room in enumerate(free) if need * ROOM <= room]
    if fits:
        assert find_device("s", need, free) == f"cuda:{fits[0]}"
    elif need * ROOM <= sum(free):
        assert find_device("s", need, free) == "auto"
    else:
        with pytest.raises(DoesNotFit, match="s: its weights take .* GiB free"):
            find_device("s", need, free)


def test_one_gpu_is_never_spread_over():
    with pytest.raises(DoesNotFit, match="leave -n out"):
        find_device("llava-1.5-13b", 53, [47.2])
    assert find_device("llava-1.5-13b", 53, [47.2, 47.2]) == "auto"
    assert find_device("llava-1.5-13b", 53, [20.0, 79.0]) == "cuda:1"
