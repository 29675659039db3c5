"""Say in words to which seal a run was held."""

from __future__ import annotations

from collections.abc import Iterator

from harness.judging.record import RunFacts


def tell_seal(run: RunFacts, digits: int = 12) -> str:
    """To which seal a run was held, in a few words; "" if to none.

    Args:
        run: The run.
        digits: How many digits of the digest are shown.
    """
    if not run.seal:
        return ""
    changed = run.seal.get("changed", "")
    return f"sealed {run.seal['digest'][:digits]}" + (
        f", {changed} changed since" if changed else ""
    )


def note_seals(before: RunFacts, after: RunFacts) -> Iterator[str]:
    """Say to which seals the two sides of a comparison were held, if one of them was.

    Args:
        before: The baseline.
        after: The run.
    """
    if not before.seal and not after.seal:
        return
    if before.seal.get("digest") == after.seal.get("digest"):
        yield f"both runs were held to one seal: {tell_seal(after, 64)}"
        return
    for what, run in (("the run", after), ("the baseline", before)):
        told = f"was held to a seal: {tell_seal(run, 64)}" if run.seal else "was held to no seal"
        yield f"{what} {told}"
