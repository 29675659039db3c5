"""Images are written as the family's own processor writes them, and seen as the whole model sees them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from families import FAMILIES, loaded
from transformers.models.internvl.processing_internvl import InternVLProcessor
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

from harness.experiments.visual_symbols.keys import measure as measure_keys
from harness.measuring.experiment import Request
from harness.readings.visual_symbols.keys import Keys
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.subjects.anatomy import ANATOMIES, NoAnatomy, find_anatomy_by_type
from harness.subjects.layout import Layout
from harness.tracing.conformance import check_conformance


def one_image(subject):
    trial = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[2], 1, np.random.default_rng(0))[0]
    subject.encode([trial])
    return subject._images[trial.scene.key][1], subject.processed([trial.scene])[0]


@pytest.fixture
def of(family_folders):
    return lambda family: loaded(family_folders[family])


def test_rows_of_pixtral_end_as_its_processor_ends_them(of):
    # By hand: its module cannot be imported without torchvision.
    layout, _ = one_image(of("pixtral"))
    written = (["[IMG]"] * 8 + ["[IMG_BREAK]"]) * 8
    written[-1] = "[IMG_END]"
    assert layout.text == "".join(written)
    assert layout.text.count("[IMG_BREAK]") == 7
    assert (layout.tokens, layout.grid) == (64, (8, 8))


def test_tiles_of_smolvlm_say_where_they_are_as_its_processor_does(of):
    layout, processed = one_image(of("smolvlm"))
    rows, columns = (int(processed[k][0][0]) for k in ("rows", "cols"))
    assert (rows, columns) == (2, 2)
    told = get_image_prompt_string(
        rows, columns, 4, "<fake_token_around_image>", "<image>", "<global-img>"
    )
    assert layout == Layout(told, 20, None)


def test_smolvlm_without_tiles_has_patches(of):
    subject = of("smolvlm")
    subject.image_processor.do_image_splitting = False
    layout, _ = one_image(subject)
    told = get_image_prompt_string(0, 0, 4, "<fake_token_around_image>", "<image>", "<global-img>")
    assert layout == Layout(told, 4, (2, 2))
    assert not [f for f in check_conformance(subject) if f.failure]


@pytest.mark.parametrize(("side", "tiles"), [(112, 1), (56, 5)])
def test_internvl_cuts_an_image_that_is_much_larger_than_a_tile(tmp_path, side, tiles):
    made = FAMILIES["internvl"]()
    made.model.config.vision_config.image_size = [side, side]
    torch.manual_seed(0)
    made = replace(made, model=type(made.model)(made.model.config))
    made.image_processor.size = {"height": side, "width": side}
    made.model.config.image_seq_length = (side // 28) ** 2
    made.save(tmp_path / "internvl")
    subject = loaded(tmp_path / "internvl")
    layout, processed = one_image(replace(subject, entry=replace(subject.entry, scale="embedded")))
    own = SimpleNamespace(
        image_seq_length=(side // 28) ** 2,
        start_image_token="<img>",
        end_image_token="</img>",
        image_token="<IMG_CONTEXT>",
    )
    assert [int(n) for n in processed["num_patches"]] == [tiles]
    assert layout.text == InternVLProcessor.replace_image_token(own, processed, 0)
    assert layout.grid == ((4, 4) if tiles == 1 else None)


def test_idefics_may_cut_an_image_into_quarters(of):
    subject = of("idefics2")
    subject.image_processor.do_image_splitting = True
    layout, _ = one_image(subject)
    around, latents = "<fake_token_around_image>", "<image>" * 9
    # As its processor does: five images, of which two that touch share the token between them.
    told = (f"{around}{latents}{around}" * 5).replace(around * 2, around)
    assert layout == Layout(told, 45, None)
    assert not [f for f in check_conformance(subject) if f.failure]


@pytest.mark.parametrize("family", sorted(ANATOMIES))
def test_keys_are_not_measured_where_image_tokens_form_no_grid(of, family):
    subject = of(family)
    none = {"llava_onevision", "idefics2", "smolvlm"}
    if family in none:
        data = measure_keys(Request(subject, 8, np.random.default_rng(0)))
        assert data.attrs == {"no_grid": 1}
        keys = Keys(data)
        estimates = [keys.own(), keys.swapped(), keys.specific(), keys.lost("as reproduced")]
        estimates.append(keys.lead_over_rivals())
        assert {(e.value, "no grid" in e.reason) for e in estimates} == {(None, True)}
    layout, _ = one_image(subject)
    assert (layout.grid is None) == (family in none)


def test_a_tower_tells_pixtral_from_llava():
    assert find_anatomy_by_type("llava", "pixtral", "x").family == "pixtral"
    assert find_anatomy_by_type("llava", "clip_vision_model", "x").family == "llava"
    assert find_anatomy_by_type("llava", None, "x").family == "llava"
    with pytest.raises(NoAnatomy, match=r"model type 'blip' has no anatomy.*pixtral"):
        find_anatomy_by_type("blip", "pixtral", "x")


def test_images_of_two_sizes_are_not_put_into_one_batch(of):
    subject = of("pixtral")
    two, three = (
        draw_balanced_trials(subject.grids[n], HIGH_ENTROPY[n], 1, np.random.default_rng(0))[0]
        for n in (2, 3)
    )
    subject.encode([two, three])
    layout = subject._images[three.scene.key][1]
    subject._images[three.scene.key] = (
        subject._images[three.scene.key][0],
        replace(layout, grid=(4, 16)),
    )
    with pytest.raises(ValueError, match=r"different sizes in one batch: \(4, 16\), \(8, 8\)"):
        subject.encode([two, three])


def test_deepstack_features_are_those_of_the_whole_model(of):
    subject = of("qwen3_vl")
    trials = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[2], 3, np.random.default_rng(0))
    batch = subject.encode(trials)
    added = batch.inputs["deepstack"]
    assert added.shape[:2] == (3, 2)
    is_image = batch.input_ids == subject.model.config.image_token_id
    assert not added.transpose(1, 2)[~is_image].any()
    for row, trial in enumerate(trials):
        _, inputs = subject.processed([trial.scene])
        with torch.no_grad():
            theirs = subject.model.model.get_image_features(**inputs, return_dict=True)
        for layer, (own,) in enumerate(theirs.deepstack_features):
            assert torch.allclose(added[row, layer, is_image[row]], own, atol=1e-5)
    assert torch.equal(batch.of_rows(slice(1, 2)).inputs["deepstack"], added[1:2])
