"""How a subject writes its answers, found out before anything is measured, on scenes that no experiment draws.

Three objects stand on the 2x2 canvas, where every experiment shows two or four. The subject goes on with
the sentence, or answers a question about a color. What it writes before the answer, and how it spells that, is
used by all experiments: an answer counts however it is spelled, and logits are compared in the subject's own
spelling (protocol, 6.4).
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.measuring.batches import cut_batches
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial, color_question
from harness.subjects.registry import SharedFirstPiece
from harness.subjects.spelling import (
    ASKED,
    COLOR_NAMES,
    SYNONYMS,
    Asked,
    Speech,
    Spelling,
    Style,
)
from harness.subjects.subject import Subject
from harness.subjects.wording import WORDINGS
from harness.tracing.capture import read_last_logits
from harness.tracing.generate import generate_ids

STEPS = 8
"""Tokens in which an answer must be named."""

ROWS = 32
"""Trials in one pass at most."""

COMMON = 1 / 3
"""Share of the answers that must begin alike for all to be begun so; "The circle is" begins one in nine."""

WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class FoundSpelling:
    """How a subject answered n trials of one form, and the spelling that follows.

    Attributes:
        spelling: What it uses most.
        said: The color that each answer names in any spelling, "" where it names none, [n].
        right: Whether it is the right one, bool [n].
        written: What most answers begin with, as text.
        unclear: Colors that it writes so that their first token does not tell them, with that token.
    """

    spelling: Spelling
    said: NDArray[np.str_]
    right: NDArray[np.bool_]
    written: str
    unclear: Mapping[str, str] = field(default_factory=dict)

    def check(self, subject: Subject) -> None:
        """Check that every answer is told by its first token.

        Raises:
            SharedFirstPiece: Some are not, as this subject writes them.
        """
        if self.unclear:
            words = ", ".join(f"{word} ({token!r})" for word, token in self.unclear.items())
            raise SharedFirstPiece(
                f"{subject.name}: answers are written as in {self.written!r}, where the first token does not "
                f"tell {words} from other words; no claim can be judged by them"
            )


def draw_spelling_trials(subject: Subject, trials: int) -> dict[Asked, list[Trial]]:
    """The trials of each form on which spellings are found out, the same at every call."""
    grid = subject.grids[2]
    rng = np.random.default_rng(zlib.crc32(b"arrangement"))
    sentences = draw_balanced_trials(grid, HIGH_ENTROPY[3], trials, rng, cells=grid.cells[:3])
    questions = [
        Trial(t.scene, color_question(t.target.shape, t.target.color), (), t.target)
        for t in sentences
    ]
    return {"sentence": sentences, "question": questions}


def measure(request: Request) -> xr.Dataset:
    """Find out how the subject writes answers.

    Returns:
        `said` [form, trial]: the color named, "" if none; `right` bool [form, trial]; `scene` [trial]; the
        attributes `speech`, as JSON, and `tells`, the same in words.

    Raises:
        SharedFirstPiece: It writes some answers so that they cannot be told by their first token.
    """
    drawn = draw_spelling_trials(request.subject, request.trials)
    found = {form: find_spelling(request.subject, form, trials) for form, trials in drawn.items()}
    for of_form in found.values():
        of_form.check(request.subject)
    speech = Speech(**{form: f.spelling for form, f in found.items()})
    return xr.Dataset(
        {
            "said": (("form", "trial"), np.array([found[f].said for f in ASKED])),
            "right": (("form", "trial"), np.array([found[f].right for f in ASKED])),
            "scene": (("trial",), np.array([t.scene.key for t in drawn["sentence"]])),
        },
        {"form": list(ASKED)},
        {"speech": speech.to_json(), "tells": _tell(found)},
    )


def find_spelling(subject: Subject, form: Asked, trials: Sequence[Trial]) -> FoundSpelling:
    """Find out how a subject writes its answers to prompts of one form.

    Of the suffixes that its family may need after a question, that with most right answers is taken, the first
    of equals.

    Args:
        subject: The model, in its arrangement.
        form: Of all the prompts.
        trials: n of them.
    """
    tried = [_try_suffix(subject, form, trials, suffix) for suffix in _list_suffixes(subject, form)]
    return max(tried, key=lambda found: found.right.mean())


def _list_suffixes(subject: Subject, form: Asked) -> Sequence[str]:
    """What a prompt of a form may have to end in, in the order in which it is tried."""
    return WORDINGS[subject.anatomy.family].suffixes if form == "question" else ("",)


def _try_suffix(
    subject: Subject, form: Asked, trials: Sequence[Trial], suffix: str
) -> FoundSpelling:
    asked = _speak(subject, form, Spelling(suffix=suffix))
    first = _write(asked, trials)
    spelling = Spelling(_find_lead(asked, first), suffix=suffix)
    asked = _speak(subject, form, spelling)
    written = _write(asked, trials) if spelling.lead else first
    masses: defaultdict[tuple[str, str, Style], float] = defaultdict(float)
    for part in cut_batches(len(trials), ROWS):
        chances = read_last_logits(asked, asked.encode(trials[part])).double().softmax(-1).sum(0)
        for word in asked.first_tokens.words:
            for variant, style, token in asked.first_tokens.list_variants(word):
                if asked.read_word(token):
                    masses[word, variant, style] += float(chances[token])
    said = [asked.read_word(row[0]) for row in written]
    if any(said):
        style = _find_style(masses)
        spelling = replace(spelling, style=style, words=_find_synonyms(masses, style))
    texts = Counter(_cut_after_color(subject, row) for row in first)
    return FoundSpelling(
        spelling,
        np.array(said),
        np.array([word == t.answer for word, t in zip(said, trials, strict=True)]),
        texts.most_common(1)[0][0],
        _find_unclear(asked, written, said),
    )


def _write(subject: Subject, trials: Sequence[Trial]) -> list[list[int]]:
    """The first tokens of each answer, STEPS at most."""
    written: list[list[int]] = []
    for part in cut_batches(len(trials), ROWS):
        written += generate_ids(subject, subject.encode(trials[part]), STEPS).ids.tolist()
    return written


def _speak(subject: Subject, form: Asked, spelling: Spelling) -> Subject:
    """The subject with this spelling for prompts of this form."""
    return replace(subject, speech=replace(subject.speech, **{form: spelling}))


def _find_color(subject: Subject, tokens: Sequence[int]) -> tuple[str, int] | None:
    """The color that a text names first, and the number of tokens before it; None if it names none."""
    decode = partial(subject.tokenizer.decode, skip_special_tokens=True)
    found = _find_name(subject, decode(tokens))
    if found is None:
        return None
    ends = [len(decode(tokens[:place])) for place in range(len(tokens))]
    place = max(place for place, end in enumerate(ends) if end <= found.start())
    return COLOR_NAMES[subject.entry.stimuli.read_back(found[0]).lower()], place


def _find_name(subject: Subject, text: str) -> re.Match[str] | None:
    """The first word of a text that is a color in the subject's words."""
    words = WORD.finditer(text)
    return next(
        (w for w in words if subject.entry.stimuli.read_back(w[0]).lower() in COLOR_NAMES), None
    )


def _cut_after_color(subject: Subject, tokens: Sequence[int]) -> str:
    """A text up to the color that it names first."""
    text = subject.tokenizer.decode(tokens, skip_special_tokens=True)
    found = _find_name(subject, text)
    return text[: found.end()] if found else text


def _find_lead(subject: Subject, written: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The tokens that most answers begin with before they name a color; none if too few begin alike.

    Args:
        subject: The model.
        written: The first tokens of each answer.
    """
    leads: Counter[tuple[int, ...]] = Counter()
    for row in written:
        if found := _find_color(subject, row):
            leads[tuple(row[: found[1]])] += 1
    lead, times = leads.most_common(1)[0] if leads else ((), 0)
    return lead if times > COMMON * leads.total() else ()


def _find_unclear(
    subject: Subject, written: Sequence[Sequence[int]], said: Sequence[str]
) -> dict[str, str]:
    """The colors that most answers in them begin with a token that says another color or none, and that token.

    Args:
        subject: The model, with the lead that it is given.
        written: The first tokens of each answer.
        said: The color that the first one begins, "" for none.
    """
    missed: defaultdict[str, list[str]] = defaultdict(list)
    for row, word in zip(written, said, strict=True):
        found = _find_color(subject, row)
        if found and not subject.tokenizer.decode(row[: found[1]]).strip():
            token = subject.tokenizer.convert_ids_to_tokens(row[0])
            missed[found[0]].append("" if word == found[0] else token)
    return {
        color: Counter(filter(None, tokens)).most_common(1)[0][0]
        for color, tokens in missed.items()
        if np.mean([bool(token) for token in tokens]) > 0.5
    }


def _find_style(masses: Mapping[tuple[str, str, Style], float]) -> Style:
    """The style of highest probability over all words, the first of equals."""
    of_style: defaultdict[Style, float] = defaultdict(float)
    for (_, _, style), mass in masses.items():
        of_style[style] += mass
    return max(of_style, key=lambda style: of_style[style])


def _find_synonyms(masses: Mapping[tuple[str, str, Style], float], style: Style) -> dict[str, str]:
    """The synonyms that are likelier in this style than the words that they stand for."""
    found = {}
    for word, others in SYNONYMS.items():
        best = max((word, *others), key=lambda variant: masses.get((word, variant, style), 0.0))
        if best != word:
            found[word] = best
    return found


def _tell(found: Mapping[Asked, FoundSpelling]) -> str:
    """One line on how each form is answered."""
    parts = []
    for form, f in found.items():
        named = f"{int((f.said != '').sum())} of {len(f.said)} name a color"
        suffix = f", asked with {f.spelling.suffix!r}" if f.spelling.suffix else ""
        parts.append(f"{form}s as in {f.written!r} ({named}{suffix})")
    return "answers " + " and ".join(parts)
