"""What a measurement is named by: the code that can change it, and no other."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

from harness.experiments.catalogue import EXPERIMENTS, find_experiment
from harness.machine.files import ROOT
from harness.measuring import code
from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measuring
from harness.measuring.store import Store
from harness.subjects.registry import read_registry

ENTRY = read_registry()["tiny-llava"]


def forget():
    for cached in (
        code.find_source,
        code.imported_modules,
        code.hash_stimuli,
        code._hash_file,
        code._read,
    ):
        cached.cache_clear()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of the code, of which hashes are taken instead; gives a function that edits a file of it."""
    copy = tmp_path / "harness"
    shutil.copytree(ROOT / "harness", copy, ignore=shutil.ignore_patterns("__pycache__", "*.toml"))
    monkeypatch.setattr(code, "ROOT", copy)

    def edit(file, text="\n\nADDED = 1\n"):
        path = copy / file
        path.write_text(path.read_text() + text if "\n" in text else text)
        forget()

    forget()
    yield edit
    monkeypatch.undo()
    forget()


def hashes():
    return {e.name: code.hash_code([e.module]) for e in EXPERIMENTS}


def changed(edit, file, **text):
    before = hashes()
    edit(file, **text)
    after = hashes()
    return {name for name in before if before[name] != after[name]}


EVERY = " ".join(e.name for e in EXPERIMENTS)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("readings/visual_symbols/keys.py", ""),
        ("readings/reading.py", ""),
        ("statistics/draws.py", ""),
        ("statistics/looks.py", ""),
        ("judging/verdict.py", ""),
        ("reporting/page.py", ""),
        ("runs/run.py", ""),
        ("measuring/store.py", ""),
        ("measuring/code.py", ""),
        ("experiments/catalogue.py", ""),
        ("experiments/visual_symbols/keys.py", "keys"),
        ("experiments/visual_symbols/steering.py", "steering steering_drawn"),
        ("experiments/visual_symbols/behaviour.py", "behaviour readiness"),
        ("experiments/pushes.py", "steering steering_drawn"),
        ("measures/components.py", "components blocks"),
        ("measures/probes.py", "entropy repair similarity"),
        ("stimuli/scene.py", EVERY),
        ("subjects/anatomy.py", EVERY),
        ("tracing/attention.py", EVERY),
        ("measuring/batches.py", EVERY),
        ("measuring/seeding.py", EVERY),
    ],
    ids=lambda value: value if ".py" in value else "",
)
def test_an_edit_is_seen_by_the_experiments_that_it_can_change(tree, file, wanted):
    assert changed(tree, file) == set(wanted.split())


def test_a_file_three_imports_down_is_seen(tree):
    chain = [
        "harness.experiments.reproduction.retrieval_variants",
        "harness.experiments.patching",
        "harness.measures.mediation",
        "harness.statistics.halves",
    ]
    for importer, imported in pairwise(chain):
        assert imported in code.imported_modules(importer, code.find_source(importer))
    assert "retrieval_variants" in changed(tree, "statistics/halves.py")


@pytest.mark.parametrize(
    "text", ["\n\n# A comment.\n", '\n\n"""A text that stands alone."""\n', "\n\n\n\n\n"]
)
def test_comments_docstrings_and_empty_lines_change_nothing(tree, text):
    assert changed(tree, "experiments/visual_symbols/keys.py", text=text) == set()


def test_types_of_functions_change_nothing_and_a_default_does(tree):
    def text(signature):
        return f"\n\ndef added({signature}:\n    return None\n"

    tree("experiments/visual_symbols/keys.py", text=text("a, b=1)"))
    before = hashes()["keys"]
    path = code.find_source("harness.experiments.visual_symbols.keys")
    source = path.read_text()
    for signature, same in (("a: int, b: float = 1) -> None", True), ("a, b=2)", False)):
        path.write_text(source.replace("def added(a, b=1)", f"def added({signature}"))
        forget()
        assert (hashes()["keys"] == before) == same


def test_a_number_in_an_experiment_changes_its_name_and_that_of_what_builds_on_it(tree, tmp_path):
    """The name of a measurement follows from those that it builds on."""
    measuring = Measuring(
        Store(tmp_path / "store"), lambda e: None, trials=None, seed=0, setting={}, say=print
    )

    def keys():
        return {e.name: measuring.find_key(e, ENTRY) for e in EXPERIMENTS}

    before = keys()
    tree("experiments/visual_symbols/mediation.py")
    after = keys()
    built_on = {e.name for e in EXPERIMENTS if find_experiment("mediation") in e.needs}
    assert {name for name in before if before[name] != after[name]} == {"mediation"} | built_on


def test_all_that_python_imports_is_part_of_the_name():
    """Held to what an interpreter has loaded once the experiments are imported."""
    modules = sorted({e.module for e in EXPERIMENTS})
    program = (
        f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name for name in done.stdout.split() if name.startswith("harness.")}
    packages = {name for name in loaded if code.find_source(name).name == "__init__.py"}
    assert {"harness.experiments.editing", "harness.tracing.replay"} <= loaded
    assert loaded - packages <= set(code.gather_code(modules))


def test_packages_hold_no_code():
    """So that importing one of their modules runs nothing that no hash knows of."""
    for path in (ROOT / "harness").rglob("__init__.py"):
        if path.parent.name != "harness":
            assert all(map(code._is_text, ast.parse(path.read_text()).body)), path


def measure_ones(request):
    return xr.Dataset({"x": (("trial",), np.ones(request.trials))})


def test_an_experiment_of_ones_own_is_named_by_its_file():
    own = Experiment("own", measure_ones, 40)
    assert own.module == __name__
    assert set(code.gather_code([own.module])) >= {__name__, "harness.tracing.replay"}


def test_code_that_is_edited_while_it_measures_is_not_kept_under_its_old_name(tree, tmp_path):
    said = []
    measuring = Measuring(
        Store(tmp_path / "store"), lambda e: None, trials=None, seed=0, setting={}, say=said.append
    )
    source = "harness.experiments.visual_symbols.keys:measure"
    own = Experiment("own", measure_ones, 40, source=source)
    measuring.find_key(own, ENTRY)
    path = code.find_source("harness.experiments.visual_symbols.keys")
    path.write_text(path.read_text() + "\n\nADDED = 1\n")
    measuring.measure(own, ENTRY)
    assert not list((tmp_path / "store").glob("*.nc"))
    assert "own on tiny-llava is not kept: its code was changed while the run went on" in said


@pytest.mark.parametrize(
    "text",
    [
        "from .side import K",
        "from . import side",
        "import own_paper.side",
        "def f():\n    from own_paper.side import K",
        "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    from own_paper.side import K",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    from .side import K",
        "import beside",
    ],
)
def test_files_beside_an_experiment_of_ones_own_are_part_of_the_name(tmp_path, monkeypatch, text):
    package = tmp_path / "own_paper"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "main.py").write_text(text)
    (package / "side.py").write_text("K = 1\n")
    (tmp_path / "beside.py").write_text("K = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    before = code.hash_code(["own_paper.main"])
    assert before != code.hash_code([])
    for file in (package / "side.py", tmp_path / "beside.py"):
        file.write_text("K = 2\n")
    forget()
    assert code.hash_code(["own_paper.main"]) != before
    assert not {"own_paper", "beside"} & set(sys.modules), "something was loaded to be hashed"
    forget()


MEASURE = ["--subject", "tiny-llava", "--trials", "24", "--experiment", "arrangements"]


@pytest.mark.deep
def test_a_reading_can_be_rewritten_against_yesterdays_measurements(tmp_path):
    """The whole way: a store, and code that is edited between runs of the command that measures."""
    for name in ("harness", "fixtures", "claims"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)

    def measures(*edited):
        for file in edited:
            path = tmp_path / "harness" / file
            path.write_text(path.read_text() + "\n\nADDED = 1\n")
        command = [sys.executable, "-m", "harness.cli.main", "measure", *MEASURE]
        done = subprocess.run(
            [*command, "--store", "store"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "2 of 2 measurements are in" in done.stdout
        return "measured arrangements on tiny-llava" in done.stdout

    assert measures()
    assert not measures()
    assert not measures("readings/reproduction/arrangements.py", "statistics/estimate.py")
    assert measures("experiments/reproduction/arrangements.py")
    assert measures("statistics/halves.py")
    assert not measures()
