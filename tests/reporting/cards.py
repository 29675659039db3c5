"""Records and scorecards to test with."""

from __future__ import annotations

from harness.judging.record import Record, RunFacts
from harness.reporting.scorecard import Scorecard, build

CLAIM = "paper.1.order"


def run(**changes) -> RunFacts:
    facts = {
        "schema": 1,
        "claims_hash": "0f" * 32,
        "harness": "0.1.0",
        "torch": None,
        "transformers": None,
        "nnsight": None,
        "device": "cpu",
        "dtype": "float32",
        "attention": None,
        "started": "2026-01-02T03:04:05+00:00",
        "seed": 7,
        "trials": None,
        "python": "3.11",
        "platform": "Linux",
    }
    return RunFacts(**{**facts, **changes})


def record(claim=CLAIM, subject="tiny", verdict="supported", **changes) -> Record:
    """A record with an estimate if its verdict is one that needs it."""
    judged = verdict in ("supported", "refuted", "inconclusive")
    low, high = {"supported": (0.5, 0.7), "refuted": (0.1, 0.3)}.get(verdict, (0.3, 0.5))
    facts = {
        "claim": claim,
        "statement": "One thing comes before another.",
        "source": "A paper, section 1",
        "subject": subject,
        "family": "family",
        "verdict": verdict,
        "estimate": (low + high) / 2 if judged else None,
        "ci_low": low if judged else None,
        "ci_high": high if judged else None,
        "unit": "r",
        "threshold": 0.4,
        "direction": "above",
        "n": 40 if judged else 0,
        "clusters": 20 if judged else 0,
        "seed": 7,
        "published": None,
        "baseline": None,
        "reason": f"because it is {verdict}",
        "measurement": None,
        "seconds": 0.5,
        "p_value": {"supported": 0.001, "refuted": 0.99, "inconclusive": 0.2}.get(verdict),
        "threshold_origin": "stated in the paper",
        "method": "Wilson" if judged else "",
    }
    return Record(**{**facts, **changes})


def card(*records: Record, missing=(), **changes) -> Scorecard:
    """A scorecard of these records and of pairs that have none."""
    collected = [(r.claim, r.subject) for r in records] + list(missing)
    return build(run(**changes), records, collected)
