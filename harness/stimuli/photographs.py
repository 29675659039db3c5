"""Photographs as scenes: two-object pictures in the user's own folder, PUG: SPAR, and COCO 2017.

None of them ships with this package: where something is missing, the error says what it is and how to get it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

import numpy as np
from PIL import Image

from harness.stimuli.scene import PHOTO_GRID, Cell, Photo, PhotographedObject, Scene

Row = TypeVar("Row")

MANIFEST = "manifest.csv"
PAIR_COLUMNS = ("file", "left", "right", "background")
PAIR_LAYOUT = f"""\
Your own photographs: a folder with the image files and a table {MANIFEST}, such as
  {",".join(PAIR_COLUMNS)}
  beach/0001.png,red dolphin,white elephant,beach
Files are named from the folder on. Each object is a color and a noun, one lower-case word each, and the
two colors of a photograph differ. The background may be empty."""

LABELS = "labels.csv"
SPAR_COLUMNS = (
    *("filename", "world_name", "character_name", "character2_name"),
    *("character1_pos", "character2_pos", "character_texture", "character2_texture"),
)
SPAR_URL = "https://dl.fbaipublicfiles.com/large_objects/pug/PUG_SPAR.tar.gz"
SPAR_LAYOUT = f"""\
PUG: SPAR (16 GB, CC-BY-NC, not to be used to train generative models):
  curl -L -O {SPAR_URL}
  tar -xzf PUG_SPAR.tar.gz
Then name the folder that holds its {LABELS}; the archive unpacks to PUG_SPAR."""

COCO_ANNOTATIONS = Path("annotations", "instances_val2017.json")
COCO_URL = "http://images.cocodataset.org"


def digest_of(scenes: Sequence[Scene]) -> str:
    """A short hash of a list of photographs, which changes when any of them changes."""
    return hashlib.sha256(" ".join(s.key for s in scenes).encode()).hexdigest()[:12]


class NoData(Exception):
    """Data that a claim needs is not there; the message is for the user and says how to get it."""


def read_photographs(
    folder: Path, limit: int | None = None, rng: np.random.Generator | None = None
) -> list[Scene]:
    """Read photographs of two objects from a folder in either of the two layouts.

    Args:
        folder: Holds manifest.csv (`read_pairs`) or labels.csv (`read_spar`); of both, the first is read.
        limit: Most image files to use, drawn evenly over the backgrounds; all if None.
        rng: Source of the draw; needed only with a limit.

    Returns:
        Scenes of an object on the left and one on the right; two for each file of PUG: SPAR.

    Raises:
        NoData: The folder is not there or has neither table.
        ValueError: As `read_pairs` or `read_spar` raises it.
    """
    if (folder / MANIFEST).is_file():
        pairs = _draw_evenly(_read_pairs(folder), limit, rng, lambda pair: pair[0])
        return [scene for _, scene in pairs]
    if (folder / LABELS).is_file():
        return read_spar(folder, limit, rng)
    raise NoData(
        f"{_describe_absence(folder, f'{MANIFEST} or {LABELS}')}. Either of two sets will do.\n\n"
        f"{PAIR_LAYOUT}\n\n{SPAR_LAYOUT}"
    )


def read_pairs(folder: Path) -> list[Scene]:
    """Read the user's own photographs of two objects, in the order of manifest.csv.

    The layout is that of `PAIR_LAYOUT`. Colors, nouns and sides are used as they are, balanced or not.

    Returns:
        A scene per row: the left object at the upper left cell, the right one beside it.

    Raises:
        NoData: The folder or the table is not there, or the table has no rows.
        ValueError: A row is malformed, or its image cannot be read; the message gives the line.
    """
    return [scene for _, scene in _read_pairs(folder)]


def read_spar(
    folder: Path, limit: int | None = None, rng: np.random.Generator | None = None
) -> list[Scene]:
    """Read the blue and red animals of PUG: SPAR, each image as it is and mirrored.

    PUG: SPAR (Bordes et al., arXiv 2308.03977; github.com/facebookresearch/PUG) has 43,560 renderings of 512 px
    with none, one or two of 32 animals. Only images of a blue and a red animal side by side are used; grass,
    stone and the default texture are not colors.

    In the public set the left animal is blue and the right one red in every such image, so color and side
    cannot be told apart. Each image is therefore also used mirrored, with its objects exchanged: each color
    then stands on each side equally often. An image and its mirror image have one `Photo.digest`; a split into
    estimation and evaluation should keep them together.

    Animals are named by one lower-case word: "Elephant_01" is an elephant. Images of an animal whose name has
    several words ("GiantTortoise") are left out: the claims' prompts have one.

    Args:
        folder: The folder that holds labels.csv; image files are named from there on.
        limit: Most image files to use, drawn evenly over the backgrounds; all if None.
        rng: Source of the draw; needed only with a limit.

    Returns:
        Two scenes for each file, the mirrored one second.

    Raises:
        NoData: The folder or the table is not there, or no row of it can be used.
        ValueError: The table lacks a column or a cell, or an image that it names cannot be read.
    """
    table = folder / LABELS
    if not table.is_file():
        raise NoData(f"{_describe_absence(folder, LABELS)}.\n\n{SPAR_LAYOUT}")
    rows = [
        (where, row["filename"], row["world_name"], sides)
        for where, row in _read_table(table, SPAR_COLUMNS)
        if (sides := _find_sides(row)) is not None
    ]
    if not rows:
        raise NoData(
            f"{table} names no image of a blue and a red animal side by side.\n\n{SPAR_LAYOUT}"
        )
    scenes = []
    for where, name, _, (left, right) in _draw_evenly(rows, limit, rng, lambda row: row[2]):
        digest, path = _check_image(folder, name, where)
        scenes.append(_place_side_by_side(left, right, Photo(digest, path)))
        scenes.append(_place_side_by_side(right, left, Photo(digest, path, mirrored=True)))
    return scenes


def read_coco(folder: Path, limit: int, rng: np.random.Generator) -> list[Scene]:
    """Read photographs of the COCO 2017 validation set that show objects of at least two categories.

    With fewer there would be no two objects to list. A model chooses its own words for what it lists, so the
    scenes name no objects. Source: Lin et al., arXiv 1405.0312; the layout on disk is the set's own.

    Args:
        folder: Holds val2017/ and annotations/instances_val2017.json.
        limit: Most images to use.
        rng: Source of the draw.

    Returns:
        Scenes without objects, in the order drawn.

    Raises:
        NoData: The images or the annotations are not there, or no image has two categories.
        ValueError: The annotations are not COCO's, or an image that they name cannot be read.
    """
    images, annotations = folder / "val2017", folder / COCO_ANNOTATIONS
    target = shlex.quote(str(folder))
    layout = (
        "COCO 2017, the validation set (1 GB) and its annotations:\n"
        f"  mkdir -p {target} && cd {target}\n"
        f"  curl -O {COCO_URL}/zips/val2017.zip && unzip val2017.zip\n"
        f"  curl -O {COCO_URL}/annotations/annotations_trainval2017.zip"
        " && unzip annotations_trainval2017.zip"
    )
    for path in (images, annotations):
        if not path.exists():
            raise NoData(f"{_describe_absence(folder, str(path.relative_to(folder)))}.\n\n{layout}")
    try:
        content = json.loads(annotations.read_bytes())
        categories = defaultdict(set)
        for annotation in content["annotations"]:
            categories[annotation["image_id"]].add(annotation["category_id"])
        names = sorted(i["file_name"] for i in content["images"] if len(categories[i["id"]]) > 1)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{annotations}: not COCO's instance annotations ({error!r}); fetch it again.\n\n{layout}"
        ) from error
    if not names:
        raise NoData(f"{annotations} has no image of two categories.\n\n{layout}")
    drawn = _draw_evenly(names, limit, rng, lambda name: "")
    photos = (Photo(*_check_image(images, name, str(annotations))) for name in drawn)
    return [Scene(PHOTO_GRID, (), (), photo) for photo in photos]


def _read_pairs(folder: Path) -> list[tuple[str, Scene]]:
    """Read background and scene of each row of the user's table."""
    table = folder / MANIFEST
    if not table.is_file():
        raise NoData(f"{_describe_absence(folder, MANIFEST)}.\n\n{PAIR_LAYOUT}")
    pairs = []
    for where, row in _read_table(table, PAIR_COLUMNS):
        left, right = (_parse_object(row[side], f"{where}: {side}") for side in ("left", "right"))
        if left.color == right.color:
            raise ValueError(
                f"{where}: both objects are {left.color}, so the first word of an answer cannot tell "
                "them apart; leave the photograph out"
            )
        photo = Photo(*_check_image(folder, row["file"], where))
        pairs.append((row["background"], _place_side_by_side(left, right, photo)))
    if not pairs:
        raise NoData(f"{table} has no rows.\n\n{PAIR_LAYOUT}")
    return pairs


def _parse_object(text: str, where: str) -> PhotographedObject:
    if not re.fullmatch("[a-z]+ [a-z]+", text):
        raise ValueError(
            f'{where} is {text!r}; write a color and a noun in lower-case letters, such as "red dolphin"'
        )
    return PhotographedObject.named(text)


def _find_sides(row: dict[str, str]) -> tuple[PhotographedObject, PhotographedObject] | None:
    """The left and the right animal, or None for an image of another kind."""
    animals = {
        row["character1_pos"].lower(): (row["character_texture"].lower(), row["character_name"]),
        row["character2_pos"].lower(): (row["character2_texture"].lower(), row["character2_name"]),
    }
    if animals.keys() != {"left", "right"} or {t for t, _ in animals.values()} != {"blue", "red"}:
        return None
    # A capital within a name begins a second word: no model would say "gianttortoise".
    one_word = re.compile(r"[\s\d_-]*([A-Z]?[a-z]+|[A-Z]+)[\s\d_-]*")
    pair = []
    for texture, name in (animals["left"], animals["right"]):
        noun = one_word.fullmatch(name)
        if noun is None or noun[1].lower() == "blank":
            return None
        pair.append(PhotographedObject(texture, noun[1].lower()))
    return pair[0], pair[1]


def _place_side_by_side(left: PhotographedObject, right: PhotographedObject, photo: Photo) -> Scene:
    return Scene(PHOTO_GRID, (left, right), (Cell(0, 0), Cell(0, 1)), photo)


def _describe_absence(folder: Path, wanted: str) -> str:
    state = "where there is none" if folder.is_dir() else "which is not a folder"
    return f"Looked for {wanted} in {folder}, {state}"


def _read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Read each row of a table: where it stands, and its cells in the wanted columns."""
    header = ",".join(columns)
    try:
        # Spreadsheets write a byte order mark, which would become part of the first column's name.
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 ({error}); save it as CSV in UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if missing := [c for c in columns if c not in (reader.fieldnames or ())]:
        raise ValueError(
            f"{path}, line 1: no column {', '.join(missing)}; the first line should be {header}"
        )
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        if None in row or None in row.values():
            raise ValueError(
                f"{where}: not as many cells as the first line has columns; write {header}, "
                "and quotes around a cell with a comma"
            )
        yield where, {column: row[column].strip() for column in columns}


def _check_image(folder: Path, name: str, where: str) -> tuple[str, str]:
    """Digest and path of an image file, after a check that it can be drawn."""
    # A table may come from elsewhere; it must not reach outside its folder, on any system.
    for kind in (PurePosixPath, PureWindowsPath):
        if kind(name).is_absolute() or ".." in kind(name).parts:
            raise ValueError(
                f"{where}: {name!r} leads out of the folder; name files from {folder} on"
            )
    path = folder / name
    if not path.is_file():
        raise ValueError(f"{where}: no file {path}; put it there or correct the name")
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            # `verify` alone accepts a photograph that was cut off on its way here.
            image.load()
    except Exception as error:  # Decoders of damaged files raise whatever they stumble on.
        raise ValueError(
            f"{where}: {path} cannot be read as an image ({error}); fetch or export it again"
        ) from error
    return hashlib.sha256(content).hexdigest(), str(path)


def _draw_evenly(
    rows: Sequence[Row],
    limit: int | None,
    rng: np.random.Generator | None,
    group: Callable[[Row], str],
) -> list[Row]:
    """Draw at most `limit` rows, as many from each group as from any other while it lasts."""
    if limit is None:
        return list(rows)
    if limit < 1 or rng is None:
        raise ValueError(f"a limit of {limit} needs to be positive and to come with a generator")
    taken: Counter[str] = Counter()
    ranked = []
    for place, index in enumerate(rng.permutation(len(rows))):
        key = group(rows[index])
        ranked.append((taken[key], place, index))
        taken[key] += 1
    return [rows[index] for _, _, index in sorted(ranked)[:limit]]
