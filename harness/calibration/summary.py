"""Add up the finished parts of a calibration, and find what is not as it must be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from scipy.stats import beta

from harness.calibration.seeds import (
    CellOverSeeds,
    Noted,
    add_up_seeds,
    find_changing,
    tell_changing,
)
from harness.calibration.weakening import add_up_curves
from harness.judging import controls
from harness.judging.verdict import Verdict
from harness.reporting.error_rates import (
    Content,
    ControlCell,
    FalsePasses,
    Results,
)
from harness.reporting.power_curves import find_curve_faults

Part = tuple[str, str, int]
"""What one process does, on which subject, with which seed."""

Found = Mapping[str, Any]
"""What a part found, as JSON: by claim verdicts, or of a control `Noted`; shares by situation; or what
`locate_heads` returns."""


TAUGHT = "taught"
"""Controls of this name, and with more behind it, have trained-in stages."""

TRUE_WHEN_MISLED = {
    # A wrong image of nine objects shows the same nine colors, so that a subject can name the one left out. A
    # blank image takes that away, and so does a wrong image of a crowded scene, which shows other colors.
    "visual_symbols.3.1.not_by_elimination",
    "visual_symbols.4.5.accuracy_falls",
    "visual_symbols.4.5.color_accuracy_falls",
    # In some trials a wrong image shows the right answer, and then the heads that retrieve features bring it.
    "visual_symbols.3.4.feature_retrieval",
    "visual_symbols.3.4.features_size",
    "visual_symbols.3.4.features_share",
    "reproduction.mediation.one_pair_features",
    # A wrong image shows as many objects, in the same cells, so that they are counted as before.
    "visual_symbols.c.top_heads_needed",
    "visual_symbols.c.more_heads_more_errors",
    "visual_symbols.c.bottom_heads_not_needed",
    "visual_symbols.c.smallest_heads_not_needed",
    "visual_symbols.c.gap",
    "visual_symbols.c.worse_than_random",
    "visual_symbols.c.still_a_number",
}
"""Claims that can be true of a subject that sees the wrong image."""


def add_up(results: Mapping[Part, Found], taught: Sequence[CellOverSeeds]) -> Results:
    """Add up finished parts to what is published.

    Args:
        results: What each part found.
        taught: What the controls with trained-in stages do over seeds of trials.
    """
    known = controls.read_expected()
    by_seed: dict[tuple[str, str], list[Noted]] = defaultdict(list)
    for part, found in results.items():
        if part[0] == "table":
            for claim, noted in found.items():
                by_seed[claim, part[1]].append(noted)
    table: list[ControlCell] = [
        {
            "claim": claim,
            "control": control,
            "expected": str(known[claim, control].verdict) if (claim, control) in known else None,
            "verdict": seeds[0]["verdict"],
            "reason": known[claim, control].reason if (claim, control) in known else "",
        }
        for (claim, control), seeds in by_seed.items()
    ]
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
        "seeds": list(find_changing(add_up_seeds(by_seed))),
        "power": {
            claim: sum(s["verdict"] == Verdict.supported for s in seeds) / len(seeds)
            for (claim, control), seeds in by_seed.items()
            if control == "planted"
        },
        "power_taught": find_power_taught(taught),
        "power_curves": add_up_curves(results),
        "repeats": max(map(len, by_seed.values()), default=0),
        "repeats_taught": max((sum(cell["verdicts"].values()) for cell in taught), default=0),
        "auroc": {name: found["auroc"] for name, found in located.items()},
        "onsets": {name: found["onsets"] for name, found in located.items()},
        "steering": {name: found["steering"] for name, found in located.items()},
        "coverage": next(dict(found) for part, found in results.items() if part[0] == "coverage"),
    }


def find_power_taught(cells: Sequence[CellOverSeeds]) -> dict[str, dict[str, float]]:
    """Find how often each claim is supported that holds on a control with trained-in stages.

    A claim holds where the table says so, also near its threshold, where some seeds leave it open.

    Args:
        cells: What these controls do over seeds of trials.

    Returns:
        The share of seeds, by claim and control.
    """
    found: dict[str, dict[str, float]] = defaultdict(dict)
    expected = controls.read_expected()
    for cell in cells:
        claim, control, verdicts = cell["claim"], cell["control"], cell["verdicts"]
        told = expected.get((claim, control))
        if told is not None and Verdict.supported in {told.verdict, *told.also}:
            found[claim][control] = verdicts.get(Verdict.supported, 0) / sum(verdicts.values())
    return dict(found)


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
    wrong += [fault for cell in content["seeds"] if (fault := tell_changing(cell, excused))]
    claims = {claim for claim, _ in controls.read_expected()}
    judged = {(row["claim"], row["control"]) for row in content["table"]}
    asked = size["controls"]
    wrong += [
        f"{claim} on {name}: not judged"
        for claim, name in sorted(set(controls.read_expected()) - judged)
        if asked is None or name in asked
    ]
    wrong += [f"power of {c}: not measured" for c in sorted(claims - set(content["power"]))]
    if not content["power_taught"]:
        wrong.append(
            "power on trained-in stages: all claims in reports/seeds.json asked something else"
        )
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
    wrong += find_curve_faults(content["power_curves"])
    return wrong
