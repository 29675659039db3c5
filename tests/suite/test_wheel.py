"""An installed wheel holds the code alone: it compares scorecards, and refuses the rest in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from harness.machine.files import REPORTS, ROOT

pytestmark = pytest.mark.deep

WHAT_TO_DO = "clone the repository, run `pip install -e . -c constraints.txt` in the clone"

BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    """A function that runs python on the installed wheel, in a folder that is not the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("source", "built", "installed", "elsewhere"):
        (folder / name).mkdir()
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "harness", folder / "source" / "harness", ignore=no_caches)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    # The backend alone, which asks for nothing from a network.
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder / "built")],
        cwd=folder / "source", text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [wheel] = (folder / "built").glob("*.whl")
    with zipfile.ZipFile(wheel) as held:
        held.extractall(folder / "installed")

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(folder / "installed")}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder / "elsewhere", env=environment, text=True, capture_output=True,
        )  # fmt: skip

    where = run("-c", "import harness; print(harness.__file__)").stdout
    assert where.startswith(str(folder / "installed")), "not the repository's own code"
    return run


def claims(away, *arguments):
    return away("-m", "harness.cli.main", *arguments)


def check_refused(said):
    assert WHAT_TO_DO in said
    assert len(said.strip().splitlines()) == 1
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "command",
    [
        "list",
        "check-subject tiny-llava",
        "pin --all",
        "lint HEAD~..HEAD",
        "seal sealed.json",
        "prove planted",
        "bless out",
        "measure --subject tiny-llava",
        "train tiny-llava",
        "calibrate",
    ],
)
def test_what_needs_claims_or_fixtures_is_refused_in_one_line(away, command):
    done = claims(away, *command.split())
    assert done.returncode == 2, done.stdout
    assert done.stdout == ""
    check_refused(done.stderr)


def test_help_is_printed(away):
    done = claims(away, "--help")
    assert done.returncode == 0, done.stderr
    assert "check-subject" in done.stdout


def test_two_scorecards_are_compared(away):
    baseline = str(REPORTS / "baselines" / "tiny-llava.json")
    done = claims(away, "compare", baseline, baseline)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 regressed" in done.stdout


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--collect-only",)], ids=str)
def test_the_plugin_refuses_to_run_without_claims(away, tmp_path, options):
    (tmp_path / "test_own.py").write_text("def test_passes():\n    pass\n")
    done = away("-m", "pytest", "-p", "harness.suite.plugin", str(tmp_path), *options)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout
    check_refused(done.stderr)
    assert "passed" not in done.stdout


def test_pytest_finds_no_folder_of_claims_and_says_so(away):
    done = away("-m", "pytest", "claims")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "claims" in done.stderr


def test_a_notebook_is_told_the_same(away):
    done = away("-c", "from harness.subjects.registry import read_registry; read_registry()")
    assert done.returncode == 1
    check_refused(done.stderr.strip().splitlines()[-1])
