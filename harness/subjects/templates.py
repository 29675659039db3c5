"""Finds the chat template of a checkpoint in a folder or on the hub; `folder` lists where it may be."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase
from transformers.utils.hub import cached_file

from harness.subjects.folder import find_template, read_text


def chat_template_of(
    source: str, tokenizer: PreTrainedTokenizerBase, options: dict[str, str]
) -> str | None:
    """The chat template that the family's processor would use, or None.

    Args:
        source: Folder or repository.
        tokenizer: The tokenizer that was loaded from there.
        options: The `revision` of a repository; empty for a folder.

    Raises:
        ValueError: A file that may hold one is damaged; the message names it.
    """

    def read(name: str) -> str | None:
        path = cached_file(
            source,
            name,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            _raise_exceptions_for_gated_repo=False,
            **options,
        )
        return None if path is None else read_text(Path(path))

    return find_template(read, getattr(tokenizer, "chat_template", None))
