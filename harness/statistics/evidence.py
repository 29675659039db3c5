"""The data behind an estimate: one number per item with its scene, or one per bootstrap draw."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Evidence:
    """The items or the bootstrap draws behind an estimate.

    Attributes:
        values: float64 [n], one per item; or [D], the quantity on each bootstrap draw.
        scenes: The scene of each item; None for draws. Two runs with one seed draw the same scenes, other runs
            draw independently: either way the difference of two draws is a draw of the difference.

    Raises:
        ValueError: A value is not finite, or there are not as many scenes as values.
    """

    values: NDArray[np.float64]
    scenes: tuple[str, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float64))
        if self.scenes is not None and len(self.scenes) != len(self.values):
            raise ValueError(f"{len(self.values)} values but {len(self.scenes)} scenes")
        if not np.isfinite(self.values).all():
            raise ValueError("evidence must be finite numbers")

    @property
    def item_scenes(self) -> tuple[str, ...]:
        """The scene of each item; ValueError for bootstrap draws, which have none."""
        if self.scenes is None:
            raise ValueError(
                "bootstrap draws are of many scenes each, so they cannot be paired by scene"
            )
        return self.scenes

    @property
    def counted(self) -> bool:
        """Whether each item was won, lost or neither (1, -1 or 0), or right or wrong (1 or 0)."""
        return self.scenes is not None and bool(np.isin(self.values, (-1.0, 0.0, 1.0)).all())

    @property
    def binary(self) -> bool:
        """Whether each item was either right or wrong."""
        return self.scenes is not None and bool(np.isin(self.values, (0.0, 1.0)).all())
