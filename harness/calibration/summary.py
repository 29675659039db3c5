"""From finished parts of a calibration to what is published, and what is not as it must be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from scipy.stats import beta

from harness.calibration.mutants import Result
from harness.judging import controls
from harness.judging.verdict import Verdict

Part = tuple[str, str, int]
"""What is done, on which subject, with which seed: one process's piece of work."""


def add_up(results: Mapping[Part, Mapping[str, Any]], mutants: Iterable[Result]) -> dict[str, Any]:
    """From finished parts to what is published.

    Returns:
        `table`: rows of claim, control, expected, verdict, reason. `false_pass`: on untrained subjects, asked
        without the gate; see `false_passes`; its `misled` is the same for wrong images and shuffled trials.
        `power`: claim to share supported on `planted` over `repeats` seeds. `auroc`: control to stage to
        value; `peaks` and `steering` as `localise` gives them. `coverage`: interval to share. `mutants`: name
        to caught and by.
    """
    known = controls.expected()
    table = [
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
    held: dict[str, Counter] = defaultdict(Counter)
    for part, found in results.items():
        if part[0] == "power":
            for claim, verdict in found.items():
                held[claim][verdict == Verdict.supported] += 1
    null = {part: found for part, found in results.items() if part[0] == "null"}
    located = {part[1]: found for part, found in results.items() if part[0] == "localise"}
    untrained = {p: f for p, f in null.items() if p[1].startswith("untrained")}
    misled = {p: f for p, f in null.items() if p not in untrained}
    return {
        "table": table,
        "false_pass": {**false_passes(untrained), "misled": false_passes(misled)},
        "power": {claim: count[True] / count.total() for claim, count in held.items()},
        "repeats": max((count.total() for count in held.values()), default=0),
        "auroc": {name: found["auroc"] for name, found in located.items()},
        "peaks": {name: found["peaks"] for name, found in located.items()},
        "steering": {name: found["steering"] for name, found in located.items()},
        "coverage": next(dict(found) for part, found in results.items() if part[0] == "coverage"),
        "mutants": {m.mutant.name: {"caught": m.caught, "by": m.by} for m in mutants},
    }


def false_passes(null: Mapping[Part, Mapping[str, str]]) -> dict[str, Any]:
    """Share of claims supported where none can be true.

    Returns:
        `rate`: supported of all decided verdicts. `upper`: its one-sided 95% bound (Clopper and Pearson) as if
        the claims of one subject stood and fell together. `n`: how many were decided; `asked` says it for
        each claim. `subjects`: on how many. `passed`: which, as (subject, seed, claim). `often`: claims that
        are supported more often than the 5% that their interval allows, beyond chance (exact, one-sided
        95%): a share of all claims hides one that always passes.
    """
    passed = [
        (part[1], part[2], claim)
        for part, found in null.items()
        for claim, verdict in found.items()
        if verdict == Verdict.supported
    ]
    # What is inconclusive was not decided, and could not have been passed.
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
        "passed": [list(p) for p in passed],
        "often": {
            claim: k / asked[claim]
            for claim, k in sorted(count.items())
            if beta.ppf(0.05, k, asked[claim] - k + 1) > 0.05
        },
    }


def findings(content: Mapping[str, Any]) -> list[str]:
    """What is not as it must be, in words; empty if the suite can be trusted as far as this goes.

    With fewer trials than a scorecard's, not to know is no fault: only what contradicts the truth is told.
    """
    size = content["size"]
    excused = () if size["trials"] is None else (Verdict.inconclusive,)
    wrong = [
        f"{row['claim']} on {row['control']}: {row['verdict']}, expected {row['expected']}"
        for row in content["table"]
        if row["verdict"] not in (row["expected"], *excused)
    ]
    claims = {claim for claim, _ in controls.expected()}
    judged = {(row["claim"], row["control"]) for row in content["table"]}
    wrong += [f"{c} on {name}: not judged" for c, name in sorted(set(controls.expected()) - judged)]
    wrong += [f"power of {c}: not measured" for c in sorted(claims - set(content["power"]))]
    false = content["false_pass"]
    if false["rate"] > 0.01 or (not excused and not false["upper"] <= 0.03):
        wrong.append(f"false passes: {false['rate']:.2%} of claims, at most {false['upper']:.2%}")
    if false["misled"]["rate"] > 0.01:
        wrong.append(f"false passes on misled subjects: {false['misled']['rate']:.2%} of claims")
    for where, found in (("untrained", false), ("misled", false["misled"])):
        wrong += [
            f"false passes of {claim} on {where} subjects: {share:.0%}"
            for claim, share in found["often"].items()
        ]
    if not excused:
        # What must not hold of the planted subject has no power to lack.
        holds = {
            c
            for (c, name), cell in controls.expected().items()
            if name == "planted" and cell.verdict is Verdict.supported
        }
        wrong += [
            f"power of {c}: {p:.0%}" for c, p in content["power"].items() if c in holds and p < 0.95
        ]
    for control, stages in content["auroc"].items():
        wrong += [f"AUROC of {s} on {control}: {a}" for s, a in stages.items() if not a >= 0.99]
    for control, peaks in content["peaks"].items():
        wrong += [
            f"{pair} peaks at layer {found} of {control}, planted at {layers}"
            for pair, (found, layers) in peaks.items()
            if found not in layers
        ]
    for control, share in content["steering"].items():
        # Means of a few trials for each place point there only roughly.
        if share["planted"] < (0.5 if excused else 0.9) or share["random"] > 0.1:
            wrong.append(f"steering {control}: {share}")
    wrong += [
        f"coverage of {name}: {share:.1%}"
        for name, share in content["coverage"].items()
        if not 0.93 <= share <= 0.97 and size["coverage"] >= 4000
    ]
    wrong += [f"mutant not caught: {n}" for n, m in content["mutants"].items() if not m["caught"]]
    return wrong
