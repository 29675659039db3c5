"""Evidence on disk: read back as it was, the same bytes each time, and a damaged file named."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import order

from harness.judging.evidence import load_evidence, load_folder_evidence, save_evidence
from harness.judging.record import load_records, save_record
from harness.statistics.draws import from_draws
from harness.statistics.estimate import mean, proportion
from harness.statistics.evidence import Evidence
from harness.statistics.shares import subtract_shares

PAIR = ("paper.1.a", "tiny")

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(numbers, st.booleans())
def test_what_is_read_back_is_what_was_saved(tmp_path_factory, values, drawn):
    path = tmp_path_factory.mktemp("evidence") / "e.json.gz"
    scenes = None if drawn else tuple(f"s{i // 2}" for i in range(len(values)))
    save_evidence(path, {PAIR: Evidence(np.array(values), scenes)})
    found = load_evidence(path)[PAIR]
    assert found.scenes == scenes
    assert found.values == pytest.approx(values, rel=1e-5)
    first = path.read_bytes()
    save_evidence(path, {PAIR: Evidence(np.array(values), scenes)})
    assert path.read_bytes() == first


def test_every_kind_of_estimate_carries_its_evidence():
    right, scenes = [True, False, True, True], "aabb"
    assert proportion(right, scenes).evidence.scenes == tuple(scenes)
    assert proportion(right, scenes).evidence.binary
    assert mean([1, 2, 3, 4], iter(scenes)).evidence.scenes == tuple(scenes)
    changes = subtract_shares([1, 0, 1, 0], [0, 0, 1, 1], scenes).evidence
    assert changes.values.tolist() == [1, 0, 0, -1]
    drawn = from_draws(0.0, [2.0, 1.0, 3.0], n=3, clusters=3).evidence
    assert drawn.values.tolist() == [2, 1, 3], "in the order drawn, so that draws of two runs meet"
    assert drawn.scenes is None
    assert not drawn.binary


def test_records_keep_their_evidence_beside_them(tmp_path):
    record = order()
    save_record(tmp_path, record, Evidence(np.arange(3.0)))
    assert load_records(tmp_path) == [record]
    assert load_folder_evidence(tmp_path)[record.claim, record.subject].values.tolist() == [0, 1, 2]
    save_record(tmp_path, record)
    assert load_folder_evidence(tmp_path) == {}


def packed(content):
    # A compressed file's header could hold the second in which it was written.
    return gzip.compress(json.dumps(content).encode(), mtime=0)


DAMAGED = {
    "not packed": b"not gzip",
    "not JSON": gzip.compress(b"not json", mtime=0),
    "another schema": packed({"schema": 99, "scenes": [], "evidence": []}),
    "keys missing": packed({"schema": 1}),
    "cut short": packed({"schema": 1, "scenes": [], "evidence": []})[:-6],
    # The header of a compressed file, followed by bytes that no compressor writes.
    "packed by no compressor": packed({})[:10] + b"\xff" * 20,
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "e.json.gz"
    path.write_bytes(DAMAGED[damage])
    with pytest.raises(ValueError, match=r"e\.json\.gz is not the evidence of a run"):
        load_evidence(path)


def test_without_a_file_there_is_no_evidence_and_nan_is_refused(tmp_path):
    assert load_evidence(tmp_path / "none") == {}
    with pytest.raises(ValueError, match="finite"):
        Evidence(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="2 values but 1 scenes"):
        Evidence(np.array([1.0, 2.0]), ("a",))
