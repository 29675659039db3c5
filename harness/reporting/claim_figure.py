"""Draw one claim: what was measured on each subject, the threshold, and what the paper reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from harness.judging.claim import Claim
from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.machine.files import name_file
from harness.reporting.figures import HUES, Picture, save, styled
from harness.reporting.wording import WORDS, measured, one_line, shorten

_SHADE = "#e8f1f7"

_LOOKS = {Verdict.supported: (HUES[0], "o"), Verdict.refuted: (HUES[1], "s")}
"""Color and marker of a verdict; they differ in both."""


@styled
def draw_claim(claim: Claim, records: Sequence[Record], folder: str | Path) -> Picture:
    """Draw a row for each subject: its estimate with the interval, and the paper's number for it.

    The claimed side of the threshold is shaded. Subjects that the paper reports on and that were not measured
    have rows, too.

    Args:
        claim: What is claimed.
        records: Verdicts on it that have an estimate.
        folder: Where the file goes.

    Raises:
        OSError: The folder cannot be written.
    """
    names = list(dict.fromkeys([*(r.subject for r in records), *claim.published]))
    figure = Figure(figsize=(6.4, 0.75 + 0.28 * len(names)), layout="constrained")
    axes = figure.subplots()
    for record in records:
        row = names.index(record.subject)
        color, marker = _LOOKS.get(record.verdict, (HUES[8], "D"))
        if record.ci_low is not None and record.ci_high is not None:
            axes.plot([record.ci_low, record.ci_high], [row, row], color=color, linewidth=2)
        if record.estimate is None:
            continue
        axes.plot(record.estimate, row, marker=marker, color=color, linestyle="none")
    for name, value in claim.published.items():
        axes.plot(value, names.index(name), "|", color=HUES[6], markersize=11, markeredgewidth=2)
    limit, above = claim.threshold.value, claim.threshold.direction == "above"
    low, high = axes.get_xlim()
    room = 0.06 * (max(high, limit) - min(low, limit) or 1.0)
    low, high = min(low, limit - room), max(high, limit + room)
    axes.axvspan(limit if above else low, high if above else limit, color=_SHADE, zorder=0)
    axes.axvline(limit, color=HUES[6], linewidth=0.8)
    axes.set(xlim=(low, high), ylim=(len(names) - 0.4, -0.6), xlabel=one_line(claim.threshold.unit))
    axes.set_yticks(range(len(names)), [shorten(name, 40) for name in names])
    told = [f"{r.subject} {measured(r)}, {WORDS[r.verdict]}" for r in records]
    told += [f"{name} {value:g} published" for name, value in claim.published.items()]
    caption = [one_line(part) for part in (claim.statement.removesuffix("."), *told)]
    return save(figure, folder, f"{name_file(claim.id)}.svg", claim.id, caption)
