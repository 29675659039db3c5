"""Judging must run where no model can: none of its modules may need torch or a test runner."""

from __future__ import annotations

import subprocess
import sys

import pytest

# An entry None in sys.modules would block the import too, but scipy looks torch up there by itself.
SCRIPT = """
import importlib, pkgutil, sys

BLOCKED = {"torch", "transformers", "nnsight", "pytest", "_pytest"}

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Block())
import harness.judging
names = [m.name for m in pkgutil.iter_modules(harness.judging.__path__)]
for name in names:
    importlib.import_module(f"harness.judging.{name}")
assert not BLOCKED & set(sys.modules)
print(*names)
"""


def run(script: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


def test_every_module_imports_without_torch_transformers_nnsight_and_pytest():
    result = run(SCRIPT)
    assert result.returncode == 0, result.stderr
    assert {"claim", "verdict", "record"} <= set(result.stdout.split())


@pytest.mark.parametrize("name", ["torch", "transformers", "nnsight", "pytest"])
def test_the_block_really_blocks(name):
    result = run(SCRIPT.replace("import harness.judging\n", f"import {name}.anything\n", 1))
    assert f"ModuleNotFoundError: {name} is blocked" in result.stderr
