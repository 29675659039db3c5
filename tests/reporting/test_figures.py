"""Figures of measurements: the same bytes for the same data, and titles that name the subject."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from measurements import components, mediation, similarity

from harness.reporting.curves import draw_similarity
from harness.reporting.figures import draw_components, draw_mediation

DRAWINGS = [
    (draw_similarity, similarity),
    (draw_components, components),
    (draw_mediation, mediation),
]


@pytest.mark.parametrize(("draw", "data"), DRAWINGS)
def test_the_same_data_give_the_same_bytes(tmp_path, draw, data):
    first = draw(data(), "tiny/qwen", tmp_path / "a")
    # What a reader has set for their own plots must not show.
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "svg.hashsalt": None}):
        again = draw(data(), "tiny/qwen", tmp_path / "b")
    assert first == again
    path = tmp_path / "a" / first.filename
    assert path.read_bytes() == (tmp_path / "b" / first.filename).read_bytes()
    assert ET.parse(path).getroot().tag.endswith("svg")
    assert [p.name for p in path.parent.iterdir()] == [first.filename], "nothing is left behind"
    assert first.title.startswith("tiny/qwen: ")
    assert first.caption.endswith(".")


@pytest.mark.parametrize(("draw", "data"), DRAWINGS)
def test_other_data_give_another_picture(tmp_path, draw, data):
    other = data()
    name = next(n for n in ("r", "plane", "score") if n in other)
    other[name] = (
        other[name] * 0.5 + 0.1 * np.arange(other.sizes["layer"])[: other.sizes["layer"]].mean()
    )
    if name == "plane":
        other[name][..., 0] **= 3
    first = draw(data(), "x", tmp_path / "a").filename
    draw(other, "x", tmp_path / "b")
    assert (tmp_path / "a" / first).read_bytes() != (tmp_path / "b" / first).read_bytes()


def test_published_curves_and_chance_are_explained(tmp_path):
    plain = draw_similarity(similarity().drop_vars("null"), "x", tmp_path)
    assert "published" not in plain.caption
    assert "permutations" not in plain.caption
    both = draw_similarity(similarity(), "x", tmp_path, {"position@last": [0.1, 0.5]})
    assert "hollow marks: published values" in both.caption
    assert "permutations" in both.caption


def find_marks(monkeypatch, folder, data):
    """Layers that are marked as onsets."""
    marked, plot = [], Axes.plot

    def watch(axes, *args, **kwargs):
        marked.extend(args[0] for mark in args[2:3] if mark == "^")
        return plot(axes, *args, **kwargs)

    monkeypatch.setattr(Axes, "plot", watch)
    draw_similarity(data, "x", folder)
    monkeypatch.undo()
    return marked


def test_the_onset_is_marked_of_codes_that_are_there_and_of_no_others(tmp_path, monkeypatch):
    data = similarity()
    curves = np.zeros((data.sizes["pair"], 1, data.sizes["layer"]))
    curves[0] = np.where(np.arange(data.sizes["layer"]) < 1, 0.1, 0.6)
    data["r"] = data.r * 0 + xr.DataArray(curves[:, 0], dims=("pair", "layer"))
    data["r_draws"] = data.r_draws * 0 + data.r
    data["null"] = data.null * 0 + 0.2
    assert find_marks(monkeypatch, tmp_path, data) == [[1, 1]]
    assert find_marks(monkeypatch, tmp_path, data.drop_vars("null") * 0) == []


def test_curves_without_halves_are_drawn(tmp_path):
    whole = similarity().sel(half="all", drop=True)
    draw_similarity(whole, "x", tmp_path / "a")
    draw_similarity(similarity(), "x", tmp_path / "b")
    name = "similarity--x.svg"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_probes_read_is_drawn_beside_similarity_and_explained(tmp_path):
    plain = draw_similarity(similarity().drop_vars("probe_right"), "x", tmp_path / "a")
    assert "probes" not in plain.caption
    both = draw_similarity(similarity(), "x", tmp_path / "b")
    assert "linear probes read" in both.caption
    better = similarity()
    better["probe_right"] *= 0.5
    draw_similarity(better, "x", tmp_path / "c")
    name = both.filename
    assert (tmp_path / "b" / name).read_bytes() != (tmp_path / "c" / name).read_bytes()


def test_layers_of_the_planes_are_chosen_on_the_estimation_half(tmp_path):
    data = components()
    draw_components(data, "x", tmp_path / "a")
    moved = data.copy(deep=True)
    moved["plane"][{"layer": [0, 2]}] = 7.0
    draw_components(moved, "x", tmp_path / "b")
    name = "components--x.svg"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    moved["plane"][{"layer": 3}] **= 3
    draw_components(moved, "x", tmp_path / "b")
    assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "b" / name).read_bytes()


def test_trials_that_were_not_found_do_not_count(tmp_path):
    draw_mediation(mediation(), "x", tmp_path / "a")
    padded = mediation().pad(trial=(0, 5), constant_values=np.nan)
    draw_mediation(padded, "x", tmp_path / "b")
    name = "mediation--x.svg"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
