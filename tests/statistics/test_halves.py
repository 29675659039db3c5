import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.halves import draw_estimation_half


@given(st.lists(st.integers(0, 12), min_size=2), st.integers(0, 1000))
def test_no_scene_is_on_both_sides_and_neither_side_is_empty(labels, seed):
    scenes = [str(x) for x in labels]
    if len(set(scenes)) < 2:
        return
    first = draw_estimation_half(scenes, np.random.default_rng(seed))
    sides = {s: {bool(f) for t, f in zip(scenes, first, strict=True) if t == s} for s in scenes}
    assert all(len(side) == 1 for side in sides.values())
    assert 0 < first.sum() < len(scenes)


def test_equal_scenes_give_equal_halves():
    scenes = np.repeat(np.arange(24), 16).astype(str)
    first = draw_estimation_half(scenes, np.random.default_rng(0))
    assert first.sum() == len(scenes) // 2


def test_one_scene_cannot_be_split():
    with pytest.raises(ValueError, match="1 scene"):
        draw_estimation_half(["a", "a"], np.random.default_rng(0))
