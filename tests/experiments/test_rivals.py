"""What rival explanations predict, written beside what was said."""

from __future__ import annotations

import numpy as np
import pytest

from harness.experiments.rivals import (
    find_kth_color,
    find_unnamed_color,
    tabulate_predictions,
    tabulate_rivals,
)
from harness.measures.explanations import EXPLANATIONS
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.scene import EMBEDDED_GRIDS


def test_an_explanation_that_is_not_named_predicts_no_word():
    found = tabulate_predictions({"content": ["red", "blue"]}, 2)
    assert found.shape == (len(EXPLANATIONS), 2)
    assert found[EXPLANATIONS.index("content")].tolist() == ["red", "blue"]
    assert (np.delete(found, EXPLANATIONS.index("content"), 0) == "").all()


def test_an_unknown_explanation_is_refused():
    with pytest.raises(ValueError, match="unknown explanation 'luck'"):
        tabulate_predictions({"luck": ["red"]}, 1)


def test_predictions_are_kept_for_each_edit_only_where_they_differ():
    said, scenes = np.array([["red", "blue"], ["blue", "blue"]]), np.array(["a", "b"])
    one = {"content": ["red", "red"]}
    alike = tabulate_rivals(said, ("edit", ["x", "y"]), [one], scenes)
    assert alike.predicted.dims == ("explanation", "asked")
    each = tabulate_rivals(said, ("edit", ["x", "y"]), [one, {"content": ["blue", ""]}], scenes)
    assert each.predicted.sel(edit="y", explanation="content").values.tolist() == ["blue", ""]
    assert each.said.sel(edit="x").values.tolist() == ["red", "blue"]


def test_the_object_after_the_last_mention_is_the_one_that_is_left():
    rng = np.random.default_rng(0)
    for trial in draw_balanced_trials(EMBEDDED_GRIDS[2], HIGH_ENTROPY[3], 20, rng):
        assert find_unnamed_color(trial) == trial.answer
        order = [find_kth_color(trial, k) for k in range(1, 6)]
        assert order == [*(o.color for o in trial.described), trial.answer, ""]
