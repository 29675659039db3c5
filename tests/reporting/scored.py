"""Records with what they were made of, and sides of a comparison, to test with."""

from __future__ import annotations

import numpy as np
from cards import card, record

from harness.reporting.sides import Side
from harness.statistics.estimate import proportion

N = 60


def measured(right, **changes):
    """A record and its evidence, of N answers that are right or wrong."""
    found = proportion(np.asarray(right, bool), [f"s{i}" for i in range(len(right))])
    low, high = found.interval(0.95)
    word = "supported" if low > 0.4 else "refuted" if high <= 0.4 else "inconclusive"
    facts = {"estimate": found.value, "ci_low": low, "ci_high": high, "n": found.n}
    facts |= {"clusters": found.clusters, "p_value": found.p_value(0.4, "above")}
    return record(verdict=changes.pop("verdict", word), **{**facts, **changes}), found.evidence


def first(share, n=N):
    return np.arange(n) < round(share * n)


def side(*pairs, where="a run", evidence=True, **changes):
    records = [r for r, _ in pairs]
    made = {(r.claim, r.subject): e for r, e in pairs if evidence and e is not None}
    return Side(where, card(*records, **changes), made)
