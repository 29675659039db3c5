"""Loads the subject of a registry entry, and refuses files that cannot be trusted.

Weights come from safetensors only, remote code is never run, and every parameter must be there and be
finite: a checkpoint cut short gives an error here, not a strange verdict later.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
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
from transformers.utils.hub import cached_file

from harness.subjects.anatomy import NoAnatomy, find_anatomy
from harness.subjects.contents import Contents, mark_contents, take_fingerprint
from harness.subjects.deepstack import accept_deepstack
from harness.subjects.exact import choose_dtype
from harness.subjects.fitting import (
    CannotLoad,
    check_family,
    check_image_size,
    check_selected_features,
    explain_unreadable_weights,
    find_quantisation,
)
from harness.subjects.folder import FLOATS
from harness.subjects.misled import MISLEADING
from harness.subjects.pinning import find_cached_commit
from harness.subjects.placing import choose_loaded_dtype, keeps_buffers, place_weights
from harness.subjects.quantised import ROUNDING, quantise
from harness.subjects.registry import BYTES, PARTS, Entry
from harness.subjects.speaking import change_vocabulary
from harness.subjects.subject import Subject
from harness.subjects.templates import chat_template_of
from harness.subjects.tensors import check_report, check_tensors, check_vocabulary
from harness.subjects.truth import find_heads
from harness.subjects.twins import transform
from harness.subjects.weakened import weaken
from harness.subjects.weights import check_folder, read_headers


def load(entry: Entry, *, device: str = "cpu", attention: str = "sdpa") -> Subject:
    """Load a subject.

    Args:
        entry: From the registry.
        device: Where to put it, for example "cpu" or "cuda:1"; "auto" spreads it over all GPUs.
        attention: "sdpa" or "eager".

    Returns:
        The subject in evaluation mode, its parameters without gradients.

    Raises:
        CannotLoad: Files are missing, unsafe, damaged, not used or of the wrong family, or accelerate is needed
            to spread them and is not installed.
        harness.subjects.contents.FolderChanged: A file changed while it was loaded.
    """
    if device == "auto":
        _check_accelerate(entry.name)
    source, options = entry.source, {"revision": entry.revision or "main"}
    contents = None if entry.folder is None else mark_contents(entry.folder)
    if contents is not None:
        check_folder(entry.name, contents.folder)
        source, options = str(contents.folder), {}
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
        check_selected_features(entry.name, config, anatomy)
        # Last, since it takes minutes where the rest takes seconds.
        with _hash_meanwhile(contents), choose_dtype(entry, config) as dtype:
            how = dict(attn_implementation=attention, trust_remote_code=False)
            if device == "auto":
                how["device_map"] = "auto"
            model, report = _load_model(entry, config, source, dtype, how, options)
        if entry.weights == "stored":
            folder = Path(cached_file(source, "config.json", **options)).parent
            stored = read_headers(entry.name, folder, exact=contents is not None)
            check_report(entry.name, stored, report, model)
            check_tensors(entry.name, folder, stored, model)
    except NoAnatomy as error:
        raise CannotLoad(str(error)) from error
    except (OSError, SafetensorError) as error:
        raise CannotLoad(f"{entry.name}: {_first_line(error)}{_hint_at_download(entry)}") from error
    except (ImportError, ValueError) as error:
        # The model type is unknown to transformers, or its code is in the repository.
        raise CannotLoad(f"{entry.name}: {_first_line(error)}") from error
    check_vocabulary(entry.name, model, tokenizer, anatomy)
    if device == "auto":
        _check_spread(entry.name, getattr(model, "hf_device_map", {}))
    wanted = None if entry.dtype in PARTS else dtype
    model = place_weights(entry.name, model, None if device == "auto" else device, wanted)
    model = model.eval().requires_grad_(False)
    if contents is not None:
        contents.check(entry.name)
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
        fingerprint=take_fingerprint(entry, commit, contents),
        commit=commit,
        contents=contents,
    )
    if entry.weakened:
        stage, _, share = entry.weakened.partition("=")
        subject = weaken(subject, find_heads(entry.folder, stage), float(share))
    if entry.twin:
        subject = transform(subject, entry.twin)
    # Last, as a checkpoint is made first and served then.
    return quantise(subject, entry.quantised) if entry.quantised in ROUNDING else subject


def _load_model(
    entry: Entry,
    config: PreTrainedConfig,
    source: str,
    dtype: torch.dtype,
    how: dict[str, Any],
    options: dict[str, str],
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Load the model in a dtype that `place_weights` widens, with the report of transformers on its weights."""
    if entry.weights == "random":
        return _build_untrained(config, entry.seed, how | {"dtype": dtype}), {}
    loaded, method = dtype, find_quantisation(config)
    # In exact mode each weight stays as it is stored, whatever is asked for.
    if not (method or "device_map" in how or entry.dtype in PARTS):
        loaded = choose_loaded_dtype(_find_weights_here(source, options), dtype)
    while True:
        try:
            model, report = AutoModelForImageTextToText.from_pretrained(
                source,
                config=deepcopy(config),
                use_safetensors=True,
                output_loading_info=True,
                # They are refused by `check_report`, with their names.
                ignore_mismatched_sizes=True,
                dtype=loaded,
                **how,
                **options,
            )
            if getattr(model, "hf_quantizer", None) is None and method:
                # For a method that it does not know, transformers only logs a warning and reads noise.
                raise ValueError("this version of transformers does not know the method")
        except (ImportError, ValueError) as error:
            if method:
                raise explain_unreadable_weights(entry, method, error) from error
            raise
        if keeps_buffers(model, loaded, dtype):
            return model, report
        # Weights were only mapped so far.
        loaded = dtype


def _find_weights_here(source: str, options: dict[str, str]) -> Path | None:
    """The folder of a subject's files, as far as they are on this machine already."""
    found = cached_file(source, "config.json", local_files_only=True, **options)
    return None if found is None else Path(found).parent


@contextmanager
def _hash_meanwhile(contents: Contents | None) -> Iterator[None]:
    """Hash the files of a folder while they are loaded, so that the disk is asked for them once.

    Raises:
        harness.subjects.contents.FolderChanged: One of them changed since it was marked.
    """
    with ThreadPoolExecutor(1) as beside:
        hashing = None if contents is None else beside.submit(lambda: contents.digest)
        yield
    if hashing is not None:
        hashing.result()


def _build_untrained(config: PreTrainedConfig, seed: int, how: dict[str, Any]) -> PreTrainedModel:
    """Build the architecture with random weights; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForImageTextToText.from_config(config, **how)


def measure_weights_gib(entry: Entry) -> float:
    """GiB of the weights, from the registry or counted in the folder; 0 if neither tells."""
    parameters = entry.parameters * 1e9
    if parameters or entry.folder is None or not entry.folder.is_dir():
        return parameters * BYTES[entry.dtype] / 2**30
    size = 0
    for path in entry.folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as tensors:
            for tensor in map(tensors.get_slice, tensors.keys()):
                # In exact mode weights stay as they are stored, which may be in float32.
                dtype = FLOATS.get(tensor.get_dtype()) if entry.dtype in PARTS else None
                size += prod(tensor.get_shape()) * BYTES.get(dtype or entry.dtype, 4)
    return size / 2**30


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


def _first_line(error: BaseException) -> str:
    first, *more = str(error).strip().splitlines() or [type(error).__name__]
    # Some messages end their first line with what stands in the next ones.
    return " ".join([first, *(line.strip() for line in more)]) if first.endswith(":") else first


def _hint_at_download(entry: Entry) -> str:
    if entry.kind != "hub":
        return ""
    return (
        f". If it is not here yet: accept its licence at https://huggingface.co/{entry.source} if it asks for "
        f"one, run `hf download {entry.source} --local-dir FOLDER` where there is a network, and then "
        f"`--subject FOLDER --dtype {entry.dtype}` here, which asks it as by its name (or download without "
        "--local-dir, and set HF_HOME to that cache)"
    )
