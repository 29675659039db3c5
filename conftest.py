"""Pytest starts here: threads of this worker are set before torch is imported, then the plugin takes over."""

import os

# Two processes with two threads each thrash on two cores; a worker is told its share.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    share = max(1, len(os.sched_getaffinity(0)) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(share))

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

pytest_plugins = ["harness.pytest_plugin", "pytester"]
