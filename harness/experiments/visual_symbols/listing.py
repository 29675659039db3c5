"""E10: the ID of "the first object", from some photographs, makes models repeat it on others (appendix B)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import Head, capture_all, edit_heads, find_last_token, rank_heads
from harness.experiments.halves import Halves, note_unranked
from harness.experiments.other_heads import OtherHeads
from harness.experiments.random_heads import RandomHeads
from harness.experiments.sweeps import scale_head_count
from harness.experiments.written import continue_prompts, find_noun, read_first_entry
from harness.measuring.experiment import OwnImages, Request
from harness.statistics.choice import choose_as_good
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.photographs import digest_of, read_coco
from harness.stimuli.prompt import Prompt, Trial
from harness.stimuli.questions import continue_list, draw_listing_scenes
from harness.stimuli.scene import Object, Scene
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit

PUBLISHED_K, OF = (50, 100, 200), 784
"""Selection heads replaced in Figure 45; for small subjects, as large a part as of Qwen2.5-VL-7B's heads."""

LISTED = 48
"""Images that must be listed, so that each part of them tells something."""

WORDS = 2
"""Tokens of an entry of small subjects, whose tokens are words: a color and a noun."""

TOKENS = 36
"""Tokens of an entry of all others, enough for the longest and the number after it: it must not be cut off."""

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
        noun: It has the same noun, bool [n].
        exact: All its words are the same, bool [n].
    """

    noun: NDArray[np.bool_]
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

        texts = _write_entries(self.subject, [x.asked_second for x in lists], put_in)
        pairs = [(text, x.first) for text, x in zip(texts, lists, strict=True)]
        return Repeats(
            np.array([find_noun(text) == find_noun(first) for text, first in pairs]),
            np.array([text.lower() == first.lower() for text, first in pairs]),
        )


@note_unranked
def measure(request: Request) -> xr.Dataset:
    """Have lists made, and have them gone on with after the ID of the first object was put in.

    Half of the images are sources. Of the others one half chooses how many heads, the other is judged.

    Returns:
        `named` bool [image]: a first object was named, one that is there where it is known what is; `image`
        [image]: the scene; `heads`: how many select an ID; `kept`: contrasts on which mediation looked for
        them; `listed`: images that were listed. And where there are heads and at least `LISTED` such images:
        `repeated`, `plain` bool [trial]: whether the next object has the noun of the first one, with the ID
        and as it is; `random` bool [trial]: the same with as many random heads of the same layers replaced;
        `draw` int64 [trial]: which of their draws; `others`: how many, at least; `exact` bool [trial]: the
        same in all words; `scene` [trial]; `replaced`: how many heads.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    scenes = draw_listing_scenes(subject.grids[2], HIGH_ENTROPY[3], trials, rng)
    return _measure_scenes(request, scenes)


def _measure_scenes(request: Request, scenes: Sequence[Scene]) -> xr.Dataset:
    subject, rng, mediation = request.subject, request.rng, request.needed["mediation"]
    asked = [continue_list(s, ()) if len(s) else _begin_list(s, "") for s in scenes]
    firsts = _write_entries(subject, asked)
    lists = _keep_lists(subject, asked, firsts)
    request.progress(1, 3)
    keys = np.array([x.asked.scene.key for x in lists])
    heads = rank_heads(mediation, "id_selection")
    found = xr.Dataset(
        {
            "named": (("image",), [_is_there(s, f) for s, f in zip(scenes, firsts, strict=True)]),
            "image": (("image",), [s.key for s in scenes]),
            "heads": len(heads),
            "kept": int(mediation.kept.sel(condition="id_selection")),
            "listed": len(np.unique(keys)),
        }
    )
    if len(np.unique(keys)) < LISTED or not heads:
        return found
    halves = Halves.deal(keys, rng)
    sources, others = halves.split(lists)
    values = capture_all(subject, [x.asked for x in sources], "head", find_last_token)
    identity = FirstObject(subject, values.mean(1))
    parts = Halves.deal(keys[halves.second], rng)
    choosing, judged = parts.split(others)
    best = heads[: _choose_count(identity, choosing, parts.scenes[parts.first], heads)]
    request.progress(2, 3)
    repeats = identity.find_repeats(judged, best)
    judged_scenes = parts.scenes[parts.second]
    free = OtherHeads.find(mediation, "id_selection")
    random = RandomHeads.deal(best, free, judged_scenes, rng)
    return found.assign(
        repeated=(("trial",), repeats.noun),
        exact=(("trial",), repeats.exact),
        random=(("trial",), random.ask(judged, lambda x, of: identity.find_repeats(x, of).noun)),
        draw=(("trial",), random.draws),
        others=random.fewest,
        plain=(("trial",), identity.find_repeats(judged, []).noun),
        scene=(("trial",), judged_scenes),
        replaced=len(best),
    )


def _write_entries(
    subject: Subject,
    asked: Sequence[Trial],
    edits: Callable[[Batch, slice], Sequence[Edit]] | None = None,
) -> list[str]:
    """The entry with which the subject goes on with each list, "" where there is none."""
    tokens = WORDS if subject.entry.scale == "embedded" else TOKENS
    return [read_first_entry(text) for text in continue_prompts(subject, asked, tokens, edits)]


def _is_there(scene: Scene, entry: str) -> bool:
    """Whether an entry names an object of the scene, or any object where it is not known what is shown."""
    noun = find_noun(entry)
    return noun in {o.shape for o in scene.objects} if len(scene) else bool(noun)


def _keep_lists(subject: Subject, asked: Sequence[Trial], firsts: Sequence[str]) -> list[MadeList]:
    """The images of which the subject lists two objects with different nouns."""
    made = [MadeList(t, first) for t, first in zip(asked, firsts, strict=True) if find_noun(first)]
    seconds = _write_entries(subject, [x.asked_second for x in made])
    return [
        x
        for x, second in zip(made, seconds, strict=True)
        # A noun in common could not tell a repetition from a true answer.
        if find_noun(second) and find_noun(x.first) != find_noun(second)
    ]


def _choose_count(
    identity: FirstObject,
    choosing: Sequence[MadeList],
    scenes: NDArray[np.str_],
    heads: Sequence[Head],
) -> int:
    """Choose the smallest number of heads with which as many lists repeat their first object as with any."""
    published = [scale_head_count(identity.subject, k, OF) for k in PUBLISHED_K]
    counts = sorted({min(len(heads), k) for k in published})
    repeats = [identity.find_repeats(choosing, heads[:k]).noun for k in counts]
    return counts[choose_as_good(repeats, scenes)]


def _begin_list(scene: Scene, first: str) -> Trial:
    """The trial that asks for the second entry of a list, or for the first one if `first` is empty."""
    text = "In this image there is 1. a" + (f" {first} 2. a" if first else "")
    return Trial(scene, Prompt(text, ""), (), UNKNOWN)


def read_images(folder: Path, trials: int) -> OwnImages:
    """The experiment on COCO 2017 validation images (appendix B).

    Args:
        folder: Where they are.
        trials: How many are used, if there are as many.

    Raises:
        harness.stimuli.photographs.NoData: They are not there; the message says how to get them.
    """
    scenes = read_coco(folder, trials, np.random.default_rng(0))
    return OwnImages(digest_of(scenes), len(scenes), partial(_measure_scenes, scenes=scenes))
