"""Subjects for the tests: untrained ones of every family, made here and loaded as any other is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from harness.subjects.registry import Entry, find, read_registry

# A busy machine is slow, not wrong; and what a build server draws must not differ from run to run.
settings.register_profile("suite", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("suite")

FAMILIES = {"tiny-llava": "llava", "tiny-qwen2-vl": "qwen2_vl"}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    """Folders of untrained subjects, by the name of their architecture."""
    from harness.training.architectures import build

    root = tmp_path_factory.mktemp("untrained")
    for name in FAMILIES:
        build(name, seed=3).save(root / name)
    return {name: root / name for name in FAMILIES}


def entry_for(folder: Path) -> Entry:
    """The registry's entry for a folder."""
    return find(str(folder), read_registry())


@pytest.fixture(scope="session", params=list(FAMILIES))
def subject(request, checkpoints):
    """One untrained subject per family, on the CPU in float32."""
    import torch

    from harness.subjects.loading import load
    from harness.workers import threads_per_process

    torch.set_num_threads(threads_per_process())
    return load(entry_for(checkpoints[request.param]))
