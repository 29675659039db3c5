"""The chat template and dtype of a checkpoint, read from its folder without loading it.

There are four places for a template, and this is the only list of them: chat_template.jinja, which tokenizer
and processor read; chat_template.json and processor_config.json, which only a processor reads; and the
tokenizer's own (tokenizer_config.json, or before it the files of additional_chat_templates). Where a template
that knows images is in one of the processor's, the tokenizer's own may be that of the language model alone; so
the processor's wins, as it does in `transformers`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

OF_BOTH = "chat_template.jinja"
OF_PROCESSOR = ("chat_template.json", "processor_config.json")
OF_TOKENIZER = "tokenizer_config.json"
MORE_OF_TOKENIZER = "additional_chat_templates"

TRAINING = re.compile(
    r"(training_args|optimizer|scheduler|scaler|rng_state|random_states|trainer_state)[\w.-]*"
    r"|[\w.-]*_optim_states\.pt"
)
"""Names of files in which trainers keep how far they came; nothing loads them to answer."""

FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
"""Dtypes as safetensors and as torch name them; of two dtypes that are as frequent the first is taken."""


def find_template(read: Callable[[str], str | None], own: object) -> str | None:
    """The chat template that the family's processor would use, or None.

    Args:
        read: From the name of a file to its text, or None if there is no such file.
        own: The tokenizer's own, as `transformers` keeps it: a template, several with names, or None.

    Raises:
        ValueError: A file is not what its name says; the message names it.
    """
    if read(OF_BOTH) is None:
        for name in OF_PROCESSOR:
            found = _pick_default(_parse_fields(read(name), name).get("chat_template"))
            if found:
                return found
    return _pick_default(own)


def find_template_in(folder: Path) -> str | None:
    """The same for a folder, whose tokenizer need not be loaded."""

    def read(name: str) -> str | None:
        path = folder / name
        return read_text(path) if path.is_file() else None

    own = {} if read(OF_BOTH) is None else {"default": read(OF_BOTH)}
    own |= {p.stem: read_text(p) for p in sorted((folder / MORE_OF_TOKENIZER).glob("*.jinja"))}
    return find_template(
        read, own or _parse_fields(read(OF_TOKENIZER), OF_TOKENIZER).get("chat_template")
    )


def _pick_default(template: object) -> str | None:
    """The template that is used when none is asked for by name, or None if every one has a name."""
    if isinstance(template, list):
        template = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
    if isinstance(template, dict):
        template = template.get("default")
    return template if isinstance(template, str) and template else None


def find_dtype(folder: Path) -> str:
    """The dtype of most floating-point parameters in a folder's weights, by torch's name if it has one.

    Only headers are read. Missing or damaged weights are not counted: `weights` refuses them.

    Returns:
        Such as "bfloat16" or "F8_E4M3"; "" if nothing could be counted.
    """
    counts = dict.fromkeys(FLOATS, 0) | find_dtypes(folder)
    most = max(counts, key=lambda name: counts[name])
    return FLOATS.get(most, most) if counts[most] else ""


def find_dtypes(folder: Path) -> dict[str, int]:
    """How many floating-point numbers of each dtype a folder's weights hold, by its name in safetensors.

    Only headers are read. Missing or damaged weights are not counted.
    """
    counts = Counter[str]()
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="np") as tensors:
                for key in tensors.keys():  # noqa: SIM118
                    tensor = tensors.get_slice(key)
                    counts[tensor.get_dtype()] += prod(tensor.get_shape())
        except (SafetensorError, OSError):
            continue
    # Packed weights and counters are integers, which say nothing about the dtype of computation.
    return {name: n for name, n in counts.items() if "F" in name and n}


def read_text(path: Path) -> str:
    """Read the text of a file.

    Raises:
        ValueError: The file is not UTF-8; the message names it.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text: {error}") from None


def read_fields(path: Path) -> dict[str, Any]:
    """Read the fields of a JSON file.

    Raises:
        ValueError: The file is not JSON, or its top level has no named fields; the message names it.
    """
    return _parse_fields(read_text(path), str(path))


def _parse_fields(text: str | None, name: str) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{name} has no named fields")
    return content
