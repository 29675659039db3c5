"""A scorecard of many claims on many subjects, with measurements behind it, as a large run leaves one."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr
from cards import card, record
from measurements import LAYERS, components, mediation, similarity

from harness.judging.verdict import Verdict
from harness.reporting.scorecard import Scorecard

VERDICTS = [v for v in Verdict if v is not Verdict.error]

SECTIONS = ("3.3", "3.4", "4.1", "4.2", "4.3", "4.5", "b", "c")

EXPERIMENTS = ("similarity", "mediation", "components", "steering", "steering_drawn", "blocks")


def build_large(claims: int = 100, subjects: int = 12) -> Scorecard:
    """Claims of two papers, with every verdict somewhere, each resting on one of the measurements."""
    names = [f"model-{i}-7b" for i in range(subjects)]
    records = []
    for n in range(claims):
        paper = "reproduction" if n % 10 == 9 else "visual_symbols"
        section = SECTIONS[n * len(SECTIONS) // claims] if paper == "visual_symbols" else "keys"
        for i, subject in enumerate(names):
            records.append(
                record(
                    f"{paper}.{section}.claim_{n}",
                    subject,
                    str(VERDICTS[(n * 7 + i * 3) % len(VERDICTS)]),
                    statement=f"Claim number {n} says something about position IDs of one object.",
                    source=f"A paper, section {section}, Figure {n}",
                    family=("qwen2_vl", "llava")[i % 2],
                    measurement=f"{EXPERIMENTS[n % len(EXPERIMENTS)]}-{i}",
                    published=0.61,
                    baseline=str(VERDICTS[(n * 7 + i) % len(VERDICTS)]) if i == 0 else None,
                )
            )
    return card(*records)


def measure_large(subjects: int = 12) -> dict[str, xr.Dataset]:
    """The measurements behind `build_large`, by key."""
    found = {}
    for i in range(subjects):
        made = {
            "similarity": similarity(),
            "mediation": mediation(),
            "components": components(),
            "steering": steering(),
            "steering_drawn": steering(),
            "blocks": blocks(),
        }
        for name, data in made.items():
            found[f"{name}-{i}"] = data.assign_attrs(
                experiment=name, subject=f"model-{i}-7b", examples=json.dumps(examples())
            )
    return found


def steering() -> xr.Dataset:
    """A sweep over numbers of heads and strengths."""
    rng = np.random.default_rng(0)
    stages = ["id_retrieval", "id_selection", "feature_retrieval"]
    return xr.Dataset(
        {
            "sweep": (("stage", "half", "k", "alpha"), rng.random((3, 2, 4, 5))),
            "chosen_k": (("stage",), np.array([2.0, 4.0, 0.0])),
            "chosen_alpha": (("stage",), np.array([1.0, 2.0, 0.0])),
        },
        {
            "stage": stages,
            "half": ["estimation", "evaluation"],
            "k": [1, 2, 4, 8],
            "alpha": [0.5, 1, 2, 4, 8],
        },
    )


def blocks() -> xr.Dataset:
    """Curves of three codes."""
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            "r": (("code", "half", "layer"), rng.random((3, 2, LAYERS))),
            "r_draws": (("code", "half", "draw", "layer"), rng.random((3, 2, 20, LAYERS))),
        },
        {"code": ["relative", "absolute", "features"], "half": ["estimation", "evaluation"]},
    )


def examples() -> list[dict]:
    """Trials in words, as experiments keep them."""
    scene = {
        "grid": [2, 28, 28, 14],
        "objects": [["red square", 0, 0], ["blue circle", 1, 1]],
        "setting": None,
    }
    return [
        {
            "group": "two objects",
            "scenes": [scene],
            "prompt": "In this image there is a red square and a",
            "right": "blue",
            "answers": {"as it is": "blue", "keys exchanged": "red"},
        }
    ] * 6
