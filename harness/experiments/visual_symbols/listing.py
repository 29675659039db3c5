"""E10: the ID of "the first object", from some photographs, makes models repeat it on others (appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from harness.experiments.answers import continued, first_listed
from harness.experiments.editing import Head, captured, head_edits, last_token, ranking
from harness.experiments.sweeps import share_of_heads
from harness.measuring.experiment import OwnImages, Request
from harness.statistics.halves import estimation_half
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.photographs import digest_of, read_coco
from harness.stimuli.prompt import Prompt, Trial
from harness.stimuli.questions import list_begun, listing_scenes
from harness.stimuli.scene import Scene

PUBLISHED_K, OF = (50, 100, 200), 784
"""Selection heads replaced in Figure 45; as large a part of Qwen2.5-VL-7B's heads is taken elsewhere."""

PHOTOGRAPHS = 1000
"""Images: 500 sources, since only a mean over many objects is free of content (protocol, E10)."""

WORDS = 2
"""Of an entry: a color and a noun, or what the subject says in their place."""
RANDOM_SETS = 5


def measure(request: Request) -> xr.Dataset:
    """Lists made, and lists gone on with after the ID of the first object was put in.

    Half of the images are sources. Of the others one half chooses how many heads, the other is judged.

    Returns:
        `repeated`, `random`, `plain` bool [trial]: whether the next object begins like the first one, with
        the ID, with as many random heads replaced (any of them), and as it is; `exact` bool [trial]: the
        same in all words; `scene` [trial]; `heads`, `listed`, `shown`: images that were listed, of how many.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    scenes = listing_scenes(subject.grids[2], HIGH_ENTROPY[3], trials, rng)
    return _measure_scenes(request, scenes)


def _measure_scenes(request: Request, scenes: Sequence[Scene]) -> xr.Dataset:
    subject, rng = request.subject, request.rng
    mediation = request.needed["mediation"]
    begun = [list_begun(s, ()) if len(s) else _begun(s, "") for s in scenes]
    ones = [first_listed(x) for x in continued(subject, begun, WORDS)]
    told = [(t, _begun(t.scene, one), one) for t, one in zip(begun, ones, strict=True) if one]
    twos = [first_listed(x) for x in continued(subject, [t for _, t, _ in told], WORDS)]
    usable = [
        (first, one)
        for (first, _, one), two in zip(told, twos, strict=True)
        # A first word in common could not tell a repetition from a true answer.
        if two and one.split()[0] != two.split()[0]
    ]
    request.progress(1, 3)
    keys = np.array([t.scene.key for t, _ in usable])
    facts = {"listed": len(usable), "shown": len(scenes)}
    heads = ranking(mediation, "id_selection")
    if len(np.unique(keys)) < 48 or not heads:
        return xr.Dataset({"heads": 0 if not heads else -1, **facts})
    source = estimation_half(keys, rng)
    values = captured(
        subject, [t for (t, _), s in zip(usable, source, strict=True) if s], "head", last_token
    )
    first_id = values.mean(1)
    targets = [pair for pair, s in zip(usable, source, strict=True) if not s]
    choosing = estimation_half(keys[~source], rng)
    trials_ = [_begun(t.scene, one) for t, one in targets]

    def repeats(chosen: np.ndarray, which: list[Head]) -> tuple[np.ndarray, np.ndarray]:
        part = [t for t, c in zip(trials_, chosen, strict=True) if c]
        wanted = [one for (_, one), c in zip(targets, chosen, strict=True) if c]
        texts = continued(
            subject,
            part,
            2,
            lambda batch, rows: (
                head_edits(
                    "head",
                    which,
                    last_token(batch),
                    first_id[:, None].expand(-1, len(batch), -1, -1, -1),
                    "replace",
                )
                if which
                else ()
            ),
        )
        first = [x.split()[:1] == w.split()[:1] for x, w in zip(texts, wanted, strict=True)]
        exact = [x.startswith(w) for x, w in zip(texts, wanted, strict=True)]
        return np.array(first), np.array(exact)

    counts = sorted({min(len(heads), share_of_heads(subject, k, OF)) for k in PUBLISHED_K})
    shares = [repeats(choosing, heads[:k])[0].mean() for k in counts]
    best = counts[int(np.argmax(shares))]
    request.progress(2, 3)
    repeated, exact = repeats(~choosing, heads[:best])
    every = [(layer, h) for layer in range(subject.layers) for h in range(subject.heads)]
    sets = [[every[i] for i in rng.permutation(len(every))[:best]] for _ in range(RANDOM_SETS)]
    random = [repeats(~choosing, s)[0] for s in sets]
    return xr.Dataset(
        {
            "repeated": (("trial",), repeated),
            "exact": (("trial",), exact),
            "random": (("draw", "trial"), np.array(random)),
            "plain": (("trial",), repeats(~choosing, [])[0]),
            "scene": (("trial",), keys[~source][~choosing]),
            "heads": best,
            **facts,
        }
    )


def _begun(scene: Scene, first: str) -> Trial:
    """The list with its first entry in the subject's own words, or not begun at all."""
    text = "In this image there is 1. a" + (f" {first} 2. a" if first else "")
    return Trial(scene, Prompt(text, ""), (), None)


def read_images(folder: Path) -> OwnImages:
    """The experiment on COCO 2017 validation images (appendix B).

    Raises:
        harness.stimuli.photographs.NoData: They are not there; the message says how to get them.
    """
    scenes = read_coco(folder, PHOTOGRAPHS, np.random.default_rng(0))
    return OwnImages(digest_of(scenes), PHOTOGRAPHS, partial(_measure_scenes, scenes=scenes))
