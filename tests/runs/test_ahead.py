"""Measuring ahead of judging: what is measured, where it goes, and that pytest then only judges."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.cli.main import main
from harness.experiments import catalogue
from harness.experiments.catalogue import EXPERIMENTS
from harness.machine.files import ROOT
from harness.measuring.experiment import Experiment
from harness.runs import ahead
from harness.runs.baselines import BadOption

FEW = ["--subject", "tiny-llava", "--trials", "24"]


def test_what_an_experiment_needs_comes_before_it():
    for names in ((), ("keys",), ("keys", "mediation", "behaviour")):
        order = [e.name for e in ahead.choose_experiments(names)]
        assert len(set(order)) == len(order)
        assert set(names) <= set(order)
        for place, experiment in enumerate(ahead.choose_experiments(names)):
            assert {e.name for e in experiment.needs} <= set(order[:place])
    with pytest.raises(BadOption, match=r"unknown experiment 'kees'; there are: spelling, "):
        ahead.choose_experiments(["kees"])


@pytest.mark.deep
def test_after_measuring_ahead_pytest_only_judges(tmp_path, capsys):
    store = ["--store", str(tmp_path / "store")]
    asked = ["--experiment", "behaviour", "--experiment", "arrangements"]
    assert main(["measure", *FEW, *store, *asked]) == 0
    printed = capsys.readouterr().out
    assert "measured behaviour on tiny-llava" in printed
    assert "3 of 3 measurements are in" in printed
    assert main(["measure", *FEW, *store, *asked]) == 0
    assert "measured" not in capsys.readouterr().out.replace("measurements", "")
    judging = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "claims", *FEW, *store, "--baseline", "none", "-q"),
            *("-k", "names_the or chat_changes"),
        ],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert "4 verdicts" in judging.stdout
    assert "measured " not in judging.stdout.split("scorecard")[0]
    assert "loaded" not in judging.stdout


def test_a_failed_measurement_is_reported_and_stops_nothing(tmp_path, capsys, monkeypatch):
    def fail(*args):
        raise RuntimeError("no such luck\nmore")

    broken = Experiment("broken", fail, trials=40)
    monkeypatch.setattr(catalogue, "EXPERIMENTS", (broken, *EXPERIMENTS))
    asked = ["--experiment", "broken", "--experiment", "arrangements"]
    assert main(["measure", *FEW, "--store", str(tmp_path), *asked]) == 1
    captured = capsys.readouterr()
    assert "2 of 3 measurements are in" in captured.out
    assert captured.err == "broken on tiny-llava: no such luck\n"


def test_a_bad_option_of_measure_is_reported(tmp_path, capsys):
    store = ["--store", str(tmp_path)]
    assert main(["measure", *FEW, *store, "--address", "auto"]) == 2
    assert "--engine ray" in capsys.readouterr().err
    assert main(["measure", *store, "--subject", "nobody"]) == 2
    assert "unknown subject 'nobody'" in capsys.readouterr().err
    assert main(["measure", *store, "--gpu"]) == 2
    assert "torch sees no CUDA device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--seed", "-1", "--seed: invalid value '-1': give a whole number from 0"),
        ("--trials", "abc", "--trials: invalid value 'abc': give a whole number\n"),
    ],
)
def test_a_number_that_is_none_is_refused(capsys, option, value, said):
    with pytest.raises(SystemExit):
        main(["measure", option, value])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("list", "with its statement"),
        ("measure", "attention implementation"),
        ("measure", "--trials, --dtype, --arrangement and --attention then judges"),
    ],
)
def test_the_help_of_a_subcommand_says_what_it_takes(capsys, command, said):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert said in " ".join(capsys.readouterr().out.split())


def test_without_ray_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["measure", *FEW, "--store", str(tmp_path), "--engine", "ray"]) == 2
    assert "binding-claims[cluster]" in capsys.readouterr().err


def test_a_cluster_gives_what_one_process_gives(tmp_path, capfd, monkeypatch):
    pytest.importorskip("ray")
    # On a cluster the suite is installed; processes of this machine find it here.
    paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in paths if p))
    asked = ["--experiment", "behaviour", "--experiment", "keys", "--experiment", "arrangements"]
    here, there = tmp_path / "here", tmp_path / "there"
    assert main(["measure", *FEW, *asked, "--store", str(there), "--engine", "ray"]) == 0
    assert "5 of 5 measurements are in" in capfd.readouterr().out
    assert main(["measure", *FEW, *asked, "--store", str(here)]) == 0

    def kept(folder):
        return {path.name: path.read_bytes() for path in folder.glob("*.json")}

    # Files named by keys hold checksums of measurements, so these are equal to the bit.
    assert kept(here) == kept(there)
    assert len(kept(here)) == 4


def test_a_folder_that_is_not_shared_is_noticed(tmp_path, capfd, monkeypatch):
    class Elsewhere:
        class exceptions:
            RayError = KeyError

        @staticmethod
        def get(ref):
            return [ahead.Result("0123", ""), ahead.Result("", "keys on s: no")]

    from harness.measuring.store import Store

    found = ahead._fetch(Elsewhere, Store(tmp_path), "s", ["behaviour", "keys"], None)
    assert "behaviour on s: measured, but not in" in found[0].problem
    assert found[1].problem == "keys on s: no"
