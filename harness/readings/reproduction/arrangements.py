"""How much accuracy differs between arrangements of image and prompt (protocol, section 9)."""

from __future__ import annotations

from harness.readings.reading import Reading
from harness.statistics.estimate import Estimate, difference


class Arrangements(Reading):
    """Reading of the arrangements."""

    def difference(self) -> Estimate:
        """How much accuracy differs between two arrangements: those that differ most on the other half."""
        if "no_chat" in self.data.attrs:
            return Estimate.inapplicable("its tokenizer has no chat template")
        right = self.data.right.astype(float)
        shares = right[:, (self.data.part == "estimation").values].mean("trial").values
        held = right[:, (self.data.part == "evaluation").values]
        best, worst = int(shares.argmax()), int(shares.argmin())
        scenes = self.data.scene.values[(self.data.part == "evaluation").values]
        return difference(held[best].values, held[worst].values, scenes)
