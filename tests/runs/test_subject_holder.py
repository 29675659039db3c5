"""The line that says how a folder is asked, and how it is asked otherwise."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch

import pytest

from harness.runs.subject_holder import tell_arrangement
from harness.subjects.registry import find, read_registry


@pytest.mark.parametrize(
    ("family", "asked", "arrangement", "said"),
    [
        (
            "pixtral",
            "auto",
            "prefilled",
            "tried as a model of its family is by name; --arrangement asks",
        ),
        ("pixtral", "auto", "plain", "tried as *, of which it can use none; --arrangement asks"),
        ("pixtral", "plain", "plain", "not auto, as *: leave out --arrangement"),
        (
            "llava",
            "plain",
            "plain",
            "as a model of its family is by name; --arrangement auto tries",
        ),
        ("llava", "chat", "chat", "not plain, as *: leave out --arrangement"),
    ],
)
def test_one_line_says_how_a_folder_is_asked_and_with_which_option_otherwise(
    family_folders, family, asked, arrangement, said
):
    entry = replace(find(str(family_folders[family]), read_registry()), arrangement=asked)
    line = tell_arrangement(entry, arrangement)
    assert fnmatch(line, f"{family}: asked {arrangement} ({said}*)")
    assert len(line.splitlines()) == 1


def test_a_folder_without_a_template_is_said_to_have_none_and_other_subjects_need_no_line(
    checkpoints,
):
    entry = find(str(checkpoints["tiny-llava"]), read_registry())
    assert tell_arrangement(entry, "plain") == (
        "./tiny-llava: asked plain (it has no chat template, without which --arrangement can only be plain)"
    )
    for name in ("tiny-llava", "planted", "qwen2-vl-7b", "llava-1.5-7b"):
        assert tell_arrangement(find(name, read_registry()), "plain") == ""
