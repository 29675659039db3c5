"""Tell the paper's story of one subject in one picture and one sentence: three stages, one after the other.

Assouel et al. (2026, sections 3.3 and 3.4) find that position IDs are retrieved at the mentions, that one is
selected at the last token, and that features are retrieved there: states show it layer by layer, and different
heads do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.machine.files import name_file
from harness.measures.mediation import find_top_heads, spell_stage
from harness.reporting.figures import (
    HUES,
    Picture,
    mark_published,
    save,
    styled,
    tick_whole_numbers,
)
from harness.reporting.scorecard import Scorecard


class Stage(NamedTuple):
    """One of the three stages.

    Attributes:
        condition: Its name in the measurement of mediation.
        pair: The code and the token at which similarity shows it.
        code: The same in words.
        seen: The last part of the id of the claim that the code is there.
        carried: The last part of the id of the claim that some head carries the stage.
        color: Of its curve and of its heads.
    """

    condition: str
    pair: str
    code: str
    seen: str
    carried: str
    color: str


STAGES = (
    Stage(
        "id_retrieval",
        "position@separator",
        "position at the mentions",
        "3.3.position_at_mentions",
        "3.4.id_retrieval",
        HUES[2],
    ),
    Stage(
        "id_selection",
        "position@last",
        "position at the last token",
        "3.3.position_at_last",
        "3.4.id_selection",
        HUES[0],
    ),
    Stage(
        "feature_retrieval",
        "features@last",
        "features at the last token",
        "3.3.features_at_last",
        "3.4.feature_retrieval",
        HUES[1],
    ),
)
"""The stages in the paper's order."""

PAPER = "visual_symbols"
"""The paper whose story it is, as ids of its claims begin."""

ORDERS = (
    "3.3.retrieval_before_selection",
    "3.3.selection_before_features",
    "3.4.retrieval_before_selection",
    "3.4.selection_before_features",
)
"""The claims that one stage comes before the next."""


@styled
def draw_story(
    similarity: xr.Dataset | None,
    mediation: xr.Dataset | None,
    subject: str,
    folder: str | Path,
    published: Mapping[str, Sequence[float]] | None = None,
) -> Picture:
    """Draw what states show of the three stages over the layers, and beside it the heads that carry them.

    Args:
        similarity: As `harness.reporting.curves.draw_similarity` draws it; None if it was not measured.
        mediation: As `harness.reporting.figures.draw_mediation` draws it; None if it was not measured.
        subject: The subject's name.
        folder: Where the file goes.
        published: The paper's curve of this subject by pair, one r per layer.

    Raises:
        ValueError: Neither was measured.
    """
    if similarity is None and mediation is None:
        raise ValueError(
            f"{subject}: neither similarity nor mediation was measured, so there is no story"
        )
    both = similarity is not None and mediation is not None
    figure = Figure(figsize=(8.4 if both else 4.6, 3.1), layout="constrained")
    panels = list(figure.subplots(1, 1 + both, squeeze=False)[0])
    layers, caption = 0, []
    if similarity is not None:
        layers = _draw_codes(panels[0], similarity, published or {})
        caption.append(
            "left: how closely the similarity of states follows each code (RSA), shaded 95% of draws"
            if both
            else "how closely the similarity of states follows each code (RSA), shaded 95% of draws"
        )
        if published:
            caption.append("hollow: published")
    if mediation is not None:
        layers = max(layers, _draw_heads(panels[-1], mediation))
        caption.append(
            f"{'right: ' if both else ''}the heads that move the answer when they alone are patched, larger "
            "where they move it further, as a share of the stage's best"
        )
    for axes in panels:
        axes.set(xlabel="layer", xlim=(-0.6, layers - 0.4))
        tick_whole_numbers(axes.xaxis)
    figure.legend(
        *_find_handles(panels),
        loc="outside upper left",
        ncols=3 if both else 1,
        fontsize=8,
        columnspacing=1.0,
        handlelength=1.5,
    )
    return save(
        figure,
        folder,
        f"story--{name_file(subject)}.svg",
        f"{subject}: the three stages over the layers",
        caption,
    )


def _draw_codes(axes: Axes, dataset: xr.Dataset, published: Mapping[str, Sequence[float]]) -> int:
    """Draw the curve of each stage's code; the number of layers."""
    data = dataset.sel(half="all") if "half" in dataset.dims else dataset
    layers = np.arange(data.sizes["layer"])
    axes.axhline(0, color="#676b73", linewidth=0.6)
    for stage in STAGES:
        if stage.pair not in data.pair.values:
            continue
        one = data.sel(pair=stage.pair)
        draws = one.r_draws.transpose("draw", "layer").values
        low, high = np.nanquantile(draws, (0.025, 0.975), axis=0)
        axes.fill_between(layers, low, high, color=stage.color, alpha=0.18, linewidth=0)
        axes.plot(layers, one.r.values, color=stage.color, linewidth=1.8, label=_label(stage))
        if stage.pair in published:
            mark_published(axes, published[stage.pair], stage.color)
    axes.set(ylabel="RSA (Pearson r)", ylim=(min(-0.1, axes.get_ylim()[0]), 1.0))
    return len(layers)


def _draw_heads(axes: Axes, dataset: xr.Dataset) -> int:
    """Draw the best heads of every stage; the number of layers."""
    sizes = dataset.score.sizes
    for stage in STAGES:
        if stage.condition not in dataset.condition.values:
            continue
        scores = dataset.score.sel(condition=stage.condition).transpose("trial", "layer", "head")
        kept = np.isfinite(scores.values).all(axis=(1, 2))
        heads: list[tuple[int, int]] = []
        if kept.any():
            mean = scores.values[kept].mean(0)
            heads = find_top_heads(mean)
        places = np.array(heads, float).reshape(-1, 2)
        shares = np.array([mean[head] for head in heads]) / max(mean.max(), 1e-12) if heads else []
        axes.scatter(
            places[:, 0],
            places[:, 1],
            s=130 * np.asarray(shares, float),
            color=stage.color,
            alpha=0.75,
            edgecolors="#23252a",
            linewidths=0.5,
            label=_label(stage),
        )
    axes.set(ylabel="head", ylim=(-0.6, sizes["head"] - 0.4))
    tick_whole_numbers(axes.yaxis)
    return int(sizes["layer"])


def _label(stage: Stage) -> str:
    return f"{spell_stage(stage.condition)} ({stage.code})"


def _find_handles(panels: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    """A mark and a name for each stage, lines before dots."""
    found: dict[str, Artist] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    return list(found.values()), list(found)


def tell_story(card: Scorecard, subject: str) -> str:
    """One sentence on which stages a subject has, in which order, and what its states show; "" if not asked."""
    records = {r.claim.removeprefix(f"{PAPER}."): r for r in card.records if r.subject == subject}
    heads = {spell_stage(s.condition): records.get(s.carried) for s in STAGES}
    codes = {s.code: records.get(s.seen) for s in STAGES}
    asked = [r for r in (*heads.values(), *codes.values()) if r is not None]
    if not asked:
        return ""
    if all(r.verdict is Verdict.blocked for r in asked):
        return f"{subject} does not do the task, so that its stages could not be asked about."
    parts = [
        _tell_which("heads carry", "no head carries", heads),
        _tell_order([records[o] for o in ORDERS if o in records]),
        _tell_which("its states follow", "they do not follow", codes),
    ]
    return f"In {subject}, {'; '.join(filter(None, parts))}."


def _tell_which(there: str, absent: str, records: Mapping[str, Record | None]) -> str:
    """Which stages or codes are there, which are not, and of which that is not known."""
    by: dict[str, list[str]] = {there: [], absent: [], "unclear:": []}
    for name, record in records.items():
        if record is None or record.verdict is Verdict.not_run:
            continue
        end = {Verdict.supported: there, Verdict.refuted: absent}.get(record.verdict, "unclear:")
        by[end].append(name)
    return ", ".join(
        f"{end} {_join(names, 'nor' if end == absent else 'and')}"
        for end, names in by.items()
        if names
    )


def _tell_order(records: Sequence[Record]) -> str:
    verdicts = [r.verdict for r in records]
    held, broken = verdicts.count(Verdict.supported), verdicts.count(Verdict.refuted)
    if not held + broken:
        return ""
    if held == len(verdicts):
        return "they come one after the other, as in the paper"
    return f"of {len(verdicts)} claims on their order {held} are supported and {broken} refuted"


def _join(names: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
