"""Names of files that stand for texts."""

from __future__ import annotations

import os

from hypothesis import example, given
from hypothesis import strategies as st

from harness.machine.files import LONGEST_NAME, name_file

texts = st.text(max_size=400)


@given(texts, texts)
@example("a" * 200, "a" * 201)
@example("~", "%7E")
@example("a" * 200, name_file("a" * 200))
def test_every_text_has_a_short_name_of_its_own(one, other):
    assert (name_file(one) == name_file(other)) == (one == other)


@given(texts.filter(bool))
@example("视" * 25)
@example("checkpoint-\udcff")
@example("../../etc")
def test_the_name_is_one_that_every_file_system_takes(text):
    name = name_file(text)
    assert 0 < len(name) <= LONGEST_NAME
    assert name.isascii()
    assert os.path.basename(name) == name
    assert name not in (".", "..") or text == name


def test_a_short_name_is_the_text_as_in_a_url():
    assert name_file("./tiny llava:heads") == ".%2Ftiny%20llava%3Aheads"
