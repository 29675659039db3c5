"""Write the tables of docs/orders.md: how often an order is wrong, by kind of curve and by rule.

    OMP_NUM_THREADS=1 python -m harness.calibration.order_tables

It takes about three minutes of one core. The same seed gives the same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from harness.calibration import depths, orders
from harness.calibration.orders import SIZES, SPREAD, WIDE, Rates, Size
from harness.machine.files import ROOT
from harness.statistics.halves import DRAWS
from harness.statistics.orders import SHARES

DOCUMENT = ROOT / "docs" / "orders.md"

SEED = 2026
REPEATS = 60
GAPS = (-1, 0, 1, 2)

HEADS = ((8, 8), (28, 28))
"""Layers, and heads of each layer: an embedded subject, Qwen2-VL-7B."""

HEAD_REPEATS = 30
HEAD_GAPS = (-1, 1)

CLAIMED = next(iter(orders.RULES))

FIRST_COLUMNS = ("kind of curve", "layers", "scenes", "noise")
FOUND_COLUMNS = ("found, 1 layer apart", "found, 2 layers apart")

Cells = dict[int, Rates]
"""What was found at each gap."""


def make_document(say: Callable[[str], None] = lambda line: None) -> str:
    """Simulate all of it and make the text of docs/orders.md.

    Args:
        say: Receives a line after each kind.
    """
    kinds = [*orders.KINDS, "mixed", *orders.WITHOUT_ORDER]
    by_rule, by_size, by_heads = [], [], []
    for kind in kinds:
        found = {
            (size, gap): orders.simulate_rules(kind, size, gap, REPEATS, SEED)
            for size, gap in product(SIZES, GAPS)
        }
        by_rule.append([kind, *(spell_errors(kind, pool(found, rule)) for rule in orders.RULES)])
        for size in SIZES:
            cells = {gap: found[size, gap][CLAIMED] for gap in GAPS}
            by_size.append(make_row(kind, size, SPREAD, cells))
        by_size.append(make_row(kind, SIZES[1], WIDE, simulate_claimed(kind, SIZES[1], WIDE)))
        say(kind)
    for kind, stages in depths.KINDS.items():
        pooled: dict[str, list[tuple[int, Rates]]] = {rule: [] for rule in depths.RULES}
        for (layers, heads), gap in product(HEADS, HEAD_GAPS):
            rates = depths.simulate_depths(kind, layers, heads, gap, HEAD_REPEATS, SEED)
            for rule, found_at in rates.items():
                pooled[rule].append((0 if stages.shared else gap, found_at))
        by_heads.append([kind, *(spell_heads(cells) for cells in pooled.values())])
        say(kind)
    rules = [["kind of curve", *orders.RULES], *by_rule]
    sizes = [
        [*FIRST_COLUMNS, "false support", "false refutation", *FOUND_COLUMNS],
        *by_size,
    ]
    heads_table = [["heads", *depths.RULES], *by_heads]
    return TEXT.format(
        least=SHARES[0],
        most=SHARES[1],
        draws=DRAWS,
        repeats=REPEATS,
        head_repeats=HEAD_REPEATS,
        spread=SPREAD,
        wide=WIDE,
        rules=draw_table(rules),
        sizes=draw_table(sizes),
        heads=draw_table(heads_table),
    )


def simulate_claimed(kind: str, size: Size, spread: float) -> Cells:
    """Simulate the rule that claims use, at each gap."""
    rules = {CLAIMED: orders.RULES[CLAIMED]}
    return {
        gap: orders.simulate_rules(kind, size, gap, REPEATS, SEED, rules=rules, spread=spread)[
            CLAIMED
        ]
        for gap in GAPS
    }


def make_row(kind: str, size: Size, spread: float, cells: Cells) -> list[str]:
    """Make one row of the second table."""
    errors = find_errors(kind, list(cells.items()))
    row = [kind, str(size.layers), str(size.scenes), f"{spread}", *map(spell_share, errors)]
    found = [spell_share(cells[gap].supported) for gap in (1, 2)]
    return row + (["", ""] if kind in orders.WITHOUT_ORDER else found)


def find_errors(kind: str, cells: Sequence[tuple[int, Rates]]) -> tuple[float, float]:
    """The shares of false supports and of false refutations, where a gap of 0 or less is no order.

    Where a code has no order at all, each verdict is false, whatever the gap.
    """
    without = kind in orders.WITHOUT_ORDER
    false = [rates.supported for gap, rates in cells if gap <= 0 or without]
    missed = [rates.refuted for gap, rates in cells if gap > 0 or without]
    return _average(false), _average(missed)


def pool(found: dict[tuple[Size, int], dict[str, Rates]], rule: str) -> list[tuple[int, Rates]]:
    """What one rule found, over all sizes."""
    return [(gap, rates[rule]) for (_, gap), rates in found.items()]


def spell_errors(kind: str, cells: Sequence[tuple[int, Rates]]) -> str:
    """Errors of a rule in words: "false support / false refutation"."""
    return " / ".join(map(spell_share, find_errors(kind, cells)))


def spell_heads(cells: Sequence[tuple[int, Rates]]) -> str:
    """Errors and power of a rule on heads: "false support / false refutation / found"."""
    found = [rates.supported for gap, rates in cells if gap > 0]
    errors = find_errors("", cells)
    shown = [spell_share(errors[0])] + [spell_share(errors[1])] * bool(found)
    return " / ".join([*shown, *([spell_share(_average(found))] if found else [])])


def spell_share(share: float) -> str:
    """A share in percent, with one digit behind the point where it is small."""
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def draw_table(rows: Sequence[Sequence[str]]) -> str:
    """Draw rows as a table in Markdown; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


TEXT = """\
# Orders

What "comes before" means in the claims of sections 3.3 and 3.4, and how often it is wrong. Made by
`harness/calibration/order_tables.py`; the seed is not one of the tests'.

## The rule

A code (position at the mentions, position at the last token, features at the last token) is there from its
*onset* on: the first layer that has a share of the highest correlation of the curve. Which share is a
convention, so it is varied: each of {draws} draws of scenes has one from {least} to {most}, a sixth of them
either end. One code
comes before another if its onset lies in an earlier layer, in the whole 95% interval of these draws
(`harness/statistics/orders.py`). An order that the share turns round is inconclusive, and so is it, with a
reason, if a code may be there from the first layer on. Whether a code is there at all is asked before.

Why not one share: what the words of the prompt alone tell of the target's features reaches 0.5 to 0.67 of the
peak before any position is there in four of the seven published models that have a curve of it. By a half,
features come before positions there, by {most} after them, and a model whose stages were trained in
(`taught`), where features are there from the first layer on by their size, was said to have positions first.
Above {most}, noise moves the onset along a plateau; a published one (Qwen2.5-VL-3B, position at the last token,
layers 23 to 29) stays above 0.9 of its peak.

## Rules, by kind of curve

Simulated curves whose order is known. Of each kind, false support / false refutation in percent of the
simulated measurements, over four sizes (layers and scenes as in the next table) and onsets -1, 0, 1 and 2
layers apart, {repeats} of each. Noise has the size that is measured on embedded subjects, {spread} (1 - r
squared) over the root of the scenes, and goes along from layer to layer. "Mixed" takes two curves of any
two kinds. Where a code has no order, every verdict is false: it is there from the first layer on, or nowhere,
or has a shelf (0.52 to 0.73 of its height) where another code comes in. For an absent code the
claims' test of presence is not part of this simulation.

{rules}

The highest layer, which the claims used before, is wrong wherever a code stays. The change point and the mean
of the rise are wrong where a part of the code is there before, and an onset between layers calls two codes
of one layer an order.

## The rule of the claims, by size

False support at gaps of -1 and 0, false refutation at gaps of 1 and 2, and power. Noise {wide} is the
widest that was measured: on `planted-absolute`, where a layer codes part of the position. A slow rise one layer
apart is found less often: what is not found is inconclusive.

{sizes}

## Heads

For heads (section 3.4) the curve is what a stage's top heads have done up to each layer, and half of it is
the onset: the median layer of the heads, weighted by their scores. Two stages are intertwined, and their
order inconclusive, if neither has done three quarters before the other has done more than one. False
support / false refutation / found, over heads one layer apart in either direction, 8 layers of 8 heads and
28 of 28, {head_repeats} of each; for stages that share their layers false support only.

{heads}

The median that counts each head once, which the claims used before, moves with stray heads that do little.
"""


def main() -> None:
    """Write the document."""
    DOCUMENT.write_text(make_document(lambda line: print(line, flush=True)))
    print(DOCUMENT)


if __name__ == "__main__":
    main()
