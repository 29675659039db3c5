"""Checkpoints that hold the same numbers in other files, as another version of a library may save them."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from harness.subjects.weights import INDEX, SINGLE

Tensors = dict[str, torch.Tensor]

FORMAT = {"format": "pt"}
"""What `transformers` asks the header of a file of weights for."""

SHARDS = 3


def _save_shards(tensors: Tensors, folder: Path) -> None:
    """Save in several files with an index."""
    names = sorted(tensors)
    files = {
        name: f"model-{i % SHARDS + 1:05}-of-{SHARDS:05}.safetensors"
        for i, name in enumerate(names)
    }
    for file in sorted(set(files.values())):
        held = {name: tensors[name] for name in names if files[name] == file}
        save_file(held, folder / file, metadata=FORMAT)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": files}
    (folder / INDEX).write_text(json.dumps(index))


def _save_reversed(tensors: Tensors, folder: Path) -> None:
    """Save with the tensors in the other order, which the library's own writer never uses."""
    names = sorted(tensors, reverse=True)
    header: dict[str, object] = {"__metadata__": FORMAT}
    start = 0
    for name in names:
        tensor = tensors[name]
        end = start + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    # The numbers begin at a multiple of eight bytes.
    text += b" " * (-len(text) % 8)
    held = b"".join(tensors[name].contiguous().numpy().tobytes() for name in names)
    (folder / SINGLE).write_bytes(struct.pack("<Q", len(text)) + text + held)


def _save_double(tensors: Tensors, folder: Path) -> None:
    """Save every number in double precision, in which each has the same value."""
    save_file({n: t.double() for n, t in tensors.items()}, folder / SINGLE, metadata=FORMAT)


SAVED: dict[str, Callable[[Tensors, Path], None]] = {
    "sharded": _save_shards,
    "reversed": _save_reversed,
    "double": _save_double,
}
"""Ways to save the same numbers, by name."""


def save_again(source: Path, folder: Path, how: str) -> Path:
    """Write a checkpoint in single precision once more, in another way.

    Args:
        source: Its folder, with its weights in one file.
        folder: Where to; it must not exist.
        how: A name of SAVED.

    Returns:
        The new folder.

    Raises:
        ValueError: A tensor is not in single precision.
    """
    tensors = load_file(source / SINGLE)
    if other := [name for name, held in tensors.items() if held.dtype != torch.float32]:
        raise ValueError(f"{source}: {other[0]} is not of float32; only that can be saved again")
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    SAVED[how](tensors, folder)
    return folder
