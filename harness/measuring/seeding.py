"""Which random numbers an experiment is given."""

from __future__ import annotations

import zlib

import numpy as np


def seed_generator(seed: int, experiment: str, *, needs: bool) -> np.random.Generator:
    """The generator of one experiment's stimuli and draws.

    Args:
        seed: Of the run.
        experiment: Its name.
        needs: Whether it builds on the measurements of others. Heads that were found on some trials must not be
            judged on the same ones, so its trials are drawn with a seed that the name is part of.
    """
    return np.random.default_rng([seed, zlib.crc32(experiment.encode())] if needs else seed)
