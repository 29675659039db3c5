"""The chat template of a checkpoint, wherever its repository keeps it.

There are three places: chat_template.jinja, which the tokenizer reads, and chat_template.json and
processor_config.json, which only a processor reads. Where a template that knows images is in one of the last
two, the tokenizer's own may be that of the language model alone; so the processor's wins, as it does in
`transformers`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers.utils.hub import cached_file

OF_TOKENIZER = "chat_template.jinja"
OF_PROCESSOR = ("chat_template.json", "processor_config.json")


def chat_template_of(source: str, tokenizer: Any, options: dict[str, Any]) -> Any:
    """The chat template that the family's processor would use, or None.

    Args:
        source: Folder or repository.
        tokenizer: As it was loaded from there.
        options: `revision` of a repository.
    """
    if _read(source, OF_TOKENIZER, options) is None:
        for name in OF_PROCESSOR:
            text = _read(source, name, options)
            if text is not None and (found := json.loads(text).get("chat_template")):
                return found
    return getattr(tokenizer, "chat_template", None)


def _read(source: str, name: str, options: dict[str, Any]) -> str | None:
    path = cached_file(
        source,
        name,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
        **options,
    )
    return None if path is None else Path(path).read_text()
