"""Loads the subject of a registry entry, and refuses files that cannot be trusted.

Weights come from safetensors only, remote code is never run, and every parameter must be there and be
finite: a checkpoint cut short gives an error here, not a strange verdict later.
"""

from __future__ import annotations

from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging as transformers_logging

from harness.subjects.anatomy import NoAnatomy, find_anatomy
from harness.subjects.deepstack import accept_deepstack
from harness.subjects.fitting import (
    CannotLoad,
    check_family,
    check_image_size,
    explain_unreadable_weights,
    find_quantisation,
)
from harness.subjects.misled import MISLEADING
from harness.subjects.pinning import find_cached_commit
from harness.subjects.registry import Entry
from harness.subjects.speaking import change_vocabulary
from harness.subjects.subject import Subject
from harness.subjects.templates import chat_template_of
from harness.subjects.truth import find_heads
from harness.subjects.twins import transform
from harness.subjects.weakened import weaken


def load(entry: Entry, *, device: str = "cpu", attention: str = "sdpa") -> Subject:
    """Load a subject.

    Args:
        entry: From the registry.
        device: Where to put it, for example "cpu" or "cuda:1"; "auto" spreads it over all GPUs.
        attention: "sdpa" or "eager".

    Returns:
        The subject in evaluation mode, its parameters without gradients.

    Raises:
        CannotLoad: Files are missing, unsafe, damaged or of the wrong family, or accelerate is needed to spread
            them and is not installed.
    """
    if device == "auto":
        _check_accelerate(entry.name)
    source, options = entry.source, {"revision": entry.revision or "main"}
    if entry.folder is not None:
        check_folder(entry.name, entry.folder)
        source, options = str(entry.folder), {}
    transformers_logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False, **options)
        commit = find_cached_commit(source, **options) if options else None
        if commit:
            # A branch may move while the rest is fetched, and everything must be of one commit.
            options = {"revision": commit}
        anatomy = find_anatomy(config, entry.name)
        check_family(entry, config, anatomy)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)
        tokenizer.chat_template = chat_template_of(source, tokenizer, options)
        processor = AutoImageProcessor.from_pretrained(
            source, backend="pil", trust_remote_code=False, **options
        )
        check_image_size(entry.name, config, processor, anatomy)
        # Last, since it takes minutes where the rest takes seconds.
        spread = {"device_map": "auto"} if device == "auto" else {}
        model, report = _load_model(entry, config, source, attention, {**options, **spread})
    except NoAnatomy as error:
        raise CannotLoad(str(error)) from error
    except (OSError, SafetensorError) as error:
        raise CannotLoad(f"{entry.name}: {_first_line(error)}{_hint_at_download(entry)}") from error
    except (ImportError, ValueError) as error:
        # The model type is unknown to transformers, or its code is in the repository.
        raise CannotLoad(f"{entry.name}: {_first_line(error)}") from error
    _check_report(entry.name, report)
    _check_numbers(entry.name, model)
    if device == "auto":
        _check_spread(entry.name, getattr(model, "hf_device_map", {}))
    else:
        model = model.to(device)
    model = model.eval().requires_grad_(False)
    if entry.speaking:
        tokenizer = change_vocabulary(entry.speaking, model, tokenizer, anatomy)
    if anatomy.deepstack:
        accept_deepstack(model)
    kind = MISLEADING[entry.misled] if entry.misled else Subject
    subject = kind(
        name=entry.name,
        entry=entry,
        anatomy=anatomy,
        model=model,
        tokenizer=tokenizer,
        image_processor=processor,
        fingerprint=entry.fingerprint(commit),
        commit=commit,
    )
    if entry.weakened:
        stage, _, share = entry.weakened.partition("=")
        return weaken(subject, find_heads(entry.folder, stage), float(share))
    return transform(subject, entry.twin) if entry.twin else subject


def _load_model(
    entry: Entry,
    config: PreTrainedConfig,
    source: str,
    attention: str,
    options: dict[str, str],
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Load the model, with the report of transformers on its weights."""
    how = dict(
        dtype=getattr(torch, entry.dtype), attn_implementation=attention, trust_remote_code=False
    )
    if entry.weights == "random":
        return _build_untrained(config, entry.seed, how), {}
    try:
        model, report = AutoModelForImageTextToText.from_pretrained(
            source, config=config, use_safetensors=True, output_loading_info=True, **how, **options
        )
        if getattr(model, "hf_quantizer", None) is None and find_quantisation(config):
            # For a method that it does not know, transformers only logs a warning and reads noise.
            raise ValueError("this version of transformers does not know the method")
    except (ImportError, ValueError) as error:
        if method := find_quantisation(config):
            raise explain_unreadable_weights(entry, method, error) from error
        raise
    return model, report


def _build_untrained(config: PreTrainedConfig, seed: int, how: dict[str, Any]) -> PreTrainedModel:
    """Build the architecture with random weights; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForImageTextToText.from_config(config, **how)


def measure_weights_gib(entry: Entry) -> float:
    """GiB of the weights, from the registry or counted in the folder; 0 if neither tells."""
    parameters = entry.parameters * 1e9
    if parameters or entry.folder is None or not entry.folder.is_dir():
        return parameters * getattr(torch, entry.dtype).itemsize / 2**30
    for path in entry.folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as tensors:
            parameters += sum(prod(tensors.get_slice(k).get_shape()) for k in tensors.keys())  # noqa: SIM118
    return parameters * getattr(torch, entry.dtype).itemsize / 2**30


def _check_accelerate(name: str) -> None:
    if find_spec("accelerate") is None:
        raise CannotLoad(
            f"{name}: it does not fit on one GPU, and accelerate, which spreads it over several, is not "
            "installed: pip install -c constraints.txt 'binding-claims[spread]', or accelerate itself"
        )


def _check_spread(name: str, device_map: dict[str, int | str | torch.device]) -> None:
    places = {str(place) for place in device_map.values()}
    if len(places) > 1 and places & {"cpu", "disk"}:
        raise CannotLoad(
            f"{name}: parts of it found no room on a GPU and would be computed elsewhere, which takes days: "
            "free the GPUs, or make more of them visible in CUDA_VISIBLE_DEVICES"
        )


def check_folder(name: str, folder: Path) -> None:
    """Refuse a folder whose weights are missing, pickled or cut short, without loading them.

    Raises:
        CannotLoad: The message names the file and what to do.
    """
    if not folder.is_dir():
        raise CannotLoad(f"{name}: there is no folder {folder}")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickles = sorted(
            p.name for p in folder.iterdir() if p.suffix in {".bin", ".pt", ".pth", ".ckpt"}
        )
        found = (
            f"; it holds {', '.join(pickles)}, which can run code when loaded" if pickles else ""
        )
        raise CannotLoad(
            f"{name}: no .safetensors in {folder}{found}. Save the weights with "
            "model.save_pretrained(folder), which writes safetensors"
        )
    for path in weights:
        try:
            with safe_open(path, framework="pt") as tensors:
                tensors.keys()
        except SafetensorError as error:
            raise CannotLoad(
                f"{name}: {path.name} is damaged or cut short ({error}); copy it again"
            ) from error


def _check_report(name: str, report: dict[str, Any]) -> None:
    for what in ("missing_keys", "mismatched_keys"):
        keys = sorted(str(k) for k in report.get(what, ()))
        if keys:
            raise CannotLoad(
                f"{name}: {what.replace('_', ' ')} in the weights, first {keys[0]} ({len(keys)} in all): "
                "the checkpoint does not fit its config.json"
            )


def _check_numbers(name: str, model: PreTrainedModel) -> None:
    for parameter, value in model.named_parameters():
        if not torch.isfinite(value).all():
            raise CannotLoad(
                f"{name}: parameter {parameter} is not finite: the weights are damaged"
            )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]


def _hint_at_download(entry: Entry) -> str:
    if entry.kind != "hub":
        return ""
    return (
        f". If it is not here yet: accept its licence at https://huggingface.co/{entry.source} if it asks for "
        f"one, run `hf download {entry.source} --local-dir FOLDER` where there is a network, and then "
        f"`--subject FOLDER --dtype {entry.dtype}` here, which asks it as by its name (or download without "
        "--local-dir, and set HF_HOME to that cache)"
    )
