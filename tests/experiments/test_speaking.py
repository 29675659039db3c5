"""Lists and counts of subjects that write like published models: whatever their spelling, the same verdicts.

They are no models: what they write is made up here, and follows from the heads that are edited. Heads 0 to 3 of
layers 5 and 6 are those that bind.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

from harness.experiments.visual_symbols import counting, listing
from harness.judging.claim import above, below
from harness.judging.verdict import decide
from harness.measuring.experiment import Request
from harness.readings.visual_symbols.counting import Counting
from harness.readings.visual_symbols.listing import Listing
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.prompt import NUMBERS
from harness.stimuli.scene import PAPER_GRIDS

LAYERS, HEADS, KEPT = 8, 10, 20
BINDING = {(layer, head) for layer in (5, 6) for head in range(4)}
SUPPORTED_BY_BINDING = {
    "accuracy": "supported",
    "dose": "supported",
    "bottom": "supported",
    "smallest": "supported",
    "gap": "supported",
    "random": "supported",
    "valid": "supported",
}

SPELLINGS = {
    "digits": "{list}Answer: {digit}",
    "words": "{list}Answer: {word}",
    "capitals": "{list}ANSWER: {WORD}",
    "Markdown": "{list}**Answer:** {digit}",
    "sentence": "{list}There are {word} unique colored objects.",
    "total": "{list}Total count: {digit}",
    "LaTeX": "{list}\\boxed{{{digit}}}",
    "at once": "{digit}",
}


class Rows:
    """Stands for a batch of n prompts."""

    last = 9

    def __init__(self, trials):
        self.trials = trials

    def __len__(self):
        return len(self.trials)


def make_subject():
    return SimpleNamespace(
        layers=LAYERS, heads=HEADS, grids=PAPER_GRIDS, entry=SimpleNamespace(scale="paper")
    )


def mediation(kept=KEPT, score=1.0):
    """Scores of BINDING are high, all others small and of both signs; none if no contrast was kept."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1e-3, (len(CONDITIONS), KEPT, LAYERS, HEADS))
    for layer, head in BINDING:
        scores[:, :, layer, head] += score
    return xr.Dataset(
        {
            "score": (("condition", "trial", "layer", "head"), scores),
            "written": (("condition", "layer", "head"), np.ones_like(scores[:, 0])),
            "scene": (
                ("condition", "trial"),
                np.tile([f"s{i}" for i in range(KEPT)], (len(CONDITIONS), 1)),
            ),
            "kept": (("condition",), [kept] * len(CONDITIONS)),
        },
        {"condition": list(CONDITIONS)},
    )


def request(trials, **found):
    rng = np.random.default_rng(0)
    return Request(make_subject(), trials, rng, needed={"mediation": mediation(**found)})


def verdict(estimate, threshold):
    return decide(estimate, threshold, "made-up").verdict.value


def over(value):
    return above(value, unit="u", origin="chosen by us", note="for the test")


def read_counting(data):
    """The verdict of each claim of appendix C, and of the task."""
    read = Counting(data)
    low = below(0.2, unit="u", origin="chosen by us", note="for the test")
    return {
        "accuracy": verdict(read.accuracy(), low),
        "dose": verdict(read.dose(), over(0.2)),
        "bottom": verdict(read.spared("bottom"), over(0.7)),
        "smallest": verdict(read.spared("smallest"), over(0.7)),
        "gap": verdict(read.gap(), over(0.5)),
        "random": verdict(read.against_random(), over(0.3)),
        "valid": verdict(read.valid(), over(0.8)),
    }, verdict(read.task_accuracy(), over(0.85))


@pytest.fixture
def count(monkeypatch):
    """A function that measures counting on a speaker, and gives the measurement."""

    def go(form=SPELLINGS["digits"], needs=BINDING, errs=lambda scene: False, **found):
        def write(subject, trials, tokens, edits=None, ablated=()):
            # Two of them are lost before it miscounts, so that few silenced heads cost less than many.
            lost = len(needs & set(ablated)) >= 3
            return [speak(form, t.scene, -2 if lost or errs(t.scene) else 0) for t in trials]

        monkeypatch.setattr(counting, "continue_prompts", write)
        return counting.measure(request(96, **found))

    return go


def speak(form, scene, error):
    number = len(scene) + error
    listed = "".join(f"{i + 1}. **{o.name.title()}**\n" for i, o in enumerate(scene.objects))
    word = NUMBERS[number]
    return form.format(list=f"{listed}\n", digit=number, word=word, WORD=word.upper())


@pytest.mark.parametrize("form", SPELLINGS.values(), ids=SPELLINGS)
def test_counts_are_told_from_miscounts_in_every_spelling(count, form):
    assert read_counting(count(form)) == (SUPPORTED_BY_BINDING, "supported")


def test_a_list_that_never_says_how_many_blocks_all_claims(count):
    assert read_counting(count("{list}"))[1] == "refuted"


@pytest.mark.parametrize("found", [{"kept": 0}, {"score": -1.0}], ids=["kept none", "other heads"])
def test_counting_supports_nothing_of_heads_that_mediation_did_not_find(count, found):
    """With the scores of no contrast all heads are tied, and the first layers stand at the top."""
    first = {(0, head) for head in range(HEADS)} | {(1, head) for head in range(HEADS)}
    verdicts, task = read_counting(count(needs=first if "kept" in found else BINDING, **found))
    assert task == "supported"
    if "kept" in found:
        assert set(verdicts.values()) == {"inconclusive"}, "whether there are heads is not known"
    assert "supported" not in verdicts.values()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_a_subject_that_counts_wrong_supports_nothing(count, share):
    data = count(errs=lambda scene: int(scene.key, 16) % 100 >= 100 * share)
    verdicts, task = read_counting(data)
    assert task == "refuted"
    assert set(verdicts.values()) == {"not_applicable"}


def test_nothing_is_spared_where_nothing_is_needed(count):
    verdicts, task = read_counting(count(needs=set()))
    assert task == "supported"
    assert {verdicts[c] for c in ("bottom", "smallest", "valid")} == {"not_applicable"}
    assert {verdicts[c] for c in ("accuracy", "dose", "gap", "random")} == {"refuted"}


def test_heads_that_every_layer_shares_are_missed_no_more_than_random_ones(count):
    layers = {(layer, head) for layer in (5, 6) for head in range(HEADS)}
    assert read_counting(count(needs=layers))[0]["random"] == "refuted"


@pytest.fixture
def list_(monkeypatch):
    """A function that measures listing on a speaker, and gives the measurement."""

    def go(first=str, second="{} 2. a", follows=BINDING, trials=160, lists=True, **found):
        def write(subject, asked, tokens, edits=None, ablated=()):
            made = edits(Rows(asked), slice(0, len(asked))) if edits else ()
            heads = {(edit.layer, head) for edit in made for head in edit.heads}
            repeats = bool(follows) and len(follows & heads) >= 4
            return [go_on(t, repeats) for t in asked]

        def go_on(trial, repeats):
            if not lists:
                return "." * len(trial.scene)
            begun = trial.prompt.text.endswith("2. a")
            entry = trial.scene.objects[0 if repeats or not begun else 1].name
            return second.format(first(entry)) if begun else first(f"{entry}\n2. a")

        monkeypatch.setattr(listing, "continue_prompts", write)
        monkeypatch.setattr(
            listing,
            "capture_all",
            lambda subject, asked, kind, tokens: torch.zeros(LAYERS, len(asked), 1, HEADS, 2),
        )
        return listing.measure(request(trials, **found))

    return go


def read_listing(data):
    read = Listing(data)
    return (
        verdict(read.repeats(), over(0.6)),
        verdict(read.exact(), over(0.4)),
        verdict(read.specific(), over(0.45)),
    ), verdict(read.task_accuracy(), over(0.6))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (str, "{} 2. a"),
        (str.title, "{}\n3. A Pink Umbrella"),
        (str.upper, "{}."),
        (lambda text: f"**{text}**", "**{}**\n"),
        (lambda text: f"In this image there is 1. a {text}", "[{}]"),
    ],
    ids=["plain", "title", "capitals", "Markdown", "sentence"],
)
def test_lists_are_told_apart_in_every_spelling(list_, first, second):
    assert read_listing(list_(first, second)) == (("supported",) * 3, "supported")


def test_an_adjective_in_common_is_no_repetition_and_one_more_is_no_other_object(list_):
    same = read_listing(list_(second="large old {} with a shadow"))
    assert same == (("supported", "refuted", "supported"), "supported")
    never = list_(first=lambda text: f"large {text}", second="large {}", follows=set())
    assert read_listing(never) == (("refuted",) * 3, "supported")
    assert not never.plain.any()


def test_listing_supports_nothing_of_heads_that_mediation_did_not_find(list_):
    assert read_listing(list_(kept=0)) == (("not_applicable",) * 3, "supported")


def test_too_few_lists_settle_nothing(list_):
    assert read_listing(list_(trials=30)) == (("inconclusive",) * 3, "supported")


def test_a_subject_that_lists_nothing_fails_the_task(list_):
    verdicts, task = read_listing(list_(lists=False))
    assert task == "refuted"
    assert "supported" not in verdicts
