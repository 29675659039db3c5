"""A claim and its records to test with."""

from __future__ import annotations

from harness.judging.claim import Claim, above
from harness.judging.record import Record
from harness.judging.verdict import decide
from harness.statistics.estimate import mean

CLAIM = Claim(
    "visual_symbols.3.3.order",
    "Position comes first.",
    "Assouel et al. 2026, section 3.3",
    above(0, unit="layers", origin="stated in the paper", exceptions={"llava": 2}),
    {"qwen": 4},
)


VALUES = (3, 4, 5, 4) * 3


def order(values=VALUES, subject="qwen", estimate=None, **changes) -> Record:
    estimate = estimate or mean(values, range(len(values)))
    judgement = changes.pop("judgement", None) or decide(estimate, CLAIM.threshold, subject)
    arguments = {"subject": subject, "family": "qwen2_5_vl", "seed": 42, **changes}
    return Record.of(CLAIM, judgement=judgement, estimate=estimate, **arguments)
