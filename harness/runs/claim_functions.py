"""The claims of the suite with the functions that judge them, loaded from their files without pytest."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache

from harness.judging.claim import Claim
from harness.machine.files import ROOT, check_checkout


def find_claim(name: str) -> tuple[Claim, Callable[..., None]]:
    """The claim of an id, or of the end of one, with the function that measures and judges it.

    Raises:
        LookupError: There is none, or there are several; the message says which.
        harness.machine.files.NoCheckout: Only a wheel is installed, which holds no claims.
    """
    known = load_claims()
    ids = [name] if name in known else [i for i in known if i.endswith(f".{name}")]
    if len(ids) != 1:
        there = f"it could be {', '.join(ids)}" if ids else "`claims list` prints all"
        raise LookupError(f"{'no' if not ids else 'no single'} claim {name!r}: {there}")
    return known[ids[0]]


@cache
def load_claims() -> dict[str, tuple[Claim, Callable[..., None]]]:
    """Every claim of the suite by its id, with its function, in the order of the files."""
    check_checkout("the claims")
    found: dict[str, tuple[Claim, Callable[..., None]]] = {}
    for path in sorted((ROOT / "claims").rglob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"claims_in_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for function in vars(module).values():
            if isinstance(stated := getattr(function, "claim", None), Claim):
                found[stated.id] = stated, function
    return found
