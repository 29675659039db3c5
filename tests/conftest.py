"""Subjects for the tests: untrained ones of every family, made here and loaded as any other is."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import settings

from harness.subjects.anatomy import ANATOMIES

sys.path.insert(0, str(Path(__file__).parent))

# A busy machine is slow, not wrong; and no run may fail by what it happened to draw. To look for more:
# HYPOTHESIS_PROFILE=explore tox run -e tests
settings.register_profile("suite", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, derandomize=False, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

LONGEST_NUMBER = 9
"""Characters of a float in a test's id. A longer one was computed, and other machines round it otherwise."""


def pytest_make_parametrize_id(val: object, argname: str) -> None:
    """Refuse test ids that may differ between processes: a run stops where two workers collect other tests."""
    computed = isinstance(val, float) and len(repr(val)) > LONGEST_NUMBER
    if computed or isinstance(val, (bytes, set, frozenset)):
        raise pytest.UsageError(
            f"{argname}={val!r} would be part of a test's id: give the parameters names, ids=[...]"
        )


ARCHITECTURES = ("tiny-llava", "tiny-qwen2-vl")


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    """Folders of untrained subjects, by the name of their architecture."""
    from harness.training.architectures import build

    root = tmp_path_factory.mktemp("untrained")
    for name in ARCHITECTURES:
        build(name, seed=3).save(root / name)
    return {name: root / name for name in ARCHITECTURES}


@pytest.fixture(scope="session", params=ARCHITECTURES)
def subject(request, checkpoints):
    """One untrained subject per architecture of the embedded ones."""
    from families import loaded

    return loaded(checkpoints[request.param])


def save_families(root: Path, dtypes) -> dict[str, Path]:
    """Save a tiny untrained checkpoint of each family in a dtype of its own; folders by family."""
    import torch
    from families import FAMILIES

    for name, build in FAMILIES.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            checkpoint = build()
        checkpoint.model.to(dtypes[name])
        checkpoint.save(root / name)
    return {name: root / name for name in FAMILIES}


@pytest.fixture(scope="session")
def family_folders(tmp_path_factory) -> dict[str, Path]:
    """Folders of tiny untrained checkpoints, one of each family."""
    import torch

    return save_families(tmp_path_factory.mktemp("families"), defaultdict(lambda: torch.float32))


@pytest.fixture(scope="session")
def half_folders(tmp_path_factory) -> dict[str, Path]:
    """The same in the half precision of published models: LLaVA in float16, others in bfloat16."""
    import torch

    dtypes = defaultdict(lambda: torch.bfloat16, llava=torch.float16)
    return save_families(tmp_path_factory.mktemp("half"), dtypes)


@pytest.fixture(scope="session")
def speaker(family_folders):
    """A function that gives an oracle: of a kind of `speakers.KINDS`, with a voice, in an arrangement."""
    from dataclasses import replace

    from families import loaded
    from speakers import KINDS, make_speaker

    from harness.experiments.arranging import arrange_subject

    made = {}

    def of(kind, voice, how="plain"):
        family, spaced = KINDS[kind]
        if family not in made:
            made[family] = make_speaker(loaded(family_folders[family]))
        return arrange_subject(replace(made[family], voice=voice, spaced=spaced), how)

    return of


EXACT = [pytest.param(f"{name}:exact", marks=pytest.mark.deep) for name in sorted(ANATOMIES)]


@pytest.fixture(scope="session", params=[*sorted(ANATOMIES), *EXACT])
def of_family(request):
    """One tiny untrained subject of each family; and in exact mode, with inputs split as on a GPU."""
    from families import loaded

    family, _, exact = request.param.partition(":")
    with pytest.MonkeyPatch.context() as patch:
        if exact:
            patch.setattr("harness.subjects.exact.SPLIT_ON", {"cpu"})
        folders = request.getfixturevalue("half_folders" if exact else "family_folders")
        yield loaded(folders[family], dtype=exact or None)
