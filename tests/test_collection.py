"""The same tests are collected whenever, wherever and by whomever: workers that differ in one stop a run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

from harness.machine.files import ROOT

pytestmark = pytest.mark.deep

SETTINGS = (
    {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8"},
    # Python would make UTF-8 of the plain locale by itself.
    {"PYTHONHASHSEED": "2", "TZ": "Pacific/Niue", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
)  # fmt: skip


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Ids of all tests and claims, collected by processes that have nothing in common but the files."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    processes = []
    for number, setting in enumerate(SETTINGS):
        folder = tmp_path_factory.mktemp(f"elsewhere-{number}")
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--rootdir", str(ROOT)]
        # A second later, so that they come to no line in the same second.
        time.sleep(1.1 * number)
        processes.append(
            subprocess.Popen(
                [*command, str(ROOT / "tests"), str(ROOT / "claims")],
                cwd=folder, env=kept | setting | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
    found = []
    for process in processes:
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0, printed[-3000:]
        found.append([line for line in printed.splitlines() if "::" in line])
    return found


def test_the_second_the_hash_seed_the_folder_and_the_locale_change_no_test(collected):
    first, second = collected
    assert first == second
    assert len(first) > 2500
    assert len(set(first)) == len(first)
    for folder in ("tests/", "claims/visual_symbols/", "claims/reproduction/"):
        assert any(folder in test for test in first)


def test_no_id_holds_an_address_or_bytes(collected):
    assert [
        t for t in collected[0] if re.search(r"0x[0-9a-f]{6}|\\x[0-9a-f]{2}.*\\x| object at ", t)
    ] == []
