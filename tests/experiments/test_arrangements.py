"""Arrangements of prompts: every one of the sweep is asked, and the pair judged was chosen elsewhere."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from families import loaded

from harness.experiments.arranging import choose_arrangement
from harness.experiments.reproduction.arrangements import measure
from harness.experiments.spelling import draw_spelling_trials
from harness.experiments.sweeps import ARRANGEMENTS
from harness.measuring.experiment import Request
from harness.readings.reproduction.arrangements import Arrangements
from harness.subjects.arrangement import NoTemplate


def test_every_arrangement_is_asked_of_a_subject_with_a_template(family_folders):
    subject = loaded(family_folders["qwen2_vl"])
    data = measure(Request(subject, 24, np.random.default_rng(0)))
    assert data.right.shape == (len(ARRANGEMENTS), 24)
    assert list(data.how.values) == list(ARRANGEMENTS)
    assert set(data.part.values) == {"estimation", "evaluation"}


def test_without_a_template_there_is_nothing_to_compare(subject):
    data = measure(Request(subject, 24, np.random.default_rng(0)))
    assert not Arrangements(data).difference().applies


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (
            "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] }}{% endfor %}",
            "cannot be used with an image: can only concatenate str",
        ),
        (
            "{% for m in messages %}{{ raise_exception('only text') }}{% endfor %}",
            "cannot be used with an image: only text",
        ),
        (
            "{% for m in messages %}{{ m['content'] }}",
            "cannot be used with an image: Unexpected end of template",
        ),
        ("{{ messages[0]['content'].strip() }}", "is missing"),
    ],
    ids=["joins strings", "raises", "is cut off", "calls what a list has not"],
)
def test_a_template_for_text_alone_leaves_the_subject_asked_plainly(subject, template, reason):
    tokenizer = deepcopy(subject.tokenizer)
    tokenizer.chat_template = template
    entry = replace(subject.entry, arrangement="auto")
    lines = []
    found = choose_arrangement(replace(subject, tokenizer=tokenizer, entry=entry), lines.append)
    assert found.entry.arrangement == "plain"
    assert lines[0].startswith("arrangement: not chat, since the chat template of ")
    assert reason in lines[0]
    assert all(len(line.splitlines()) == 1 for line in lines)
    chat = replace(found, entry=replace(entry, arrangement="chat"))
    with pytest.raises(NoTemplate, match="--arrangement plain"):
        chat.encode(draw_spelling_trials(chat, 1)["sentence"])


@pytest.mark.parametrize(("better", "value"), [("prefilled", 1.0), ("chat", -1.0)])
def test_best_and_worst_arrangement_are_chosen_on_the_other_half(better, value):
    """On the estimation half `prefilled` is best and `chat` worst, whatever the other half says."""
    part = np.repeat(["estimation", "evaluation"], 20)
    right = np.zeros((len(ARRANGEMENTS), 40), bool)
    right[0, ::2] = True
    right[ARRANGEMENTS.index("prefilled"), :20] = True
    right[ARRANGEMENTS.index(better), 20:] = True
    data = xr.Dataset(
        {
            "right": (("how", "trial"), right),
            "scene": (("trial",), [f"s{i}" for i in range(40)]),
            "part": (("trial",), part),
        },
        {"how": list(ARRANGEMENTS)},
    )
    found = Arrangements(data).difference()
    assert (found.value, found.n) == (value, 20)
