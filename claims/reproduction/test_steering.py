"""Deviation 5 of the public reproduction: the best setting was chosen on the images it is judged on.

How much that raises the share is the best of the sweep on those images, less the share at the setting that was
chosen on others.
"""

from harness.judging.claim import above, claim

BEST = "Deviation 5 of the reproduction; discrepancy: shares of Figure 3 differ from the sweeps' by up to 0.13"
RAISED = above(
    0.05,
    unit="share of answers",
    origin="chosen by us",
    note="the paper's own bars and sweeps, of different runs, differ by 0.04 in the median",
)


@claim(
    id="reproduction.steering.best_on_test_selection",
    statement="Choosing on the test images raises the share for selection heads.",
    source=BEST,
    threshold=RAISED,
)
def test_choosing_on_test_raises_selection(steering_drawn, judge):
    judge(steering_drawn.optimism("id_selection"))


@claim(
    id="reproduction.steering.best_on_test_retrieval",
    statement="Choosing on the test images raises the share for retrieval heads.",
    source=BEST,
    threshold=RAISED,
)
def test_choosing_on_test_raises_retrieval(steering_drawn, judge):
    judge(steering_drawn.optimism("id_retrieval"))


@claim(
    id="reproduction.steering.best_on_test_features",
    statement="Choosing on the test images raises the share for feature heads.",
    source=BEST,
    threshold=RAISED,
)
def test_choosing_on_test_raises_features(steering_drawn, judge):
    judge(steering_drawn.optimism("feature_retrieval"))
