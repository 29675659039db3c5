"""Which subjects the options of a run ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.baselines import BadOption
from harness.subjects.registry import Entry, UnknownSubject, find, read_registry

if TYPE_CHECKING:
    from harness.session import Options


def select(options: Options) -> list[Entry]:
    """The subjects that the options ask for.

    Without names: the embedded ones, the controls if they are asked for, and with --gpu the hub's as well;
    `family` filters them all.

    Raises:
        UnknownSubject: A name that is nothing, or a family without subjects.
    """
    registry = read_registry()
    if options.remote:
        _check_remote(options)
    if options.subjects:
        found = [find(name, registry, family=options.family) for name in options.subjects]
        names = [entry.name for entry in found]
        for entry in found:
            if names.count(entry.name) > 1:
                raise BadOption(
                    f"two subjects are called {entry.name!r}: rename one of the folders"
                )
            if entry.kind == "local":
                from harness.subjects.loading import check_folder

                check_folder(entry.name, entry.folder)
        return found
    wanted = {"embedded": True, "control": options.controls, "hub": options.gpu}
    entries = [e for e in registry.values() if wanted[e.kind]]
    if options.family:
        entries = [e for e in entries if e.family == options.family]
        if not entries:
            known = ", ".join(sorted({e.family for e in registry.values()}))
            raise UnknownSubject(f"no subject of family {options.family!r}; there are: {known}")
    return entries


def _check_remote(options: Options) -> None:
    """Refuse what cannot be sent before anything is loaded.

    Raises:
        BadOption: --remote with --gpu, without a subject or a key, or as no place.
    """
    where = options.remote
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
    from harness.tracing.elsewhere import key_is_known

    if where == "ndif" and not key_is_known():
        raise BadOption(
            "--remote ndif: no key; get one at https://login.ndif.us and put it into NDIF_API_KEY"
        )
