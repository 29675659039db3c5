"""Vision sites are where the anatomy says, in every family, and a wrong path is found by its effect."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.tracing.seeing import vision_is_where_it_is_said
from harness.tracing.selfcheck import Examined, SelfCheckFailed
from harness.tracing.vision import capture_vision, find_vision_layers


def scenes_of(subject):
    return [trial.scene for trial in Examined(subject).trials]


def test_vision_sites_of_every_family_pass_the_check(of_family):
    vision_is_where_it_is_said(Examined(of_family))


def test_images_together_are_read_as_each_alone(of_family):
    scenes = scenes_of(of_family)
    together = capture_vision(of_family, scenes)
    assert len(together.layers) == len(find_vision_layers(of_family))
    for number, scene in enumerate(scenes):
        alone = capture_vision(of_family, [scene])
        assert together.layers[:, [number]] == pytest.approx(alone.layers.numpy(), abs=1e-5)
        assert together.projected[[number]] == pytest.approx(alone.projected.numpy(), abs=1e-5)


def test_the_projectors_output_is_the_embedding_of_the_image(subject):
    """In families whose tokens are in the projector's order."""
    trials = Examined(subject).trials
    batch = subject.encode(trials)
    rows = torch.arange(2)[:, None]
    seen = batch.inputs["inputs_embeds"][rows, batch.image_tokens]
    found = capture_vision(subject, [t.scene for t in trials]).projected
    assert found == pytest.approx(seen.numpy(), abs=1e-5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"projector": "model.no_such_module"}, "no vision at"),
        ({"projector": "lm_head"}, "no vision at"),
        ({"vision_layers": "model.language_model.layers"}, "no vision at|outputs of"),
    ],
)
def test_a_wrong_path_is_found(subject, wrong, said):
    other = replace(subject, anatomy=replace(subject.anatomy, **wrong))
    with pytest.raises(SelfCheckFailed, match=said):
        vision_is_where_it_is_said(Examined(other))


def test_a_module_before_the_projector_is_not_taken_for_it(subject):
    tower = {"llava": "model.vision_tower.post_layernorm", "qwen2_vl": "model.visual.merger.ln_q"}
    path = tower[subject.anatomy.family]
    other = replace(subject, anatomy=replace(subject.anatomy, projector=path))
    with pytest.raises(SelfCheckFailed):
        vision_is_where_it_is_said(Examined(other))
