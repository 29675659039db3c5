"""A notebook measures, reads, draws and judges as pytest does; the documents' lines are run as they stand."""

from __future__ import annotations

import inspect
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from harness.experiments.catalogue import EXPERIMENTS, find_experiment
from harness.experiments.tasks import TASKS
from harness.judging.verdict import Verdict
from harness.machine.files import ROOT
from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measured
from harness.readings.visual_symbols.behaviour import Behaviour
from harness.runs.claim_functions import find_claim, load_claims
from harness.runs.notebook import OpenSubject, open_subject
from harness.runs.options import Options
from harness.runs.run import Run
from harness.subjects.registry import Entry, find, read_registry

SETS = sorted(
    {"two objects", "four objects, 2x2", *TASKS, *(e.requires for e in EXPERIMENTS if e.requires)}
)

TRIALS = 240


def answered(share: float) -> xr.Dataset:
    """A measurement of `behaviour` on as many scenes as trials, with a share of right answers in every set."""
    right = np.broadcast_to(np.arange(TRIALS) < round(TRIALS * share), (len(SETS), TRIALS))
    scenes = np.broadcast_to([f"s{i}" for i in range(TRIALS)], right.shape)
    rows = {"right": right, "named": np.ones_like(right), "scene": scenes}
    data = {name: (("set", "trial"), values) for name, values in rows.items()}
    return xr.Dataset(data, {"set": list(SETS)}, {"experiment": "behaviour"})


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A function that opens a subject of which every experiment measures the same, without a model."""

    def measure(run: Run, experiment: Experiment, entry: Entry, data: xr.Dataset) -> Measured:
        return Measured(data, f"key of {experiment.name}", 0.0)

    def go(data: xr.Dataset, name: str = "tiny-llava") -> OpenSubject:
        run = Run(
            Options(subjects=("tiny-llava",), baseline="none", store=tmp_path), lambda line: None
        )
        monkeypatch.setattr(run, "measure", lambda e, entry: measure(run, e, entry, data))
        return OpenSubject(run, find(name, read_registry()))

    return go


def test_a_measurement_gives_data_reading_and_table(opened):
    found = opened(answered(1.0)).measure("behaviour")
    assert isinstance(found.data, xr.Dataset)
    assert isinstance(found.reading, Behaviour)
    assert found.reading.accuracy("two objects").value == 1.0
    assert found.key == "key of behaviour"
    table = found.frame("right", "scene")
    assert list(table.columns) == ["set", "trial", "right", "scene"]
    assert len(table) == len(SETS) * TRIALS


def test_a_table_has_one_row_a_trial_where_there_are_values_of_trials(opened):
    data = xr.Dataset(
        {"all": ("layer", [1.0, 2.0]), "one": ("trial", [1, 2, 3]), "two": ("trial", [4, 5, 6])}
    )
    table = opened(data).measure("behaviour").frame()
    assert list(table.columns) == ["trial", "one", "two"]
    assert len(table) == 3
    only = xr.Dataset({"r": (("pair", "layer"), np.eye(2))}, {"pair": ["a", "b"]})
    assert len(opened(only).measure("behaviour").frame()) == 4


def test_a_claim_is_judged_as_it_stands_in_its_file(opened):
    judged = opened(answered(1.0)).judge("visual_symbols.3.1.two_objects")
    assert judged.verdict is Verdict.supported
    assert judged.record.claim == "visual_symbols.3.1.two_objects"
    assert judged.record.measurement == "key of behaviour"
    assert judged.estimate.value == judged.record.estimate == 1.0
    refuted = opened(answered(0.1)).judge("visual_symbols.3.1.two_objects")
    assert refuted.verdict is Verdict.refuted


def test_a_claim_is_blocked_where_the_subject_fails_the_task(opened):
    judged = opened(answered(0.1)).judge("3.3.position_at_last")
    assert judged.verdict is Verdict.blocked
    assert "does not do the task" in judged.record.reason
    assert judged.estimate is None


def test_a_claim_that_does_not_exist_or_is_one_of_several_is_named():
    with pytest.raises(LookupError, match="claims list"):
        find_claim("nothing")
    ends = [claim.rpartition(".")[2] for claim in load_claims()]
    twice = next((end for end in ends if ends.count(end) > 1), None)
    if twice is not None:
        with pytest.raises(LookupError, match="no single claim"):
            find_claim(twice)


def test_the_claims_are_those_that_the_suite_collects():
    declared = "".join(p.read_text() for p in (ROOT / "claims").rglob("test_*.py"))
    assert len(load_claims()) == declared.count("\ndef test_") > 100


def test_every_claim_asks_only_for_what_a_notebook_gives():
    for _, function in load_claims().values():
        for name in set(inspect.signature(function).parameters) - {"judge"}:
            assert find_experiment(name).reading


def test_an_experiment_without_a_figure_says_of_which_there_are_some(opened):
    with pytest.raises(
        LookupError, match="no figure is made of behaviour; there are some of .*similarity"
    ):
        opened(answered(1.0)).measure("behaviour").figure()


HOSTILE = "<script>alert(1)</script>\x1b[2J" + "long " * 4_000


def test_whatever_is_shown_is_escaped_and_short(opened):
    data = answered(1.0)
    model = opened(data)
    model = OpenSubject(model.run, Entry(HOSTILE, "llava", HOSTILE, "embedded"))
    shown = [model, model.measure("behaviour"), model.judge("visual_symbols.3.1.two_objects")]
    for one in shown:
        assert "<script>" not in one._repr_html_()
        assert "\x1b" not in one._repr_html_() + repr(one)
        assert len(repr(one)) < 6_000


def test_what_comes_back_says_what_it_is(opened):
    found = opened(answered(1.0)).measure("behaviour")
    assert repr(found).startswith("behaviour on tiny-llava\n")
    assert "Behaviour: accuracy" in repr(found)
    assert "xarray.Dataset" in found._repr_html_()
    judged = found.subject.judge("visual_symbols.3.1.two_objects")
    assert re.search(r"verdict +supported\n", repr(judged))
    assert "tiny-llava" in repr(found.subject)


@pytest.mark.deep
def test_the_ten_lines_of_the_documents_run(tmp_path, monkeypatch, capsys):
    [lines] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "notebook.md").read_text(), re.S)
    assert len([x for x in lines.splitlines() if x.strip()]) == 10
    monkeypatch.setattr(Options, "store", tmp_path / "store")
    names: dict[str, object] = {}
    exec(compile(lines, "docs/notebook.md", "exec"), names)
    assert set(names["curves"].r.dims) == {"pair", "half", "layer"}
    assert names["low"] < names["strength"].value < names["high"]
    assert isinstance(names["table"], pd.DataFrame)
    root = ET.fromstring(names["figure"].svg)
    assert root.tag.endswith("svg")
    names["figure"].save(tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_text() == names["figure"].svg
    assert names["judged"].verdict in list(Verdict)
    assert "position_at_last" in capsys.readouterr().out
    # What was measured is kept: nothing is measured a second time.
    said: list[str] = []
    again = open_subject("tiny-llava", trials=48, store=tmp_path / "store", say=said.append)
    xr.testing.assert_identical(again.measure("similarity").data, names["curves"])
    assert said == []
