"""A seal of three claims to test with, and what can be changed in it."""

from __future__ import annotations

from dataclasses import replace

from harness.judging.seal import Seal, SealedCell, SealedClaim, SealedExperiment

CLAIM = SealedClaim(
    statement="Positions stand in the keys.",
    unit="share of answers",
    direction="above",
    threshold=0.7,
    exceptions={"llava": 0.5},
    published={"qwen": 0.9},
    experiments=("keys",),
    test="1" * 16,
)
BELOW = replace(CLAIM, statement="Few heads do it.", direction="below", exceptions={})
TASK = replace(CLAIM, statement="It does the task.", experiments=("behaviour",), exceptions={})

EXPERIMENT = SealedExperiment(
    trials={"embedded": 160, "paper": 200},
    requires="two objects",
    own_task=False,
    least=0.6,
    measures=("behaviour", "keys", "mediation"),
    looks=True,
    own_images="",
)

SEAL = Seal(
    settings={"seed": 0, "trials": None, "gate": True},
    stimuli="5" * 64,
    code={"measuring": "a" * 64, "judging": "b" * 64, "published": "c" * 64},
    rules={"ALPHA": 0.025, "LEVEL": 0.95, "MINIMUM_CLUSTERS": 12.0, "MARGIN": 0.25},
    claims={"paper.4.3.keys": CLAIM, "paper.3.4.few_heads": BELOW, "paper.3.1.two": TASK},
    experiments={
        "keys": EXPERIMENT,
        "behaviour": replace(EXPERIMENT, requires=None, measures=("behaviour",)),
        "mediation": replace(EXPERIMENT, measures=("behaviour", "mediation")),
    },
    controls={
        ("paper.4.3.keys", "planted"): SealedCell("supported", ("inconclusive",)),
        ("paper.4.3.keys", "shortcut"): SealedCell("refuted", ()),
        ("paper.3.1.two", "unbound"): SealedCell("blocked", ()),
    },
    written="2026-01-02T03:04:05+00:00",
    harness="0.1.0",
)


def change_claim(seal: Seal = SEAL, id: str = "paper.4.3.keys", **changes) -> Seal:
    """The seal with other facts of one claim."""
    return replace(seal, claims={**seal.claims, id: replace(seal.claims[id], **changes)})


def change_experiment(seal: Seal = SEAL, name: str = "keys", **changes) -> Seal:
    """The seal with other facts of one experiment."""
    other = replace(seal.experiments[name], **changes)
    return replace(seal, experiments={**seal.experiments, name: other})


def change_cell(control: str, cell: SealedCell | None, id: str = "paper.4.3.keys") -> Seal:
    """The seal with another cell of one claim, or without it."""
    cells = {pair: c for pair, c in SEAL.controls.items() if pair != (id, control)}
    return replace(SEAL, controls=cells if cell is None else {**cells, (id, control): cell})


def rename(old: str, new: str, seal: Seal = SEAL) -> Seal:
    """The seal with one claim, and its cells, under another id."""
    claims = {new if id == old else id: claim for id, claim in seal.claims.items()}
    cells = {(new if id == old else id, c): cell for (id, c), cell in seal.controls.items()}
    return replace(seal, claims=claims, controls=cells)
