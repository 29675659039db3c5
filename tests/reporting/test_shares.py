"""Figures of answers under edits show the shares that the claims judge."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes

from harness.reporting.drawing import Album, draw_gallery
from harness.reporting.shares import draw_keys, draw_reuse

SCENE = ("trial", np.array([f"s{n}" for n in range(20)]))


def keys(share):
    swapped = np.stack([np.zeros(20, bool), np.arange(20) < round(20 * share)])
    return xr.Dataset(
        {
            "swapped": (("edit", "trial"), swapped),
            "own": (("edit", "trial"), ~swapped),
            "scene": SCENE,
        },
        {"edit": ["none", "both objects"]},
    )


def reuse(share):
    few, many = np.arange(20) < 4, np.arange(20) < round(20 * share)
    names = {"before": few, "unpulled": few, "after": many, "pulled": many}
    return xr.Dataset({n: (("trial",), v) for n, v in names.items()} | {"scene": SCENE})


@pytest.mark.parametrize(("draw", "data", "shares"), [
    (draw_keys, keys, [0.0, 0.75, 1.0, 0.25]),
    (draw_reuse, reuse, [0.2, 0.75, 0.2, 0.75]),
], ids=["keys", "reuse"])  # fmt: skip
def test_shares_are_drawn_once_for_each_edit_and_depend_on_the_data(
    tmp_path, monkeypatch, draw, data, shares
):
    marked, plot = [], Axes.plot

    def watch(axes, *args, **how):
        marked.extend([args[0]] if isinstance(args[0], float) else [])
        return plot(axes, *args, **how)

    monkeypatch.setattr(Axes, "plot", watch)
    first = draw(data(0.75), "x", tmp_path / "a")
    assert marked == shares
    again, other = draw(data(0.75), "x", tmp_path / "b"), draw(data(0.5), "x", tmp_path / "c")
    made = [
        (tmp_path / n / p.filename).read_bytes()
        for n, p in zip("abc", (first, again, other), strict=True)
    ]
    assert made[0] == made[1] != made[2]


def test_a_subject_without_patches_has_no_figure(tmp_path):
    data = xr.Dataset(attrs={"no_grid": 1, "experiment": "keys", "subject": "x"})
    assert draw_keys(data, "x", tmp_path) is None
    shown = Album(tmp_path).show("x", "k", lambda: data, lambda _: [])
    assert shown.picture is None
    assert draw_gallery({"k": data}, tmp_path) == []
