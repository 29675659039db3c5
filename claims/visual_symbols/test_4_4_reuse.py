"""Assouel et al. 2026, section 4.4 and Figure 5: IDs of scene description help to answer questions about
space.

Twice the ID of the asked-for object's position is added to the selection heads, nothing taken away. A gain
could be leaked features; so the ID of a wrong position must pull answers to what is there, and predict more
of them than the question itself does, its words, or what is said without an edit. Subjects that are right
already have nothing to gain: not applicable, as the paper leaves them out. That no relation suffers is not
applicable, either, where no ID moves an answer.

Not asked: each relation by itself (a quarter of the questions; the one that gains least is asked).
"""

from harness.judging.claim import above, claim


@claim(
    id="visual_symbols.4.4.reuse",
    statement="IDs from scene description improve answers to questions about space.",
    source="Assouel et al. 2026, section 4.4, Figure 5",
    threshold=above(
        0.05,
        unit="share right",
        origin="chosen by us",
        note="about 40% of the smallest of the large published gains",
    ),
    published={
        "llava-1.5-13b": 0.134,
        "llava-1.5-7b": 0.226,
        "qwen2-vl-7b": 0.017,
        "qwen2.5-vl-3b": 0.199,
        "qwen2.5-vl-7b": 0.141,
    },
)
def test_ids_help_with_space(reuse, judge):
    judge(reuse.gain())


@claim(
    id="visual_symbols.4.4.no_relation_suffers",
    statement="They make no relation worse.",
    source="Assouel et al. 2026, section 4.4, Figure 5",
    threshold=above(
        -0.02,
        unit="share right",
        origin="chosen by us",
        note="no published relation loses; two points are left to chance",
    ),
)
def test_no_relation_suffers(reuse, judge):
    judge(reuse.worst())


@claim(
    id="visual_symbols.4.4.wrong_position_pulls",
    statement="The ID of a wrong position pulls answers to the object there.",
    source="Assouel et al. 2026, section 4.4; the control is ours",
    threshold=above(
        0.50, unit="share of answers", origin="chosen by us", note="most answers must follow the ID"
    ),
)
def test_a_wrong_id_misleads(reuse, judge):
    judge(reuse.pulled())


@claim(
    id="visual_symbols.4.4.wrong_position_over_rivals",
    statement="A wrong position's ID predicts more answers than any rival explanation.",
    source="Assouel et al. 2026, section 4.4; the control and the rivals are ours",
    threshold=above(
        0.0,
        unit="share of answers",
        origin="chosen by us",
        note="where a rival predicts as many, nothing says which explanation is right",
    ),
)
def test_position_ids_explain_answers_about_space_best(reuse, judge):
    judge(reuse.lead_over_rivals())
