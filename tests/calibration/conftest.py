"""Lets the tests of this folder import `cards` and `scored`, which lie beside the tests of reporting."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "reporting"))
