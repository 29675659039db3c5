"""What is shown of a measurement is made once, and made anew when anything that it shows has changed."""

from __future__ import annotations

import pytest
from measurements import mediation, similarity

from harness.reporting import drawing
from harness.reporting.drawing import Album, RivalScores, draw_gallery
from harness.reporting.figures import Picture

DATA = similarity().assign_attrs(experiment="similarity", subject="x", examples="[]", empty="")


class Loads:
    """Counts how often a measurement is loaded."""

    def __init__(self, data):
        self.data, self.times = data, 0

    def __call__(self, *_):
        self.times += 1
        return self.data


@pytest.fixture
def quick(monkeypatch):
    """Draws without drawing: what is kept of a figure does not depend on what is on it."""

    def draw(data, subject, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"similarity--{subject}.svg").write_text(f"<svg>{subject}</svg>")
        return Picture(f"{subject}: similarity", "A curve.", f"similarity--{subject}.svg")

    monkeypatch.setitem(drawing.DRAWN, "similarity", draw)


def score(data):
    return [RivalScores("somewhere", [("relative", "0.5")])]


def test_a_figure_is_drawn_once_and_is_then_the_same(tmp_path, quick):
    load = Loads(DATA)
    first = Album(tmp_path / "a", tmp_path / "kept").show("x", "k", load, score)
    again = Album(tmp_path / "b", tmp_path / "kept").show("x", "k", load, score)
    assert load.times == 1
    assert first == again
    assert first.rivals == score(None)
    assert first.facts == [("experiment", "similarity"), ("subject", "x")]
    name = first.picture.filename
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_other_measurements_subjects_and_code_are_drawn_anew(tmp_path, monkeypatch, quick):
    load = Loads(DATA)
    for subject, key in (("x", "k"), ("x", "other"), ("y", "k")):
        Album(tmp_path / "a", tmp_path / "kept").show(subject, key, load, score)
    assert load.times == 3
    monkeypatch.setattr(drawing, "ROOMS", ("reporting",))
    Album(tmp_path / "a", tmp_path / "kept").show("x", "k", load, score)
    assert load.times == 4


@pytest.mark.parametrize("damage", ["gone", "torn", "other"])
def test_what_is_kept_and_damaged_is_made_again(tmp_path, damage, quick):
    album, load = Album(tmp_path), Loads(DATA)
    first = album.show("x", "k", load, score)
    [note] = album.cache.glob("*.json")
    if damage == "gone":
        note.with_suffix(".svg").unlink()
    else:
        note.write_text({"torn": '["simil', "other": '{"a": 1}'}[damage])
    assert album.show("x", "k", load, score) == first
    assert load.times == 2


def test_a_name_that_leads_out_of_the_folder_is_kept_in_it(tmp_path, quick):
    album = Album(tmp_path / "page" / "figures")
    album.show("x", "k", Loads(DATA), score)
    [note] = album.cache.glob("*.json")
    note.write_text(note.read_text().replace("similarity--x.svg", "../../escaped.svg"))
    shown = album.show("x", "k", Loads(DATA), score)
    assert shown.picture.filename == "escaped.svg"
    assert not (tmp_path / "escaped.svg").exists()


def test_nothing_is_shown_of_what_is_gone_or_drawn_by_nobody(tmp_path):
    assert Album(tmp_path).show("x", "k", Loads(None), score) is None
    plain = Album(tmp_path).show("x", "k", Loads(DATA.assign_attrs(experiment="spelling")), score)
    assert plain.picture is None
    assert plain.rivals


def test_a_store_that_cannot_be_written_still_gives_a_figure(tmp_path, quick):
    (tmp_path / "file").write_text("")
    shown = Album(tmp_path / "a", tmp_path / "file" / "kept").show("x", "k", Loads(DATA), score)
    assert (tmp_path / "a" / shown.picture.filename).is_file()


def test_a_story_is_drawn_of_what_is_there(tmp_path):
    album, load = Album(tmp_path), Loads(DATA)
    first = album.draw_story("x", {"similarity": "k"}, load)
    assert album.draw_story("x", {"similarity": "k"}, load) == first
    assert load.times == 1
    assert album.draw_story("x", {}, load) is None
    assert album.draw_story("x", {"mediation": "gone"}, Loads(None)) is None


def test_a_gallery_has_every_figure_in_both_formats(tmp_path):
    kept = {
        "a": mediation().assign_attrs(experiment="mediation", subject="x"),
        "b": DATA.assign_attrs(experiment="spelling"),
    }
    found = draw_gallery(kept, tmp_path)
    assert [p.filename for p in found] == ["story--x.svg", "mediation--x.svg"]
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {f"{p.filename[:-4]}.{kind}" for p in found for kind in ("svg", "png")}
    assert (tmp_path / "story--x.png").read_bytes().startswith(b"\x89PNG")
