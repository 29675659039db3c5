"""The selection of a run's subjects by its options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.runs.baselines import BadOption
from harness.subjects.folder import find_template_in
from harness.subjects.registry import BYTES, Entry, UnknownSubject, find, read_registry

if TYPE_CHECKING:
    from harness.runs.options import Arrangement, Options

SHIPPED = ("embedded", "control")
"""Kinds of subjects that ship with the project and their verdicts, as a baseline or a table of controls."""


def select(options: Options) -> list[Entry]:
    """The subjects that the options ask for.

    If none is named these are the embedded ones, the controls if they are asked for, and with --gpu the hub's;
    `family` filters them all. The dtype and the arrangement that are asked for apply to folders and to the
    hub's subjects; `find_kept` lists the subjects that keep their own.

    Raises:
        UnknownSubject: A name is no subject, or a family has no subjects.
        BadOption: An option cannot be used, or would change no subject.
    """
    registry = read_registry()
    if options.remote:
        _check_remote(options.remote, options)
    if options.subjects:
        found = [find(name, registry, family=options.family) for name in options.subjects]
        names = [entry.name for entry in found]
        for entry in found:
            if names.count(entry.name) > 1:
                raise BadOption(
                    f"two subjects are called {entry.name!r}: rename one of the folders"
                )
            if entry.kind == "local" and entry.folder is not None:
                from harness.subjects.weights import check_folder

                check_folder(entry.name, entry.folder)
        if options.remote and any(entry.quantised for entry in found):
            raise BadOption("--remote: a server has its own weights, which are not rounded there")
        return _change_all(found, options)
    wanted = {"embedded": True, "control": options.controls, "hub": options.gpu}
    entries = [e for e in registry.values() if wanted[e.kind]]
    if options.family:
        entries = [e for e in entries if e.family == options.family]
        if not entries:
            known = ", ".join(sorted({e.family for e in registry.values()}))
            raise UnknownSubject(f"no subject of family {options.family!r}; there are: {known}")
    return _change_all(entries, options)


def apply_asked(entry: Entry, dtype: str | None, arrangement: Arrangement | None) -> Entry:
    """The entry with the dtype and the arrangement that are asked for; it keeps its own where None is given.

    Raises:
        BadOption: The arrangement needs a chat template, and the folder has none; or the subject is served in
            another dtype by its name.
        UnknownSubject: There is no such dtype or arrangement.
    """
    if arrangement in ("chat", "prefilled") and entry.folder and not find_template_in(entry.folder):
        raise BadOption(
            f"--arrangement {arrangement}: {entry.name} has no chat template, so it can only be asked plainly"
        )
    if entry.quantised in BYTES and dtype not in (None, entry.dtype):
        raise BadOption(f"--dtype {dtype}: {entry.name} is served in {entry.quantised}")
    return replace(entry, dtype=dtype or entry.dtype, arrangement=arrangement or entry.arrangement)


def find_kept(entries: Sequence[Entry], options: Options) -> list[Entry]:
    """The shipped subjects that keep a dtype or arrangement other than the one that is asked for.

    Their verdicts are on file, and comparable only with verdicts found in the same way.
    """
    asked = {"dtype": options.dtype, "arrangement": options.arrangement}
    return [
        entry
        for entry in entries
        if entry.kind in SHIPPED
        and any(value not in (None, getattr(entry, name)) for name, value in asked.items())
    ]


def spell_asked(options: Options) -> str:
    """The options --dtype and --arrangement as they are typed on the command line."""
    asked = (("--dtype", options.dtype), ("--arrangement", options.arrangement))
    return " ".join(f"{name} {value}" for name, value in asked if value)


def _change_all(entries: list[Entry], options: Options) -> list[Entry]:
    left = find_kept(entries, options)
    if left and all(entry.kind in SHIPPED for entry in entries):
        names = ", ".join(entry.name for entry in left)
        stored = next((entry.source for entry in left if entry.weights == "stored"), "")
        way = f" (--subject fixtures/{stored})" if stored else ""
        raise BadOption(
            f"{spell_asked(options)}: not applied to {names}, whose verdicts are compared with those found "
            f"without it: name a folder{way}, which is compared with nothing, or a model of the hub"
        )
    how = (options.dtype, options.arrangement)
    return [entry if entry.kind in SHIPPED else apply_asked(entry, *how) for entry in entries]


def _check_remote(where: str, options: Options) -> None:
    """Refuse --remote where it cannot work, before anything is loaded.

    Raises:
        BadOption: It names no place, comes with --gpu, or lacks a subject or a key.
    """
    if where == "local":
        return
    if where != "ndif" and not where.startswith(("http://", "https://")):
        raise BadOption(
            f"--remote {where}: neither ndif nor local, nor a URL with http:// or https://"
        )
    if options.gpu:
        raise BadOption("--remote and --gpu: the decoder layers are either there or on a GPU here")
    if not options.subjects:
        raise BadOption(
            f"--remote {where}: name a model that runs there with --subject; `python -c 'import nnsight; "
            "print(nnsight.status())'` lists those of NDIF"
        )
    from harness.tracing.elsewhere import has_ndif_key

    if where == "ndif" and not has_ndif_key():
        raise BadOption(
            "--remote ndif: no key; get one at https://login.ndif.us and put it into NDIF_API_KEY"
        )
