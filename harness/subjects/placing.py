"""Weights go to their device in the dtype in which they are stored, and are widened and checked there.

On loading, `transformers` maps them from their files. In the dtype of the files that takes neither time nor
memory; in another one it would make a copy of the whole model on the CPU first, twice as large where bfloat16
is widened to float32, and slower to send.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import torch
from transformers import PreTrainedModel

from harness.subjects.fitting import CannotLoad
from harness.subjects.folder import FLOATS, find_dtypes

WIDENED = ("bfloat16", "float16")
"""Dtypes that float32 holds exactly, so that widened weights are those that loading in float32 gives."""


def choose_loaded_dtype(folder: Path | None, dtype: torch.dtype) -> torch.dtype:
    """The dtype in which to load weights that will be computed with in another.

    Args:
        folder: Where the files are, as far as they are there already; None if they are not.
        dtype: The one to compute with.

    Returns:
        That of the files if all their numbers are of one and float32 is asked for, which holds it exactly; else
        `dtype`.
    """
    stored = find_dtypes(folder) if folder is not None and dtype is torch.float32 else {}
    [only] = stored if len(stored) == 1 else [""]
    name = FLOATS.get(only, only)
    return getattr(torch, name) if name in WIDENED else dtype


def keeps_buffers(model: PreTrainedModel, loaded: torch.dtype, dtype: torch.dtype) -> bool:
    """Whether a model's own numbers are those that it has when it is loaded in `dtype`.

    They are not where it computes some in the dtype in which it is loaded (the scale of embeddings in Gemma 3).
    """
    return loaded is dtype or all(buffer.dtype is not loaded for buffer in model.buffers())


def place_weights(
    name: str, model: PreTrainedModel, device: str | None, dtype: torch.dtype | None
) -> PreTrainedModel:
    """Put a model on its device, with weights that are its own, of one dtype and finite.

    Args:
        name: The subject's, for messages.
        model: As it was loaded; on the CPU its weights may be mapped from files, so that what somebody writes
            there would change them.
        device: Where to; None leaves each weight where it is.
        dtype: The one to compute with; None leaves each weight in the one that it has.

    Returns:
        The same model.

    Raises:
        CannotLoad: A parameter holds what is not a number, or infinity.
    """
    loaded = model.dtype
    if device is not None:
        model = model.to(device)
    finite: dict[str, torch.Tensor] = {}
    if getattr(model, "hf_quantizer", None) is not None:
        # What stands beside quantised weights stays as their kernels take it: no tensor is of this dtype.
        loaded = torch.complex128
    for path, tensor in chain(model.named_parameters(), model.named_buffers()):
        # One at a time, so that both are there of one only.
        if dtype is not None and tensor.dtype == loaded != dtype:
            tensor.data = tensor.data.to(dtype)
        elif tensor.device.type == "cpu":
            tensor.data = tensor.data.clone()
        if isinstance(tensor, torch.nn.Parameter):
            finite[path] = torch.isfinite(tensor.data).all()
    if dtype is not None:
        _set_dtype(model, dtype)
    # Asked for together, since each answer waits for the device.
    for path, answer in zip(finite, _fetch(list(finite.values())), strict=True):
        if not answer:
            raise CannotLoad(f"{name}: parameter {path} is not finite: the weights are damaged")
    return model


def _fetch(flags: list[torch.Tensor]) -> list[bool]:
    """The values of flags on any devices, with one wait for each device."""
    found: dict[int, bool] = {}
    for device in dict.fromkeys(flag.device for flag in flags):
        here = [number for number, flag in enumerate(flags) if flag.device == device]
        answers = torch.stack([flags[number] for number in here]).tolist()
        found |= dict(zip(here, answers, strict=True))
    return [found[number] for number in range(len(flags))]


def _set_dtype(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Let the configurations name the dtype of the weights, as those of a model that is loaded in it do."""
    for config in (model.config, *(getattr(model.config, k) for k in model.config.sub_configs)):
        if config is not None:
            config.dtype = dtype
