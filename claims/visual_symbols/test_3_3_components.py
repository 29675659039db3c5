"""Assouel et al. 2026, section 3.3 and Figure 1b: principal components of the last token.

At one layer the last token lies where the target is in the image, whatever the target; at a later one it
lies where the target's features put it, wherever the target is. The paper shows layers 19 and 27 of
Qwen2-VL; here each layer is chosen on one half of the scenes and judged on the other. `lead` asks that
one factor is separated and the other is not, which is what a subject that answers by content lacks at
every layer. The order asks from which layer on this lead is there (a half to three quarters of its largest),
as for the curves of similarity. The control `shortcut` refutes the planes of positions; the planes of features
hold for it, as they must for all who answer right, and are kept from `unbound`, which fails the task.

Targets are six objects at six cells, as in the figure, so that its look says the same of either factor.
The other objects of a trial are drawn from nine: with the paper's fixed six, the words alone name the
target and a subject shown a blank image "separates features" at its first layer. The six targets are drawn
from the same nine, since the paper's are not all among them.
"""

from harness.judging.claim import above, claim

NEAR_PERFECT = above(
    0.85,
    unit="share of trials",
    origin="chosen by us",
    note="in Figure 1b one pair of the six clusters touches and the other four stand clear: two thirds "
    "surely separated, and half of the rest; chance is one sixth",
)


@claim(
    id="visual_symbols.3.3.plane_of_positions",
    statement="At some layer the plane of the last token separates the target's six positions.",
    source="Assouel et al. 2026, section 3.3, Figure 1b left",
    threshold=NEAR_PERFECT,
)
def test_a_layer_separates_positions(components, judge):
    judge(components.accuracy("position"))


@claim(
    id="visual_symbols.3.3.plane_without_identity",
    statement="In the plane that separates positions, the target's features overlap.",
    source="Assouel et al. 2026, section 3.3, Figure 1b left",
    threshold=above(
        0.45,
        unit="share of trials",
        origin="chosen by us",
        note="the figure has no numbers; position at least 0.85 and identity at most 0.40, as one difference",
    ),
)
def test_positions_are_separated_and_features_are_not(components, judge):
    judge(components.lead("position"))


@claim(
    id="visual_symbols.3.3.plane_of_features",
    statement="At some layer the plane of the last token separates the target objects.",
    source="Assouel et al. 2026, section 3.3, Figure 1b right",
    threshold=NEAR_PERFECT,
)
def test_a_layer_separates_features(components, judge):
    judge(components.accuracy("identity"))


@claim(
    id="visual_symbols.3.3.plane_without_position",
    statement="In the plane that separates target objects, the target's positions overlap.",
    source="Assouel et al. 2026, section 3.3, Figure 1b right",
    threshold=above(
        0.40,
        unit="share of trials",
        origin="chosen by us",
        note="the figure has no numbers; identity at least 0.85 and position at most 0.45, as one difference",
    ),
)
def test_features_are_separated_and_positions_are_not(components, judge):
    judge(components.lead("identity"))


@claim(
    id="visual_symbols.3.3.positions_before_features",
    statement="Planes separate the target's positions from an earlier layer on than target objects.",
    source="Assouel et al. 2026, section 3.3, Figure 1b (layers 19 and 27 of Qwen2-VL)",
    threshold=above(0, unit="layers", origin="stated in the paper"),
)
def test_the_plane_of_positions_comes_before_that_of_features(components, judge):
    judge(components.gap())
