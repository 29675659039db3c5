"""Assouel et al. 2026, appendix D and Table 1: IDs from clear scenes repair errors in crowded ones.

The mean activation of the selection heads for a position, taken from scenes without shared features,
replaces that of a crowded scene. How many heads is chosen on other scenes. A subject with few errors has
little to repair: not applicable.
"""

from harness.judging.claim import above, claim


@claim(
    id="visual_symbols.d.repair",
    statement="IDs from scenes of distinct features reduce binding errors in scenes of shared ones.",
    source="Assouel et al. 2026, appendix D, Table 1",
    threshold=above(
        0.03,
        unit="share right",
        origin="chosen by us",
        note="below the smallest published gain, 0.046",
    ),
    published={
        "llava-1.5-7b": 0.046,
        "llava-1.5-13b": 0.104,
        "qwen2.5-vl-3b": 0.111,
        "qwen2.5-vl-7b": 0.111,
    },
)
def test_clear_ids_repair_errors(repair, judge):
    judge(repair.gain())


@claim(
    id="visual_symbols.d.wrong_position_harms",
    statement="The ID of a wrong position makes more answers wrong.",
    source="Assouel et al. 2026, appendix D; the control is ours",
    threshold=above(
        0.0,
        unit="share right",
        origin="chosen by us",
        note="an ID that points must be able to mislead",
    ),
)
def test_a_wrong_id_harms(repair, judge):
    judge(repair.harm())
