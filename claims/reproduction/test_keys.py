"""Deviation 3 of the public reproduction: which keys were edited.

It found that exchanged keys change nothing, in any model. It edited the queried object only, over half of
the image and token by token, and only the keys of the selected heads. All are asked together, and each alone
but half of the image: what that loses hangs on the images that the means are of (0.17 to 0.46 of answers on one
control), and an interval over the judged scenes does not know it.
"""

from harness.judging.claim import above, claim

NOTHING = "Deviation 3 of the reproduction; discrepancy: exchanged keys change no answer (Figure 4)"
MUCH = above(
    0.30,
    unit="share of answers",
    origin="chosen by us",
    note="with so much lost, the weakest subject of the paper would fail its claim",
)


@claim(
    id="reproduction.keys.one_object",
    statement="Editing the keys of the queried object only loses much of the effect.",
    source=NOTHING,
    threshold=MUCH,
)
def test_one_object_is_not_enough(keys, judge):
    judge(keys.lost("queried object only"))


@claim(
    id="reproduction.keys.selected_heads",
    statement="Editing the keys of the selected heads only loses much of the effect.",
    source=NOTHING,
    threshold=MUCH,
)
def test_selected_heads_are_not_enough(keys, judge):
    judge(keys.lost("keys of the selected heads only"))


@claim(
    id="reproduction.keys.all_together",
    statement="Edited as in the reproduction, much of the effect is lost.",
    source=NOTHING,
    threshold=MUCH,
)
def test_the_reproductions_edit_loses_it(keys, judge):
    judge(keys.lost("as reproduced"))
