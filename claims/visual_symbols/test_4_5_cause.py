"""Assouel et al. 2026, section 4.5, the cause: IDs made worse make errors, and those they point to.

The paper shows that IDs and answers get worse together where features are shared. Its reviewers asked whether
one is the cause of the other. Here scenes stay clear and what the ID selection heads give at the last token
is mixed with the ID of another cell, in steps. The IDs come from other scenes, where the number of heads is
chosen as well. An edit that merely breaks the model makes errors of any kind: so the answers must become the
object in the cell whose ID is mixed in, more often than under a random direction of the same norm and than
under the same mixture in other heads of the same layers, both drawn anew for every scene, and in either case
more often than under the mean of their own cell in the same heads, which takes as much away.

Not asked: whether visual search suffers as well, a consequence that a reviewer named. It needs displays and
questions of its own, for which the paper has no numbers.
"""

from harness.judging.claim import above, claim

SOURCE = "Assouel et al. 2026, section 4.5; the cause as its reviewers asked, ours"
FOLLOWED = above(
    0.10,
    unit="share of answers",
    origin="chosen by us",
    note="as much as errors must follow the ID where features are shared",
)


@claim(
    id="visual_symbols.4.5.degraded_ids_err",
    statement="The ID of another position makes answers of clear scenes wrong that their own ID leaves right.",
    source=SOURCE,
    threshold=above(
        0.07,
        unit="share right",
        origin="chosen by us",
        note="the smallest fall of accuracy with shared features that is published, which it must account for",
    ),
)
def test_degraded_ids_make_errors(degrade, judge):
    judge(degrade.errors())


@claim(
    id="visual_symbols.4.5.degraded_ids_point",
    statement="Errors are the object that the degraded ID points to, as under no random direction as long.",
    source=SOURCE,
    threshold=FOLLOWED,
)
def test_errors_are_what_the_degraded_id_points_to(degrade, judge):
    judge(degrade.follows("random direction"))


@claim(
    id="visual_symbols.4.5.degraded_ids_specific",
    statement="The same mixture in other heads of the same layers makes fewer such errors.",
    source=SOURCE,
    threshold=FOLLOWED,
)
def test_other_heads_make_fewer_such_errors(degrade, judge):
    judge(degrade.follows("other heads"))


@claim(
    id="visual_symbols.4.5.degraded_dose",
    statement="The more an ID is degraded, the more answers are what it points to.",
    source=SOURCE,
    threshold=above(
        -0.05,
        unit="share of answers",
        origin="chosen by us",
        note="no step takes back more than one answer in twenty; only where answers follow at all",
    ),
)
def test_errors_grow_with_the_dose(degrade, judge):
    judge(degrade.smallest_step())
