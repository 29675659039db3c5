"""A hash of the code that can change a measurement, and of no other code; it is part of a measurement's name.

Code counts if the experiment imports it, directly or by way of other modules, or if it loads the subject and
reads or edits its activations. Readings, verdicts and pages do not count, nor do comments, docstrings and the
types of arguments and results. What is imported by a name that is computed, and files of data that an
experiment reads, are not seen: an experiment that needs such things says so in its own name.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import PathFinder
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
            waiting += imported_modules(name, path)
    return found


def is_unchanged(modules: Iterable[str]) -> bool:
    """Whether the files that measurements by these modules depend on are still as they were hashed."""
    paths = gather_code(modules).values()
    return all(path.exists() and path.read_text(encoding="utf-8") == _read(path) for path in paths)


@cache
def hash_stimuli() -> str:
    """Hash of the code that draws scenes and prompts; with other code the same seed gives other trials."""
    return _hash_all({name: _path_of(name) for name in _modules_in("stimuli")})


def loading_modules() -> list[str]:
    """Every module that loads subjects and reads and edits their activations."""
    return [name for room in LOADING for name in _modules_in(room)]


@cache
def find_source(module: str) -> Path | None:
    """The file of a module of `harness`, or of one's own; None for libraries and what has no file."""
    if module == "harness" or module.startswith("harness."):
        path = _path_of(module)
        package = path.with_suffix("") / "__init__.py"
        return next((p for p in (path, package) if p.exists()), None)
    if module.partition(".")[0] in sys.stdlib_module_names:
        return None
    file: str | None = getattr(sys.modules.get(module), "__file__", None) or _find_origin(module)
    return Path(file) if file and file.endswith(".py") else None


def _find_origin(module: str) -> str | None:
    """Where a module would be loaded from; None if it cannot be found. Nothing is loaded to find out."""
    spec, places = None, None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            return None
        places = spec.submodule_search_locations or []
    return spec.origin if spec else None


@cache
def imported_modules(module: str, path: Path) -> tuple[str, ...]:
    """The modules that a file imports, also inside functions, but not for type checks alone.

    These are modules of `harness`; for a file of one's own also those that lie beside it or in its package.
    """
    names: dict[str, None] = {}
    for node in _run_time_nodes(_parse(path)):
        if isinstance(node, ast.Import):
            names |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _resolve(node, module, path)
            names[base] = None
            names |= dict.fromkeys(f"{base}.{alias.name}" for alias in node.names)
    return tuple(name for name in names if _belongs(name, module))


def _resolve(node: ast.ImportFrom, module: str, path: Path) -> str:
    """The whole name of the module from which something is imported, also by a relative import."""
    if not node.level:
        return node.module or ""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return ".".join(filter(None, (package, node.module)))


def _belongs(name: str, importer: str) -> bool:
    """Whether an imported module is code whose changes count, and not a library."""
    if name.startswith("harness."):
        return find_source(name) is not None
    if importer.startswith("harness.") or not name:
        return False
    path = find_source(name)
    same_package = name.partition(".")[0] == importer.partition(".")[0]
    return path is not None and (same_package or "site-packages" not in path.parts)


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


@cache
def _read(path: Path) -> str:
    """The text of a file when it was first asked for."""
    return path.read_text(encoding="utf-8")


def _parse(path: Path) -> ast.Module:
    return ast.parse(_read(path))


def _run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes below a tree except those in the body of `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            negated = isinstance(child.test, ast.UnaryOp)
            for kept in child.body if negated else child.orelse:
                yield kept
                yield from _run_time_nodes(kept)
        else:
            yield child
            yield from _run_time_nodes(child)
