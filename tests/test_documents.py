"""The documents name what exists: paths, modules, links; and the worked example of CONTRIBUTING works."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from harness.machine.files import ROOT

FOLDERS = "harness|tests|docs|fixtures|claims|reports|benchmarks"
PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./*<>-]*[\w*>/]")
MODULE = re.compile(r"(?<![\w./-])harness(?:\.\w+)+")
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAME_IN = re.compile(r"`(\w+)` in\s+`(harness/[\w/]+\.py)`")
FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)

MADE_BY_RUNS = ("reports/runs", "reports/store")
"""Folders that are not there before the first run."""

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "fixtures/**/*.md", "reports/**/*.md", ".github/**/*")
    for path in ROOT.glob(pattern)
    if path.is_file() and not str(path.relative_to(ROOT)).startswith(MADE_BY_RUNS)
)


def find_faults(text: str, path: Path) -> list[str]:
    """What a document names that is not there, in the document's own words."""
    return [
        *(found for found in find_paths(text, path) if not path_exists(found)),
        *(found for found in MODULE.findall(text) if not module_exists(found)),
        *(found for found in LINK.findall(FENCE.sub("", text)) if not link_leads(found, path)),
        *(f"{n} in {p}" for n, p in NAME_IN.findall(text) if not defines(ROOT / p, n)),
    ]


def find_paths(text: str, path: Path) -> Iterator[str]:
    """Paths in backticks; in a file that is not Markdown, all of them."""
    spans = [text]
    if path.suffix == ".md":
        spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return (found for span in spans for found in PATH.findall(span))


def path_exists(named: str) -> bool:
    """Whether a path of the repository exists; `<paper>` stands for any name."""
    if named.startswith(MADE_BY_RUNS):
        return True
    return any(ROOT.glob(re.sub(r"<[\w-]+>", "*", named).rstrip("/")))


def module_exists(named: str) -> bool:
    """Whether a dotted name leads to a module, or to a name that a module defines at its top."""
    here = ROOT
    for index, part in enumerate(parts := named.split(".")):
        if (here / part).is_dir():
            here /= part
        elif (file := here / f"{part}.py").is_file():
            return index == len(parts) - 1 or defines(file, parts[index + 1])
        else:
            return index == len(parts) - 1 and defines(here / "__init__.py", part)
    return True


@cache
def top_names(path: Path) -> frozenset[str]:
    """Functions, classes and values that a module defines at its top, and what its classes define."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return frozenset(names)


def defines(path: Path, name: str) -> bool:
    return path.is_file() and name in top_names(path)


def link_leads(target: str, path: Path) -> bool:
    """Whether a relative link leads to a file, and its anchor to a heading there."""
    if re.match(r"[a-z]+:", target):
        return True
    file, _, anchor = target.partition("#")
    aim = (path.parent / file).resolve() if file else path
    if not aim.exists():
        return False
    return not anchor or anchor in {
        slug(h) for h in re.findall(r"^#+ +(.+)$", aim.read_text(), re.M)
    }


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_document_names_exists(path):
    faults = find_faults(path.read_text(encoding="utf-8"), path)
    assert not faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("See `harness/statistics/looks.py` and `claims/<paper>/`.", []),
        ("See `harness/session.py`.", ["harness/session.py"]),
        ("Run `pytest tests/nowhere -q` or `tests/readings`.", ["tests/nowhere"]),
        ("`harness/nowhere/<paper>/`, `reports/runs/latest/index.html`", ["harness/nowhere/<paper>/"]),
        ("`python -m harness.cli.main`; harness.cli.commands", ["harness.cli.commands"]),
        ("harness.statistics.looks.Look, harness.statistics.looks.Glance", ["harness.statistics.looks.Glance"]),
        ("[gate](docs/gate.md), [lost](docs/lost.md), [far](https://x.org/a)", ["docs/lost.md"]),
        ("[a](docs/gate.md#exit-status), [b](docs/gate.md#entrance)", ["docs/gate.md#entrance"]),
        ("`decide` in `harness/judging/verdict.py`", []),
        ("`guess` in\n`harness/judging/verdict.py`", ["guess in harness/judging/verdict.py"]),
        ("```\nharness/made_up.py\n```\nand harness/prose.py without backticks", []),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_found(text, faults):
    assert find_faults(text, ROOT / "made_up.md") == faults


def test_a_workflow_is_searched_as_a_whole():
    text = "run: pytest claims/nowhere --scorecard reports/runs/latest"
    assert find_faults(text, ROOT / ".github" / "workflows" / "made_up.yml") == ["claims/nowhere"]


def test_every_decision_has_a_row_in_the_index_and_a_number_of_its_own():
    folder = ROOT / "docs" / "decisions"
    files = sorted(p.name for p in folder.glob("*.md") if p.name != "README.md")
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert files == sorted(LINK.findall(index))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))


def apply_diff(diff: str, root: Path) -> None:
    """Make the files that a unified diff adds, and replace the lines that it changes in others."""
    for part in re.split(r"^--- ", diff, flags=re.M)[1:]:
        source, target, *lines = part.splitlines()
        path = root / target.removeprefix("+++ b/")
        for hunk in re.split(r"^@@.*\n", "\n".join(lines) + "\n", flags=re.M)[1:]:
            rows = [(row[:1] or " ", row[1:]) for row in hunk.splitlines()]
            old, new = ("".join(f"{t}\n" for s, t in rows if s in (" ", side)) for side in "-+")
            if source == "/dev/null":
                path.write_text(new)
                continue
            assert path.read_text().count(old) == 1, f"{path}: the lines of the diff are not there"
            path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def with_example(tmp_path):
    """A copy of the code, to which the worked example of CONTRIBUTING was added."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name in ("harness", "claims"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    apply_diff("".join(re.findall(r"```diff\n(.*?)```", text, re.S)), tmp_path)
    return tmp_path


def run_python(folder: Path, program: str) -> str:
    """What a program prints that sees the code of a folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_the_worked_example_of_contributing_applies_and_is_in_the_catalogue(with_example):
    program = """
import sys
from harness.experiments.catalogue import find_experiment, list_measured
found = find_experiment("answer_lead")
print(found.load_reading().__name__, *(e.name for e in list_measured(found)), "torch" in sys.modules)
"""
    assert run_python(with_example, program).split() == [
        "AnswerLead",
        "spelling",
        "behaviour",
        "answer_lead",
        "False",
    ]
    claims = (with_example / "claims" / "visual_symbols").glob("test_*.py")
    assert any(
        "def test_the_right_color_leads(answer_lead, judge)" in p.read_text() for p in claims
    )


@pytest.mark.deep
def test_the_worked_example_of_contributing_measures_what_it_says(with_example):
    program = """
from harness.experiments.catalogue import find_experiment
from harness.measuring.experiment import measure_alone
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
experiment = find_experiment("answer_lead")
data = measure_alone(experiment, load(find("planted", read_registry())), trials=24)
estimate = experiment.load_reading()(data).average()
print(estimate.n, estimate.interval(0.95)[0] > 1)
"""
    assert run_python(with_example, program).split() == ["24", "True"]
