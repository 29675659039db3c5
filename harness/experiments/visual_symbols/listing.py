"""E10: the ID of "the first object", from some photographs, makes models repeat it on others (appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import Head, capture_all, edit_heads, find_last_token, rank_heads
from harness.experiments.halves import Halves
from harness.experiments.sweeps import scale_head_count
from harness.experiments.written import continue_prompts, read_first_entry
from harness.measuring.experiment import OwnImages, Request
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.photographs import digest_of, read_coco
from harness.stimuli.prompt import Prompt, Trial
from harness.stimuli.questions import continue_list, draw_listing_scenes
from harness.stimuli.scene import Object, Scene
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit

PUBLISHED_K, OF = (50, 100, 200), 784
"""Selection heads replaced in Figure 45; as large a part of Qwen2.5-VL-7B's heads is taken elsewhere."""

PHOTOGRAPHS = 1000
"""Images: 500 sources, since only a mean over many objects is free of content (protocol, E10)."""

LISTED = 48
"""Images that must be listed, so that each part of them tells something."""

WORDS = 2
"""Of an entry: a color and a noun, or what the subject says in their place."""

RANDOM_SETS = 5

UNKNOWN = Object("black", "circle")
"""Stands for the target of a list in the subject's own words: it has none, and nothing reads it."""


@dataclass(frozen=True)
class MadeList:
    """An image that the subject answered with a list of two objects.

    Attributes:
        asked: The trial that asks for the first entry.
        first: The first entry, in the subject's words.
    """

    asked: Trial
    first: str

    @property
    def asked_second(self) -> Trial:
        """The trial in which the first entry is given and the second is asked."""
        return _begin_list(self.asked.scene, self.first)


@dataclass(frozen=True)
class Repeats:
    """Whether the next entry of each list repeats the first one.

    Attributes:
        begun: It begins with the same word, bool [n].
        exact: All its words are the same, bool [n].
    """

    begun: NDArray[np.bool_]
    exact: NDArray[np.bool_]


@dataclass(frozen=True)
class FirstObject:
    """The ID of the first object, which is put into lists that go on to the second.

    Attributes:
        subject: The model.
        values: Mean output of every head at the last token where the first entry was asked, [L, 1, H, w].
    """

    subject: Subject
    values: torch.Tensor

    def find_repeats(self, lists: Sequence[MadeList], heads: Sequence[Head]) -> Repeats:
        """Let the subject go on with each list while these heads give the ID; none for no edit."""

        def put_in(batch: Batch, rows: slice) -> list[Edit]:
            values = self.values[:, None].expand(-1, len(batch), -1, -1, -1)
            return edit_heads("head", heads, find_last_token(batch), values, "replace")

        texts = continue_prompts(self.subject, [x.asked_second for x in lists], WORDS, put_in)
        pairs = [(text, x.first) for text, x in zip(texts, lists, strict=True)]
        return Repeats(
            np.array([text.split()[:1] == first.split()[:1] for text, first in pairs]),
            np.array([text.startswith(first) for text, first in pairs]),
        )


def measure(request: Request) -> xr.Dataset:
    """Have lists made, and have them gone on with after the ID of the first object was put in.

    Half of the images are sources. Of the others one half chooses how many heads, the other is judged.

    Returns:
        `repeated`, `random`, `plain` bool [trial]: whether the next object begins like the first one, with
        the ID, with as many random heads replaced (any of them), and as it is; `exact` bool [trial]: the
        same in all words; `scene` [trial]; `heads`, `listed`, `shown`: images that were listed, of how many.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    scenes = draw_listing_scenes(subject.grids[2], HIGH_ENTROPY[3], trials, rng)
    return _measure_scenes(request, scenes)


def _measure_scenes(request: Request, scenes: Sequence[Scene]) -> xr.Dataset:
    subject, rng = request.subject, request.rng
    lists = _make_lists(subject, scenes)
    request.progress(1, 3)
    keys = np.array([x.asked.scene.key for x in lists])
    facts = {"listed": len(lists), "shown": len(scenes)}
    heads = rank_heads(request.needed["mediation"], "id_selection")
    if len(np.unique(keys)) < LISTED or not heads:
        return xr.Dataset({"heads": 0 if not heads else -1, **facts})
    halves = Halves.deal(keys, rng)
    sources, others = halves.split(lists)
    values = capture_all(subject, [x.asked for x in sources], "head", find_last_token)
    identity = FirstObject(subject, values.mean(1))
    parts = Halves.deal(keys[halves.second], rng)
    choosing, judged = parts.split(others)
    best = _choose_count(identity, choosing, heads)
    request.progress(2, 3)
    repeats = identity.find_repeats(judged, heads[:best])
    random = [identity.find_repeats(judged, s).begun for s in _draw_heads(subject, best, rng)]
    return xr.Dataset(
        {
            "repeated": (("trial",), repeats.begun),
            "exact": (("trial",), repeats.exact),
            "random": (("draw", "trial"), np.array(random)),
            "plain": (("trial",), identity.find_repeats(judged, []).begun),
            "scene": (("trial",), parts.scenes[parts.second]),
            "heads": best,
            **facts,
        }
    )


def _make_lists(subject: Subject, scenes: Sequence[Scene]) -> list[MadeList]:
    """The images of which the subject lists two objects that begin with different words."""
    asked = [continue_list(s, ()) if len(s) else _begin_list(s, "") for s in scenes]
    firsts = [read_first_entry(text) for text in continue_prompts(subject, asked, WORDS)]
    made = [MadeList(t, first) for t, first in zip(asked, firsts, strict=True) if first]
    texts = continue_prompts(subject, [x.asked_second for x in made], WORDS)
    seconds = [read_first_entry(text) for text in texts]
    return [
        x
        for x, second in zip(made, seconds, strict=True)
        # A first word in common could not tell a repetition from a true answer.
        if second and x.first.split()[0] != second.split()[0]
    ]


def _choose_count(
    identity: FirstObject, choosing: Sequence[MadeList], heads: Sequence[Head]
) -> int:
    """Choose the number of heads with which most lists repeat their first object; of equals the smallest."""
    published = [scale_head_count(identity.subject, k, OF) for k in PUBLISHED_K]
    counts = sorted({min(len(heads), k) for k in published})
    shares = [identity.find_repeats(choosing, heads[:k]).begun.mean() for k in counts]
    return counts[int(np.argmax(shares))]


def _draw_heads(subject: Subject, count: int, rng: np.random.Generator) -> list[list[Head]]:
    """Sets of as many heads, drawn at random from all of them."""
    every = [(layer, h) for layer in range(subject.layers) for h in range(subject.heads)]
    return [[every[i] for i in rng.permutation(len(every))[:count]] for _ in range(RANDOM_SETS)]


def _begin_list(scene: Scene, first: str) -> Trial:
    """The trial that asks for the second entry of a list, or for the first one if `first` is empty."""
    text = "In this image there is 1. a" + (f" {first} 2. a" if first else "")
    return Trial(scene, Prompt(text, ""), (), UNKNOWN)


def read_images(folder: Path) -> OwnImages:
    """The experiment on COCO 2017 validation images (appendix B).

    Raises:
        harness.stimuli.photographs.NoData: They are not there; the message says how to get them.
    """
    scenes = read_coco(folder, PHOTOGRAPHS, np.random.default_rng(0))
    return OwnImages(digest_of(scenes), PHOTOGRAPHS, partial(_measure_scenes, scenes=scenes))
