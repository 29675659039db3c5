"""Add up the finished parts of a calibration, and find what is not as it must be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from scipy.stats import beta

from harness.calibration.mutants import Result
from harness.judging import controls
from harness.judging.verdict import Verdict
from harness.reporting.error_rates import Content, ControlCell, FalsePasses, Results

Part = tuple[str, str, int]
"""What one process does, on which subject, with which seed."""

Found = Mapping[str, Any]
"""What a part found, as JSON: verdicts by claim, shares by situation, or what `locate_heads` returns."""

TRUE_WHEN_MISLED = {
    # It compares images with no image at all. A wrong image of nine objects shows the same nine colors, so that
    # a subject can name the one that is left out, and only the blank image takes that away.
    "visual_symbols.3.1.not_by_elimination",
}
"""Claims that can be true of a subject that sees the wrong image."""


def add_up(results: Mapping[Part, Found], mutants: Iterable[Result]) -> Results:
    """Add up finished parts to what is published.

    Args:
        results: What each part found.
        mutants: What became of each mutant.
    """
    known = controls.read_expected()
    table: list[ControlCell] = [
        {
            "claim": claim,
            "control": part[1],
            "expected": str(known[claim, part[1]].verdict) if (claim, part[1]) in known else None,
            "verdict": verdict,
            "reason": known[claim, part[1]].reason if (claim, part[1]) in known else "",
        }
        for part, found in results.items()
        if part[0] == "table"
        for claim, verdict in found.items()
    ]
    held: dict[str, Counter[bool]] = defaultdict(Counter)
    for part, found in results.items():
        if part[0] == "power":
            for claim, verdict in found.items():
                held[claim][verdict == Verdict.supported] += 1
    null = {part: found for part, found in results.items() if part[0] == "null"}
    located = {part[1]: found for part, found in results.items() if part[0] == "localise"}
    untrained = {p: f for p, f in null.items() if p[1].startswith("untrained")}
    misled = {
        p: {c: v for c, v in f.items() if c not in TRUE_WHEN_MISLED}
        for p, f in null.items()
        if p not in untrained
    }
    return {
        "table": table,
        "false_pass": {**count_false_passes(untrained), "misled": count_false_passes(misled)},
        "power": {claim: count[True] / count.total() for claim, count in held.items()},
        "repeats": max((count.total() for count in held.values()), default=0),
        "auroc": {name: found["auroc"] for name, found in located.items()},
        "onsets": {name: found["onsets"] for name, found in located.items()},
        "steering": {name: found["steering"] for name, found in located.items()},
        "coverage": next(dict(found) for part, found in results.items() if part[0] == "coverage"),
        "mutants": {m.mutant.name: {"caught": m.caught, "by": m.by} for m in mutants},
    }


def count_false_passes(null: Mapping[Part, Mapping[str, str]]) -> FalsePasses:
    """Count the claims that are supported where none can be true.

    Args:
        null: Verdicts by claim, for each subject and seed.
    """
    passed = [
        (part[1], part[2], claim)
        for part, found in null.items()
        for claim, verdict in found.items()
        if verdict == Verdict.supported
    ]
    # An inconclusive verdict was not decided, and could not have passed.
    asked = Counter(
        claim
        for found in null.values()
        for claim, verdict in found.items()
        if verdict in (Verdict.supported, Verdict.refuted)
    )
    n, subjects = asked.total(), len(null)
    rate = len(passed) / n if n else 0.0
    # Claims of one subject are not independent: the bound counts subjects, not claims.
    upper = float(beta.ppf(0.95, rate * subjects + 1, (1 - rate) * subjects)) if rate < 1 else 1.0
    count = Counter(claim for _, _, claim in passed)
    return {
        "rate": rate,
        "upper": upper,
        "n": n,
        "subjects": subjects,
        "asked": dict(sorted(asked.items())),
        "passed": passed,
        "often": {
            claim: k / asked[claim]
            for claim, k in sorted(count.items())
            if beta.ppf(0.05, k, asked[claim] - k + 1) > 0.05
        },
    }


def find_faults(content: Content) -> list[str]:
    """What is not as it must be, in words; empty if the calibration finds no fault with the suite.

    If a number of trials was set, which is fewer than a scorecard has, inconclusive verdicts are excused and
    only what contradicts the truth is told.
    """
    size = content["size"]
    excused = () if size["trials"] is None else (Verdict.inconclusive,)
    wrong = [
        f"{row['claim']} on {row['control']}: {row['verdict']}, expected {row['expected']}"
        for row in content["table"]
        if row["verdict"] not in (row["expected"], *excused)
    ]
    claims = {claim for claim, _ in controls.read_expected()}
    judged = {(row["claim"], row["control"]) for row in content["table"]}
    wrong += [
        f"{c} on {name}: not judged" for c, name in sorted(set(controls.read_expected()) - judged)
    ]
    wrong += [f"power of {c}: not measured" for c in sorted(claims - set(content["power"]))]
    false = content["false_pass"]
    if false["rate"] > 0.01 or (not excused and not false["upper"] <= 0.03):
        wrong.append(f"false passes: {false['rate']:.2%} of claims, at most {false['upper']:.2%}")
    if false["misled"]["rate"] > 0.01:
        wrong.append(f"false passes on misled subjects: {false['misled']['rate']:.2%} of claims")
    often = (("untrained", false["often"]), ("misled", false["misled"]["often"]))
    for where, shares in often:
        wrong += [
            f"false passes of {claim} on {where} subjects: {share:.0%}"
            for claim, share in shares.items()
        ]
    if not excused:
        # Power is about claims that hold on the planted subject; others cannot lack it.
        holds = {
            c
            for (c, name), cell in controls.read_expected().items()
            if name == "planted" and cell.verdict is Verdict.supported
        }
        wrong += [
            f"power of {c}: {p:.0%}" for c, p in content["power"].items() if c in holds and p < 0.95
        ]
    for control, stages in content["auroc"].items():
        wrong += [f"AUROC of {s} on {control}: {a}" for s, a in stages.items() if not a >= 0.99]
    for control, onsets in content["onsets"].items():
        wrong += [
            f"{pair} is there from layer {found} of {control} on, planted at {layers}"
            for pair, (found, layers) in onsets.items()
            if found not in layers
        ]
    for control, share in content["steering"].items():
        # With few trials the mean outputs for each place are known only roughly.
        if share["planted"] < (0.5 if excused else 0.9) or share["random"] > 0.1:
            wrong.append(f"steering {control}: {share}")
    wrong += [
        f"coverage of {name}: {share:.1%}"
        for name, share in content["coverage"].items()
        if not 0.93 <= share <= 0.97 and size["coverage"] >= 4000
    ]
    wrong += [f"mutant not caught: {n}" for n, m in content["mutants"].items() if not m["caught"]]
    return wrong
