"""A hash of the code that can change a measurement, and of no other code; it is part of a measurement's name.

Code counts if the experiment imports it, directly or by way of other modules, or if it loads the subject and
reads or edits its activations. Readings, verdicts and pages do not count, nor do comments, docstrings, types.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder of `harness`."""

LOADING = ("subjects", "tracing")
"""Rooms that every measurement goes through, whatever its experiment imports."""

SEEDING = "harness.measuring.seeding"
"""The module that gives an experiment its random numbers."""


def hash_code(modules: Iterable[str]) -> str:
    """Hash of all code that the measurements of some modules depend on.

    Args:
        modules: Names of the modules that measure, such as "harness.experiments.visual_symbols.keys".
    """
    return _hash_all(gather_code(modules))


def gather_code(modules: Iterable[str]) -> dict[str, Path]:
    """The files of all modules that measurements by these modules depend on, by name.

    These are the modules themselves, what loads subjects and touches them, what seeds draws, and what any of
    them imports, however many steps down.
    """
    found: dict[str, Path] = {}
    waiting = [*modules, *loading_modules(), SEEDING]
    while waiting:
        name = waiting.pop()
        path = find_source(name)
        if name not in found and path is not None:
            found[name] = path
            waiting += imported_modules(path)
    return found


@cache
def hash_stimuli() -> str:
    """Hash of the code that draws scenes and prompts; with other code the same seed gives other trials."""
    return _hash_all({name: _path_of(name) for name in _modules_in("stimuli")})


def loading_modules() -> list[str]:
    """Every module that loads subjects and reads and edits their activations."""
    return [name for room in LOADING for name in _modules_in(room)]


@cache
def find_source(module: str) -> Path | None:
    """The file of a module of `harness`, or of a loaded one that is no library's; None for all others."""
    if module == "harness" or module.startswith("harness."):
        path = _path_of(module)
        package = path.with_suffix("") / "__init__.py"
        return next((p for p in (path, package) if p.exists()), None)
    file: str | None = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not file.endswith(".py") or "site-packages" in file:
        return None
    return Path(file)


@cache
def imported_modules(path: Path) -> tuple[str, ...]:
    """The modules of `harness` that a file imports, also inside functions, but not for type checks alone."""
    names: dict[str, None] = {}
    for node in _run_time_nodes(_parse(path)):
        if isinstance(node, ast.Import):
            names |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names[node.module] = None
            names |= dict.fromkeys(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(name for name in names if name.startswith("harness.") and find_source(name))


def _modules_in(room: str) -> list[str]:
    """Names of all modules in a room, in a fixed order."""
    paths = sorted((ROOT / room).rglob("*.py"))
    return [".".join(("harness", *p.relative_to(ROOT).with_suffix("").parts)) for p in paths]


def _path_of(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")


def _hash_all(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name} {_hash_file(path)}\n".encode())
    return digest.hexdigest()


@cache
def _hash_file(path: Path) -> str:
    """Hash of what a file does: of its syntax tree without docstrings and types of functions."""
    tree = _parse(path)
    for node in ast.walk(tree):
        # Types of fields stay: they make a field of a dataclass.
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            body = [n for n in node.body if not _is_text(n)]
            node.body = body or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a string alone, such as a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes below a tree except those under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(tree):
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if not typing_only:
            yield child
            yield from _run_time_nodes(child)
