"""The random numbers of an experiment."""

from __future__ import annotations

import zlib

import numpy as np


def seed_generator(seed: int, experiment: str, *, needs: bool) -> np.random.Generator:
    """The generator of one experiment's stimuli and draws.

    Args:
        seed: The run's seed.
        experiment: The experiment's name.
        needs: Whether it builds on other measurements. Heads that were found on some trials must not be judged
            on the same ones, so its trials are drawn with a seed that the name is part of.
    """
    return np.random.default_rng([seed, zlib.crc32(experiment.encode())] if needs else seed)
