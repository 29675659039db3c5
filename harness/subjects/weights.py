"""Which files of a folder hold its weights; a folder with others beside them is refused before it is loaded.

`transformers` reads `model.safetensors`, or where there is none the shards that an index names, and never says
what else lies there: an adapter, an older save, weights in another format. Only headers are read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from harness.subjects.fitting import CannotLoad
from harness.subjects.folder import TRAINING, read_fields

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
"""Files in which peft keeps an adapter."""

MERGE = (
    "merge it into the weights (peft: model.merge_and_unload(), then model.save_pretrained(FOLDER) into an "
    "empty folder)"
)
"""What to do about an adapter."""

OTHER_FORMATS = frozenset(
    [
        ".bin",
        ".pt",
        ".pth",
        ".ckpt",
        ".h5",
        ".msgpack",
        ".gguf",
        ".ggml",
        ".onnx",
        ".npz",
        ".pkl",
        ".distcp",
    ]
)
"""Endings of files in which other programs keep weights, and which are never read here."""

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")
"""Files of which a folder has at least one, for a tokenizer to be made from."""


class Stored(NamedTuple):
    """A tensor as the header of its file describes it.

    Attributes:
        file: Name of the file.
        dtype: As safetensors names it, such as "BF16".
        shape: Sizes along its axes.
    """

    file: str
    dtype: str
    shape: tuple[int, ...]


def check_folder(name: str, folder: Path) -> None:
    """Refuse a folder of which not every weight would be loaded, or which is no whole checkpoint.

    Raises:
        CannotLoad: The message names the file, what was expected and what to do.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        told = f"{name}: the path {folder} is not UTF-8, and safetensors opens no such file: rename the folder"
        # A terminal cannot show it, nor can a scorecard.
        shown = told.encode(errors="surrogateescape").decode(errors="backslashreplace")
        raise CannotLoad(shown) from None
    if not folder.is_dir():
        raise CannotLoad(f"{name}: there is no folder {folder}")
    _check_adapters(name, folder)
    read_headers(name, folder)
    _check_others(name, folder)
    if not any((folder / file).is_file() for file in TOKENIZERS):
        raise CannotLoad(
            f"{name}: no tokenizer in {folder} (none of {', '.join(TOKENIZERS)}): copy it from the model that "
            "this one was trained from, or save it with tokenizer.save_pretrained(folder)"
        )


def find_weights(name: str, folder: Path) -> dict[str, frozenset[str] | None]:
    """The files that `transformers` reads the weights of a folder from.

    Args:
        name: The subject's, for messages.
        folder: The checkpoint's.

    Returns:
        From the name of each file to the tensors that the index seeks in it; None where there is no index.

    Raises:
        CannotLoad: There are none, there are two sets of them, or some are not there.
    """
    single, index = (folder / SINGLE).is_file(), (folder / INDEX).is_file()
    if not single and not index:
        raise CannotLoad(f"{name}: {_tell_missing(folder)}")
    if not index:
        return {SINGLE: None}
    wanted = _read_index(name, folder / INDEX)
    if single and set(wanted) != {SINGLE}:
        others = ", ".join(sorted(wanted)[:2])
        raise CannotLoad(
            f"{name}: {SINGLE} lies beside {INDEX}, which names other files ({others}, {len(wanted)} in all): "
            f"they are of two saves, and {SINGLE} would be loaded, however old it is; delete what is of the "
            "older save, or save into an empty folder"
        )
    for file in sorted(wanted):
        if len(PurePosixPath(file.replace("\\", "/")).parts) > 1:
            raise CannotLoad(
                f"{name}: {INDEX} names {file}, which is in a sub-folder: shards must lie beside their index, "
                "so move them there and take the folder's name out of the index"
            )
        if not (folder / file).is_file():
            raise CannotLoad(
                f"{name}: {INDEX} names {file}, which is not there ({_count_there(folder, wanted)}): copy or "
                "download the shards again, or save the model anew if the index is of an older save"
            )
    return {file: frozenset(tensors) for file, tensors in wanted.items()}


def read_headers(name: str, folder: Path, *, exact: bool = True) -> dict[str, Stored]:
    """All tensors of a folder by the names they are stored under, from the headers of its files.

    Args:
        name: The subject's, for messages.
        folder: The checkpoint's.
        exact: Whether files may hold no other tensors than the index says.

    Raises:
        CannotLoad: A file is damaged, or holds other tensors than the index says.
    """
    found: dict[str, Stored] = {}
    for file, wanted in sorted(find_weights(name, folder).items()):
        held = _read_header(name, folder / file)
        if exact and wanted is not None and wanted != set(held):
            _refuse_index(name, file, wanted, set(held))
        found |= held
    return found


def _read_header(name: str, path: Path) -> dict[str, Stored]:
    try:
        with safe_open(path, framework="np") as tensors:
            slices = {key: tensors.get_slice(key) for key in tensors.keys()}  # noqa: SIM118
            return {
                key: Stored(path.name, each.get_dtype(), tuple(each.get_shape()))
                for key, each in slices.items()
            }
    except (SafetensorError, OSError) as error:
        with path.open("rb") as file:
            if file.read(24).startswith(b"version https://git-lfs"):
                raise CannotLoad(
                    f"{name}: {path.name} is a pointer of Git LFS, not the file it stands for: run `git lfs "
                    "pull` in the folder, or download it again"
                ) from None
        raise CannotLoad(
            f"{name}: {path.name} is damaged or cut short ({error}); copy it again"
        ) from error


def _read_index(name: str, path: Path) -> dict[str, set[str]]:
    """From the name of each shard to its tensors."""
    try:
        chosen = read_fields(path).get("weight_map")
    except ValueError as error:
        raise CannotLoad(f"{name}: {error}; copy it again") from None
    if not isinstance(chosen, dict) or not all(isinstance(file, str) for file in chosen.values()):
        raise CannotLoad(
            f"{name}: {path.name} has no weight_map that says which tensor is in which file; save the model "
            "again"
        )
    files: dict[str, set[str]] = {}
    for tensor, file in chosen.items():
        files.setdefault(file, set()).add(tensor)
    return files


def _refuse_index(name: str, file: str, wanted: frozenset[str], held: set[str]) -> None:
    lacking, extra = sorted(wanted - held), sorted(held - wanted)
    if lacking:
        what = (
            f"{INDEX} seeks {lacking[0]} in {file} ({len(lacking)} such tensors), which has it not"
        )
    else:
        what = f"{file} holds {extra[0]} ({len(extra)} such tensors), which {INDEX} does not seek there"
    raise CannotLoad(
        f"{name}: {what}: index and shards are of two saves, and programs differ in which they follow; save "
        "the model again into an empty folder"
    )


def _check_adapters(name: str, folder: Path) -> None:
    for file in ADAPTERS:
        if (folder / file).exists():
            raise CannotLoad(
                f"{name}: {file} belongs to an adapter that is not merged, and the weights beside it would be "
                f"judged without it: {MERGE}, or move it out of the folder to judge the model without it"
            )


def _check_others(name: str, folder: Path) -> None:
    """Refuse files of weights that are not among those that are loaded."""
    loaded = set(find_weights(name, folder))
    read = (
        f"{SINGLE} alone" if loaded == {SINGLE} else f"the {len(loaded)} files that {INDEX} names"
    )
    for path in sorted(folder.iterdir()):
        ending = path.suffix.lower()
        other = ending in OTHER_FORMATS and not TRAINING.fullmatch(path.name)
        stray = ending == ".safetensors" and path.name not in loaded
        if path.is_file() and (other or stray or path.name == "pytorch_model.bin.index.json"):
            raise CannotLoad(
                f"{name}: {path.name} holds weights that would not be loaded, which are those of {read}: move "
                "it out of the folder if it is of no use, else save all weights together with "
                "model.save_pretrained(FOLDER) into an empty folder"
            )


def _tell_missing(folder: Path) -> str:
    top = sorted(p.name for p in folder.glob("*.safetensors"))
    if top:
        return (
            f"{folder} has neither {SINGLE} nor {INDEX}, of which one is loaded, but {', '.join(top[:3])}: "
            "save the model with model.save_pretrained(FOLDER) into an empty folder"
        )
    below = sorted(p.relative_to(folder).as_posix() for p in folder.glob("*/*.safetensors"))
    if below:
        return (
            f"no .safetensors in {folder} itself, but in a sub-folder ({below[0]}, {len(below)} in all): name "
            "that folder if it is a whole checkpoint, else move them beside config.json"
        )
    others = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in OTHER_FORMATS)
    found = f"; it holds {', '.join(others[:3])}, which can run code when loaded" if others else ""
    return (
        f"no .safetensors in {folder}{found}. Save the weights with model.save_pretrained(folder), which "
        "writes safetensors"
    )


def _count_there(folder: Path, wanted: Mapping[str, object]) -> str:
    there = sum((folder / file).is_file() for file in wanted)
    return f"{there} of {len(wanted)} files are"
