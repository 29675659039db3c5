"""Rival explanations on the page are scored as the claims against rivals score them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.experiments.rivals import tabulate_rivals
from harness.readings.visual_symbols.keys import PAPER, Keys
from harness.runs.rival_scores import score_rivals

SCENES = np.array([f"s{n}" for n in range(40)])


def measure(**attributes):
    """Keys whose exchange changes thirty of forty answers to the other object's color."""
    other, own = np.full(40, "blue"), np.full(40, "red")
    said = np.stack([own, np.where(np.arange(40) < 30, other, own)])
    explained = {"relative": other, "content": own, "nothing": own}
    return xr.Dataset(
        {
            "layers": (("layer",), np.array([True, False])),
            "scene": (("trial",), SCENES),
            **tabulate_rivals(said, ("edit", ["none", PAPER]), [explained], SCENES),
        },
        attrs={"experiment": "keys", **attributes},
    )


def test_scores_are_those_of_the_edit_that_is_judged():
    data = measure()
    [found] = score_rivals(data)
    assert found.edited == ""
    shares = dict(found.shares)
    assert list(shares) == ["relative", "content", "nothing"], "those that predict a word"
    low, high = Keys(data).rivals().explained("relative").interval(0.95)
    assert shares["relative"] == f"0.75 [{low:.3g}, {high:.3g}] of 40 trials"
    assert shares["content"].startswith("0.25 [")


def test_there_are_no_scores_where_nothing_was_edited_or_nobody_knows_the_experiment():
    assert score_rivals(measure().drop_vars("said")) == []
    assert score_rivals(measure(experiment="similarity")) == []
    assert score_rivals(measure(experiment="made_up")) == []
    data = measure()
    data["layers"] = data.layers & False
    assert score_rivals(data) == []
