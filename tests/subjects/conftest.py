"""Lets the tests of this folder import `hub`, which lies beside them, and takes the hub away from them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty cache of the hub, and no way to fill it."""
    import huggingface_hub.constants
    import transformers.utils.hub

    cache = tmp_path / "hub"
    cache.mkdir()
    for module in (huggingface_hub.constants, transformers.utils.hub.constants):
        monkeypatch.setattr(module, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", True)
    return cache
