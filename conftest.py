"""Pytest starts here: a worker gets its threads and GPU before torch is imported, then the plugin is loaded."""

import os

from harness.machine.placement import place_process

place_process(os.environ)
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

pytest_plugins = ["harness.suite.plugin", "pytester"]
