"""A subject that is always right is always read as right, however it writes.

Each cell is one voice, one kind of tokenizer and template, and one arrangement; in each the share of answers that
every gate and experiment reads as right, without any edit, is 1. Where the first token cannot tell two colors, the
subject is refused in one line that names them.
"""

from __future__ import annotations

from itertools import product

import pytest
from speakers import KINDS, VOICES

from harness.experiments.catalogue import MEDIATION, SPELLING, find_experiment
from harness.experiments.sweeps import ARRANGEMENTS
from harness.measuring.experiment import Request, let_speak
from harness.measuring.seeding import seed_generator
from harness.subjects.subject import SharedFirstPiece

TRIALS = 12
WRITTEN_OUT = ("counting", "numbered list")
"""Tasks whose answers are written out; their experiments read the whole text, below."""

READ = {
    "behaviour": lambda data: data.right.mean("trial").values.min(),
    "readiness": lambda data: data.right.drop_sel(set=list(WRITTEN_OUT)).mean("trial").values.min(),
    "mediation": lambda data: data.kept.values.min() / TRIALS,
    "transplant": lambda data: data.right.values.mean(),
    "steering_drawn": lambda data: data.right.values.mean(),
    "keys": lambda data: data.own.sel(edit="none").values.mean(),
    "reuse": lambda data: data.before.values.mean(),
    "entropy": lambda data: data.right.mean("trial").values.min(),
    "repair": lambda data: data.plain.values.mean(),
    "counting": lambda data: data.plain.values.mean(),
    "listing": lambda data: data.listed.values.min() / data.shown.values.min(),
}
"""The share of un-edited answers that each experiment reads as right."""

REFUSED = "refused"


def measure(subject, name, needed):
    experiment = find_experiment(name)
    rng = seed_generator(0, name, needs=experiment.draws_apart)
    request = Request(let_speak(subject, needed), TRIALS, rng, needed=needed)
    return experiment.load_measure()(request)


def read(subject, names):
    """The share that each experiment reads as right; REFUSED for all if the spelling cannot be read."""
    try:
        needed = {SPELLING.name: measure(subject, SPELLING.name, {})}
    except SharedFirstPiece as refused:
        assert "green" in str(refused) and "gray" in str(refused)
        return dict.fromkeys(names, REFUSED)
    needed[MEDIATION.name] = measure(subject, MEDIATION.name, needed)
    return {
        name: float(READ[name](needed.get(name) or measure(subject, name, needed)))
        for name in names
    }


def write_table(found):
    """One line for each cell that is not as it should be."""
    return "\n".join(f"{' | '.join(cell)}: {shares}" for cell, shares in found.items())


def find_wrong(speaker, cells, names):
    found = {(k, h, v): read(speaker(k, VOICES[v], h), names) for k, h, v in cells}
    wanted = {cell: REFUSED if cell[2] == "RED" else 1.0 for cell in found}
    return {
        cell: {name: s for name, s in shares.items() if s != wanted[cell]}
        for cell, shares in found.items()
        if any(s != wanted[cell] for s in shares.values())
    }


@pytest.mark.parametrize("kind", KINDS)
def test_capitals_and_leads_in_a_chat_are_read_by_the_gates(speaker, kind):
    cells = product([kind], ["chat"], ["Red", "The red", "RED"])
    wrong = find_wrong(speaker, cells, ["behaviour", "readiness", "mediation"])
    assert not wrong, write_table(wrong)


def test_every_experiment_reads_capitals_after_a_new_line(speaker):
    wrong = find_wrong(speaker, [("bytes", "prefilled", "new line, Red")], list(READ))
    assert not wrong, write_table(wrong)


@pytest.mark.deep
@pytest.mark.parametrize("kind", KINDS)
def test_every_experiment_reads_every_voice_in_every_arrangement(speaker, kind):
    wrong = find_wrong(speaker, product([kind], ARRANGEMENTS, VOICES), list(READ))
    assert not wrong, write_table(wrong)


def test_every_experiment_whose_answers_are_read_is_in_the_table():
    from harness.experiments.catalogue import EXPERIMENTS

    unread = {"similarity", "components", "blocks", "steering"}
    names = {e.name for e in EXPERIMENTS if ".visual_symbols." in e.module} - {SPELLING.name}
    assert names - unread == set(READ)
