import hashlib
import json
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

from harness.stimuli.draw import draw
from harness.stimuli.photographs import (
    SPAR_COLUMNS,
    NoData,
    read_coco,
    read_pairs,
    read_photographs,
    read_spar,
)
from harness.stimuli.scene import PHOTO_GRID, Cell, PhotographedObject

HEADER = "file,left,right,background\n"


def seeded(seed=0):
    return np.random.default_rng(seed)


def save(path, number, size=(32, 32)):
    """An image like no other, and unlike its mirror image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def pairs(tmp_path):
    folder = tmp_path / "mine"
    rows = ["a.png,red dolphin,white elephant,museum", "sub/b.jpg,white camel,red camel,"]
    for number, row in enumerate(rows):
        save(folder / row.split(",")[0], number)
    (folder / "manifest.csv").write_text(HEADER + "\n".join(rows) + "\n")
    return folder


SPAR_ROWS = [
    ("Desert", "Elephant", "Camel_01", "left", "right", "Blue", "Red"),
    ("Desert", "Camel_01", "Elephant", "left", "right", "Blue", "Red"),
    ("Desert", "Zebra", "Zebra", "left", "right", "Blue", "Red"),
    ("Desert", "Zebra", "Camel_01", "left", "right", "Blue", "Red"),
    ("Museum", "Elephant", "Zebra", "left", "right", "Blue", "Red"),
    ("Museum", "Zebra", "Elephant", "left", "right", "Blue", "Red"),
    # None of these is two one-word animals, blue and red, side by side.
    ("Desert", "blank", "Zebra", "left", "right", "Blue", "Red"),
    ("Desert", "Zebra", "blank", "left", "right", "Blue", "Red"),
    ("Desert", "GiantTortoise", "Zebra", "left", "right", "Blue", "Red"),
    ("Desert", "Zebra", "giant_tortoise", "left", "right", "Blue", "Red"),
    ("Desert", "Elephant", "Zebra", "bottom", "top", "Blue", "Red"),
    ("Desert", "Elephant", "Zebra", "left", "right", "Grass", "Stone"),
    ("Desert", "Elephant", "Zebra", "left", "right", "Default", "Default"),
    ("Desert", "Elephant", "Zebra", "left", "right", "Blue", "Default"),
]


def save_spar(folder, rows):
    lines = [",".join(SPAR_COLUMNS)]
    for number, row in enumerate(rows):
        save(folder / row[0] / f"{number}.png", number)
        lines.append(",".join((f"{row[0]}/{number}.png", *row)))
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def spar(tmp_path):
    save_spar(tmp_path / "PUG_SPAR", SPAR_ROWS)
    return tmp_path / "PUG_SPAR"


@pytest.fixture
def coco(tmp_path):
    """Images 0-4 have two categories, 5 one category twice, 6 none."""
    folder = tmp_path / "coco"
    for number in range(7):
        save(folder / "val2017" / f"{number:012}.jpg", number, size=(40, 30))
    found = [(n, c) for n in range(5) for c in (1, 2 + n)] + [(5, 3), (5, 3)]
    content = {
        "images": [{"id": 100 + n, "file_name": f"{n:012}.jpg"} for n in range(7)],
        "annotations": [{"image_id": 100 + n, "category_id": c} for n, c in found],
    }
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return folder


def files(scenes):
    return [scene.setting.path.rsplit("/", 1)[1] for scene in scenes]


def twins(scenes):
    return zip(scenes[::2], scenes[1::2], strict=True)


def test_a_row_of_the_users_table_is_a_scene(pairs):
    first, second = read_pairs(pairs)
    assert first.grid == PHOTO_GRID
    assert first.at(Cell(0, 0)) == PhotographedObject("red", "dolphin")
    assert first.at(Cell(0, 1)) == PhotographedObject("white", "elephant")
    assert [o.name for o in second.objects] == ["white camel", "red camel"]
    assert first.setting.digest == hashlib.sha256((pairs / "a.png").read_bytes()).hexdigest()
    assert first.setting.path == str(pairs / "a.png")
    assert draw(first).size == (504, 504)


def test_a_table_from_a_spreadsheet_is_read(pairs):
    text = (pairs / "manifest.csv").read_text().replace("\n", "\r\n")
    (pairs / "manifest.csv").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n")
    assert len(read_pairs(pairs)) == 2


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (
            "a.png,red dolphin,white elephant",
            "not as many cells .*write file,left,right,background",
        ),
        ("a.png,red dolphin,white elephant,sea,side", "not as many cells .*quotes around a cell"),
        ("a.png,dolphin,white elephant,", "left is 'dolphin'; write a color and a noun"),
        ("a.png,red dolphin,a white elephant,", "right is 'a white elephant'; .*\"red dolphin\""),
        ("a.png,red dolphin,White elephant,", "right is 'White elephant'; .*lower-case"),
        ("a.png,red dolphin,red elephant,", "both objects are red.*leave the photograph out"),
        ("c.png,red dolphin,white elephant,", "no file .*mine/c.png; put it there or correct"),
        (",red dolphin,white elephant,", "no file .*mine; put it there or correct"),
        ("../a.png,red dolphin,white elephant,", "'../a.png' leads out.*name files from .*mine on"),
        ("/a.png,red dolphin,white elephant,", "'/a.png' leads out of the folder"),
        (r"C:\a.png,red dolphin,white elephant,", ".*leads out of the folder"),
        ("text.png,red dolphin,white elephant,", ".*/text.png cannot be read .*export it again"),
        ("cut.jpg,red dolphin,white elephant,", ".*/cut.jpg cannot be read as an image"),
    ],
)
def test_a_malformed_row_is_named_with_what_to_do(pairs, row, complaint):
    (pairs / "text.png").write_text("no image")
    save(pairs / "cut.jpg", 0, size=(200, 200))
    (pairs / "cut.jpg").write_bytes((pairs / "cut.jpg").read_bytes()[:-4000])
    with (pairs / "manifest.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(ValueError, match=f"mine/manifest.csv, line 4: {complaint}"):
        read_pairs(pairs)


def test_a_table_without_a_column_says_which(pairs):
    (pairs / "manifest.csv").write_text("file;left;right;background\n")
    with pytest.raises(
        ValueError, match="manifest.csv, line 1: no column file.*be file,left,right,background"
    ):
        read_pairs(pairs)


def test_a_table_in_another_encoding_is_named(pairs):
    (pairs / "manifest.csv").write_bytes(HEADER.encode() + "caf\u00e9.png,,,".encode("latin-1"))
    with pytest.raises(ValueError, match="manifest.csv: not UTF-8 .*save it as CSV in UTF-8"):
        read_pairs(pairs)


def test_absent_photographs_come_with_the_layout(tmp_path):
    layout = "file,left,right,background\n  beach/0001.png,red dolphin,white elephant,beach\n"
    with pytest.raises(
        NoData, match=f"manifest.csv in .*gone, which is not a folder(.|\n)*{layout}"
    ):
        read_pairs(tmp_path / "gone")
    with pytest.raises(NoData, match=f"manifest.csv in {tmp_path}, where there(.|\n)*{layout}"):
        read_pairs(tmp_path)
    (tmp_path / "manifest.csv").write_text(HEADER)
    with pytest.raises(NoData, match=f"manifest.csv has no rows(.|\n)*{layout}"):
        read_pairs(tmp_path)


def test_only_blue_and_red_animals_side_by_side_are_used(spar):
    scenes = read_spar(spar)
    assert files(scenes) == [f"{n}.png" for n in range(6) for _ in range(2)]
    assert [o.name for o in scenes[0].objects] == ["blue elephant", "red camel"]
    assert {scene.cells for scene in scenes} == {(Cell(0, 0), Cell(0, 1))}


def test_the_mirrored_scene_exchanges_the_objects_and_is_the_mirror_image(spar):
    for plain, mirrored in twins(read_spar(spar)):
        assert mirrored.objects == plain.objects[::-1]
        assert mirrored.setting.digest == plain.setting.digest
        assert mirrored.key != plain.key
        seen = np.asarray(draw(mirrored))
        assert np.array_equal(seen, np.asarray(ImageOps.mirror(draw(plain))))
        assert not np.array_equal(seen, np.asarray(draw(plain)))


@pytest.mark.parametrize("limit", [None, 3])
def test_each_color_stands_on_each_side_equally_often(spar, limit):
    sides = Counter(
        (obj.color, cell) for scene in read_spar(spar, limit, seeded()) for obj, cell in scene
    )
    count = 6 if limit is None else limit
    assert sides == {(c, Cell(0, s)): count for c in ("blue", "red") for s in (0, 1)}


def test_sides_and_colors_are_as_labelled_even_if_not_as_in_the_public_set(tmp_path):
    save_spar(tmp_path, [("Desert", "Elephant", "Camel", "Right", "Left", "Blue", "Red")])
    assert [o.name for o in read_spar(tmp_path)[0].objects] == ["red camel", "blue elephant"]


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_is_even_over_backgrounds_while_they_last(spar, seed):
    def drawn(limit):
        scenes = read_spar(spar, limit, seeded(seed))
        return Counter(scene.setting.path.split("/")[-2] for scene in scenes)

    assert drawn(2) == {"Desert": 2, "Museum": 2}
    assert drawn(4) == {"Desert": 4, "Museum": 4}
    assert drawn(5) == {"Desert": 6, "Museum": 4}
    assert drawn(50) == {"Desert": 8, "Museum": 4}


def test_files_that_are_not_drawn_are_not_opened(spar):
    kept = set(files(read_spar(spar, 2, seeded())))
    for path in spar.glob("*/*.png"):
        if path.name not in kept:
            path.unlink()
    assert set(files(read_spar(spar, 2, seeded()))) == kept


def test_a_file_missing_from_the_set_is_named(spar, coco):
    (spar / "Museum" / "4.png").unlink()
    with pytest.raises(
        ValueError, match="labels.csv, line 6: no file .*Museum/4.png; put it there"
    ):
        read_spar(spar)
    (coco / "val2017" / "000000000003.jpg").unlink()
    with pytest.raises(ValueError, match="instances_val2017.json: no file .*000000000003.jpg"):
        read_coco(coco, 5, seeded())


def test_labels_without_a_column_say_which(spar):
    text = (spar / "labels.csv").read_text()
    (spar / "labels.csv").write_text(text.replace("character1_pos", "position"))
    with pytest.raises(
        ValueError, match="labels.csv, line 1: no column character1_pos; .*filename,"
    ):
        read_spar(spar)


def test_an_absent_spar_comes_with_its_commands(tmp_path):
    commands = "curl -L -O https://.*/PUG_SPAR.tar.gz\n  tar -xzf PUG_SPAR.tar.gz\n"
    with pytest.raises(NoData, match=f"labels.csv in .*gone, which(.|\n)*{commands}"):
        read_spar(tmp_path / "gone")
    save_spar(tmp_path, SPAR_ROWS[6:])
    with pytest.raises(NoData, match=f"labels.csv names no image of a blue and(.|\n)*{commands}"):
        read_spar(tmp_path)


def test_coco_images_have_two_categories_and_no_objects(coco):
    scenes = read_coco(coco, 50, seeded())
    assert sorted(files(scenes)) == [f"{n:012}.jpg" for n in range(5)]
    assert all(len(scene) == 0 and scene.grid == PHOTO_GRID for scene in scenes)
    assert len({scene.key for scene in scenes}) == 5
    assert draw(scenes[0]).size == (504, 504)
    assert len(read_coco(coco, 3, seeded())) == 3


def test_an_absent_coco_comes_with_its_commands(coco, tmp_path):
    commands = "curl -O .*zips/val2017.zip && .*\n  curl -O .*annotations_trainval2017.zip && unzip"
    with pytest.raises(NoData, match=f"val2017 in .*gone, which is not a folder(.|\n)*{commands}"):
        read_coco(tmp_path / "gone", 5, seeded())
    shutil.rmtree(coco / "annotations")
    with pytest.raises(NoData, match=f"annotations/instances_val2017.json in(.|\n)*{commands}"):
        read_coco(coco, 5, seeded())


@pytest.mark.parametrize("content", ["{", "[]", '{"images": [], "annotations": [{}]}'])
def test_other_annotations_are_refused(coco, content):
    (coco / "annotations" / "instances_val2017.json").write_text(content)
    with pytest.raises(ValueError, match="instances_val2017.json: not COCO's .*fetch it again"):
        read_coco(coco, 5, seeded())


def test_coco_without_two_categories_is_no_data(coco):
    path = coco / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps({"images": [], "annotations": []}))
    with pytest.raises(NoData, match="instances_val2017.json has no image of two categories"):
        read_coco(coco, 5, seeded())


def test_the_layout_of_a_folder_decides_how_it_is_read(pairs, spar, tmp_path):
    assert read_photographs(pairs) == read_pairs(pairs)
    assert read_photographs(spar, 3, seeded(1)) == read_spar(spar, 3, seeded(1))
    assert len(read_photographs(pairs, 1, seeded())) == 1
    with pytest.raises(
        NoData, match="manifest.csv or labels.csv(.|\n)*dolphin(.|\n)*PUG_SPAR.tar.gz"
    ):
        read_photographs(tmp_path)


def test_the_users_photographs_are_drawn_evenly_over_backgrounds(tmp_path):
    rows = [f"{n}.png,red dolphin,white elephant,{'sea' if n < 6 else 'zoo'}" for n in range(8)]
    for n in range(8):
        save(tmp_path / f"{n}.png", n)
    (tmp_path / "manifest.csv").write_text(HEADER + "\n".join(rows))
    for seed in range(5):
        drawn = files(read_photographs(tmp_path, 4, seeded(seed)))
        assert sum(name in ("6.png", "7.png") for name in drawn) == 2


def test_the_same_seed_gives_the_same_list_wherever_the_folder_is(pairs, spar, coco, tmp_path):
    def keys(pairs, spar, coco, seed):
        read = (
            read_photographs(pairs, 2, seeded(seed)),
            read_spar(spar, 4, seeded(seed)),
            read_coco(coco, 4, seeded(seed)),
        )
        return [scene.key for scenes in read for scene in scenes]

    moved = [shutil.copytree(f, tmp_path / "moved" / f.name) for f in (pairs, spar, coco)]
    assert keys(pairs, spar, coco, 3) == keys(*moved, 3)
    assert len({tuple(keys(pairs, spar, coco, seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize(("limit", "rng"), [(0, seeded()), (2, None)])
def test_a_limit_needs_a_generator_and_something_to_draw(spar, limit, rng):
    with pytest.raises(
        ValueError, match="a limit of . needs to be positive and to come with a gen"
    ):
        read_spar(spar, limit, rng)
