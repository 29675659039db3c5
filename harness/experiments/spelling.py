"""How a subject writes its answers, found out before anything is measured, on scenes that no experiment draws.

Three objects stand on the 2x2 canvas, where every experiment shows two or four. The subject goes on with
the sentence, or answers a question about a color. What it writes before the answer, and how it spells that, is
used by all experiments: an answer counts however it is spelled, and logits are compared in the subject's own
spelling (protocol, 6.4).
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.measuring.batches import cut_batches
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial, color_question
from harness.subjects.spelling import FORMS, SYNONYMS, Form, Speech, Spelling, Style
from harness.subjects.subject import Subject
from harness.subjects.wording import WORDINGS
from harness.tracing.capture import read_last_logits
from harness.tracing.generate import generate_ids

STEPS = 8
"""Tokens in which an answer must begin."""

ROWS = 32
"""Trials in one pass at most."""


@dataclass(frozen=True)
class FoundSpelling:
    """How a subject answered n trials of one form, and the spelling that follows.

    Attributes:
        spelling: What it uses most.
        said: The color that each answer names in any spelling, "" where it names none, [n].
        right: Whether it is the right one, bool [n].
        written: What most answers begin with, as text.
    """

    spelling: Spelling
    said: NDArray[np.str_]
    right: NDArray[np.bool_]
    written: str


def draw_spelling_trials(subject: Subject, trials: int) -> dict[Form, list[Trial]]:
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
    """
    drawn = draw_spelling_trials(request.subject, request.trials)
    found = {form: find_spelling(request.subject, form, trials) for form, trials in drawn.items()}
    speech = Speech(**{form: f.spelling for form, f in found.items()})
    return xr.Dataset(
        {
            "said": (("form", "trial"), np.array([found[f].said for f in FORMS])),
            "right": (("form", "trial"), np.array([found[f].right for f in FORMS])),
            "scene": (("trial",), np.array([t.scene.key for t in drawn["sentence"]])),
        },
        {"form": list(FORMS)},
        {"speech": speech.to_json(), "tells": _tell(found)},
    )


def find_spelling(subject: Subject, form: Form, trials: Sequence[Trial]) -> FoundSpelling:
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


def _list_suffixes(subject: Subject, form: Form) -> Sequence[str]:
    """What a prompt of a form may have to end in, in the order in which it is tried."""
    return WORDINGS[subject.anatomy.family].suffixes if form == "question" else ("",)


def _try_suffix(
    subject: Subject, form: Form, trials: Sequence[Trial], suffix: str
) -> FoundSpelling:
    asked = _speak(subject, form, Spelling(suffix=suffix))
    written = np.concatenate(
        [
            generate_ids(asked, asked.encode(trials[part]), 1).ids.numpy()
            for part in cut_batches(len(trials), ROWS)
        ]
    )
    if np.mean([bool(asked.read_word(int(row[0]))) for row in written]) <= 0.5:
        written = np.concatenate(
            [
                _pad(generate_ids(asked, asked.encode(trials[part]), STEPS).ids.numpy())
                for part in cut_batches(len(trials), ROWS)
            ]
        )
    spelling = Spelling(_find_lead(asked, written), suffix=suffix)
    asked = _speak(subject, form, spelling)
    masses: defaultdict[tuple[str, str, Style], float] = defaultdict(float)
    said: list[str] = []
    for part in cut_batches(len(trials), ROWS):
        logits = read_last_logits(asked, asked.encode(trials[part]))
        chances = logits.double().softmax(-1).sum(0)
        for word in asked.first_tokens.words:
            for variant, style, token in asked.first_tokens.list_variants(word):
                if asked.read_word(token):
                    masses[word, variant, style] += float(chances[token])
        said += [asked.read_word(int(i)) for i in logits.argmax(-1)]
    if any(said):
        style = _find_style(masses)
        spelling = replace(spelling, style=style, words=_find_synonyms(masses, style))
    texts = Counter(subject.tokenizer.decode(row.tolist()) for row in written)
    return FoundSpelling(
        spelling,
        np.array(said),
        np.array([word == t.answer for word, t in zip(said, trials, strict=True)]),
        texts.most_common(1)[0][0],
    )


def _speak(subject: Subject, form: Form, spelling: Spelling) -> Subject:
    """The subject with this spelling for prompts of this form."""
    return replace(subject, speech=replace(subject.speech, **{form: spelling}))


def _pad(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The tokens of a batch whose rows all ended before STEPS, their last one repeated, [B, STEPS]."""
    return np.pad(ids, ((0, 0), (0, STEPS - ids.shape[1])), mode="edge")


def _find_lead(subject: Subject, written: NDArray[np.int64]) -> tuple[int, ...]:
    """The tokens that most answers begin with before they name a color, none if no answer names one.

    Args:
        subject: The model.
        written: The first tokens of each answer, [n, steps].
    """
    leads: Counter[tuple[int, ...]] = Counter()
    for row in written.tolist():
        for place, token in enumerate(row):
            word = subject.read_word(token)
            if word and _begins_with(subject, row[place:], word):
                leads[tuple(row[:place])] += 1
                break
    return leads.most_common(1)[0][0] if leads else ()


def _begins_with(subject: Subject, tokens: list[int], word: str) -> bool:
    """Whether a text begins with a word or a synonym, as far as it was written."""
    text = subject.tokenizer.decode(tokens).strip().lower()
    return any(text[: len(w)] == w[: len(text)] for w in (word, *SYNONYMS.get(word, ())))


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


def _tell(found: Mapping[Form, FoundSpelling]) -> str:
    """One line on how each form is answered."""
    parts = []
    for form, f in found.items():
        named = f"{int((f.said != '').sum())} of {len(f.said)} name a color"
        suffix = f", asked with {f.spelling.suffix!r}" if f.spelling.suffix else ""
        parts.append(f"{form}s as in {f.written!r} ({named}{suffix})")
    return "answers " + " and ".join(parts)
