"""Every tensor of a checkpoint is used by the model that was made from it, or refused by its name.

`transformers` only warns of tensors that it does not use, and of some it does not even that. So the names in
the files' headers are held against the loaded model, renamed as on loading. No weight is read for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

from harness.subjects.anatomy import Anatomy
from harness.subjects.fitting import CannotLoad, find_quantisation
from harness.subjects.weights import MERGE, SINGLE, Stored

ADAPTED = re.compile(
    r"(^|\.)(lora_\w+|base_layer|modules_to_save|original_module|ia3_\w+|oft_\w+|hada_\w+|lokr_\w+|vera_\w+"
    r"|prompt_embeddings)(\.|$)|^base_model\.model\."
)
"""Names of tensors that peft adds to those of a model, and of the modules that it wraps."""

QUANTISED = re.compile(
    r"(\.|_)(absmax|nested_absmax|quant_map|nested_quant_map|quant_state\.\w+|SCB|qweight|qzeros|g_idx|scales?"
    r"|scale_inv|zero_point|weight_packed|weight_shape|weight_format|qdata|input_scale|input_global_scale"
    r"|weight_global_scale)$"
)
"""Names of tensors that quantised weights are read with."""

LAYER = re.compile(r"(?:^|\.)(layers|blocks|h)\.(\d+)\.")


def check_tensors(
    name: str, folder: Path, stored: Mapping[str, Stored], model: PreTrainedModel
) -> None:
    """Check that each stored tensor became a parameter or buffer of the model, and only one of them each.

    Args:
        name: The subject's, for messages.
        folder: Where the files are.
        stored: From `harness.subjects.weights.read_headers`.
        model: As it was loaded from there.

    Raises:
        CannotLoad: The message names the file and the tensor, what was expected, and what to do.
    """
    state, taken = model.state_dict(), dict[str, str]()
    quantised = bool(find_quantisation(model.config))
    mapping = get_model_conversion_mapping(model, hf_quantizer=getattr(model, "hf_quantizer", None))
    renamings = [each for each in mapping if isinstance(each, WeightRenaming)]
    converters = [each for each in mapping if isinstance(each, WeightConverter)]
    for key in sorted(stored):
        each = stored[key]
        target, converted = rename_source_key(
            key, renamings, converters, model.base_model_prefix, state
        )
        if target not in state and key in state:
            target = key
        if target not in state:
            if not quantised and not _is_computed(folder, key, target, each, model):
                raise CannotLoad(f"{name}: {_tell_unused(key, target, each, model)}")
        elif converted is None and target in taken:
            raise CannotLoad(
                f"{name}: {each.file}: {key} and {taken[target]} are both one parameter of the model "
                f"({target}), so that one of them is not used: take out the older one, or save the model again "
                "into an empty folder"
            )
        elif not quantised and state[target].is_floating_point() and "F" not in each.dtype:
            raise CannotLoad(
                f"{name}: {each.file}: {key} is of type {each.dtype}, where the model has floating-point "
                f"numbers: {_ADVICE_QUANTISED}"
            )
        taken.setdefault(target, key)
    _check_ties(name, model)


def check_report(
    name: str, stored: Mapping[str, Stored], report: Mapping[str, Any], model: PreTrainedModel
) -> None:
    """Refuse what `transformers` reports: weights that are not there, or of another shape than the model's.

    Args:
        name: The subject's, for messages.
        stored: From `harness.subjects.weights.read_headers`.
        report: What `from_pretrained` gives with `output_loading_info`.
        model: As it was loaded.

    Raises:
        CannotLoad: The message names the tensor, both shapes, and what to do.
    """
    adapted = next((key for key in sorted(stored) if ADAPTED.search(key)), None)
    if adapted:
        raise CannotLoad(
            f"{name}: {stored[adapted].file}: {adapted} is of an adapter that is not merged, and the model "
            f"would be judged without it: {MERGE}"
        )
    for key, held, wanted in sorted(report.get("mismatched_keys", ()), key=lambda each: each[0]):
        file = next((s.file for k, s in stored.items() if k.endswith(_ending(key))), SINGLE)
        if QUANTISED.search(" ".join(stored)) or any("F" not in s.dtype for s in stored.values()):
            raise CannotLoad(
                f"{name}: {file}: {key} is {list(held)}, config.json says {list(wanted)}: {_ADVICE_QUANTISED}"
            )
        grown = " (vocab_size, where tokens were added)" if held[1:] == wanted[1:] else ""
        raise CannotLoad(
            f"{name}: {file}: {key} is {list(held)}, config.json says {list(wanted)}: the two are of different "
            f"checkpoints, or config.json was not saved after a change of size{grown}; copy or save both again"
        )
    missing = sorted(str(key) for key in report.get("missing_keys", ()))
    if missing:
        raise CannotLoad(
            f"{name}: missing keys in the weights: {missing[0]} is not there{_tell_layers(missing[0], model)}, "
            f"{len(missing)} of {len(model.state_dict())} in all: the checkpoint does not fit its config.json, "
            "or is a part of a model; save the whole model again with model.save_pretrained(FOLDER)"
        )


def check_vocabulary(
    name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, anatomy: Anatomy
) -> None:
    """Check that the embedding has a row for every token, and that the image token is the tokenizer's.

    Raises:
        CannotLoad: The tokenizer is of another model, or tokens were added to it alone.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    last, number = max(tokenizer.get_vocab().items(), key=lambda each: each[1])
    if number >= rows:
        raise CannotLoad(
            f"{name}: the tokenizer has the token {last!r} with the number {number}, the embedding {rows} "
            "rows, counted from 0: tokens were added to the tokenizer alone, or it is of another model; use "
            "the tokenizer that the model was trained with, or model.resize_token_embeddings before training"
        )
    known, wanted = (
        tokenizer.convert_tokens_to_ids(anatomy.image_token),
        model.config.image_token_id,
    )
    if known != wanted:
        raise CannotLoad(
            f"{name}: {anatomy.image_token} is the token {known} of the tokenizer, config.json says {wanted}: "
            "the tokenizer is of another model; copy the one that the model was trained with"
        )


_ADVICE_QUANTISED = (
    "the weights are quantised, but config.json has no quantization_config that says how to read them; copy "
    "config.json again from the quantised model, or use the checkpoint that is not quantised"
)


def _ending(key: str) -> str:
    """The part of a parameter's name that files and model have in common, whatever stands before it."""
    return ".".join(key.split(".")[-2:])


def _tell_unused(key: str, target: str, each: Stored, model: PreTrainedModel) -> str:
    """What a tensor is that no part of the model uses, and what to do."""
    what = f"{each.file}: {key} {list(each.shape)}"
    if QUANTISED.search(key):
        return f"{what} is no part of the model: {_ADVICE_QUANTISED}"
    computed = [n for n, _ in model.named_buffers() if n.split(".")[-1] == target.split(".")[-1]]
    if computed and target.split(".")[-1] not in ("weight", "bias"):
        return (
            f"{what} is something that this version of transformers computes itself, and computes otherwise "
            f"({computed[0]}): the checkpoint is of another configuration than its config.json"
        )
    return (
        f"{what} is no part of the model that config.json describes{_tell_layers(key, model)}, and would not "
        "be used: take it out of the weights if it is of no use, else use the config.json that belongs to them"
    )


def _tell_layers(key: str, model: PreTrainedModel) -> str:
    """How many layers the configuration has, if a tensor is of a layer."""
    if not LAYER.search(key):
        return ""
    text = model.config.get_text_config().num_hidden_layers
    return f" (num_hidden_layers of the text is {text})"


def _is_computed(folder: Path, key: str, target: str, each: Stored, model: PreTrainedModel) -> bool:
    """Whether a tensor is what a buffer of the model is, which older versions stored and newer ones compute.

    It is read for that; such tensors have one number per position or frequency.
    """
    buffers = [b for n, b in model.named_buffers() if n.split(".")[-1] == target.split(".")[-1]]
    if not buffers:
        return False
    with safe_open(folder / each.file, framework="pt") as tensors:
        held = tensors.get_tensor(key)
    exact = torch.finfo(held.dtype).eps if held.is_floating_point() else 0.0
    return any(
        held.numel() == b.numel()
        and torch.allclose(held.double().flatten(), b.double().cpu().flatten(), exact, exact)
        for b in buffers
    )


def _check_ties(name: str, model: PreTrainedModel) -> None:
    """Refuse weights that config.json ties to each other, and that are stored with different values."""
    wanted = model.get_expanded_tied_weights_keys(all_submodels=True)
    tied = getattr(model, "all_tied_weights_keys", wanted)
    for key in sorted(wanted.keys() - tied.keys()):
        raise CannotLoad(
            f"{name}: {key} is stored beside {wanted[key]} with other values, where config.json says that they "
            "are one (tie_word_embeddings): some programs use both, others drop one; set tie_word_embeddings "
            "to false if the model was trained with both, else take out the one that was not"
        )
