"""Files that cannot be trusted are refused, in one line that says what to do."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.subjects import subject as subject_module
from harness.subjects.contents import take_fingerprint
from harness.subjects.loading import CannotLoad, load
from harness.subjects.registry import SharedFirstPiece, UnknownSubject, find, read_registry
from harness.subjects.subject import find_tokens


@pytest.fixture
def folder(checkpoints, tmp_path):
    """A copy of a checkpoint that a test may break."""
    return shutil.copytree(checkpoints["tiny-llava"], tmp_path / "broken")


def head_of(tensors):
    # Llava checkpoints keep the name that the vocabulary projection had under the text model.
    return next(name for name in tensors if name.endswith("lm_head.weight"))


def entry(folder):
    return find(str(folder), read_registry())


def test_a_folder_loads_like_a_registered_subject(checkpoints):
    subject = load(entry(checkpoints["tiny-qwen2-vl"]))
    assert (subject.anatomy.family, subject.layers, subject.heads) == ("qwen2_vl", 8, 8)
    assert not any(p.requires_grad for p in subject.model.parameters())
    assert len(subject.fingerprint) == 64


def test_the_fingerprint_follows_the_weights(folder):
    before = take_fingerprint(entry(folder))
    tensors = load_file(folder / "model.safetensors")
    next(iter(tensors.values())).view(-1)[0] += 1
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert take_fingerprint(entry(folder)) != before


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(UnknownSubject, match=r"unknown subject 'gpt'.*tiny-llava"):
        find("gpt", read_registry())


def test_an_unknown_family_lists_what_there_is(folder):
    with pytest.raises(UnknownSubject, match=r"unknown family 'blip'; known: llava"):
        find(str(folder), read_registry(), family="blip")


def test_a_family_that_is_not_the_checkpoints_is_refused(folder):
    with pytest.raises(CannotLoad, match="is of family llava, not qwen2_vl"):
        load(find(str(folder), read_registry(), family="qwen2_vl"))


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(CannotLoad, match=r"no \.safetensors"):
        load(entry(folder))


def test_a_folder_with_a_pickle_is_refused_unread(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04never read")
    with pytest.raises(CannotLoad, match=r"pytorch_model\.bin, which can run code"):
        load(entry(folder))


def test_truncated_weights_are_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CannotLoad, match="damaged or cut short"):
        load(entry(folder))


def test_weights_that_are_not_numbers_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors[head_of(tensors)][3, 3] = torch.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CannotLoad, match=r"lm_head\.weight is not finite"):
        load(entry(folder))


def test_missing_weights_are_not_made_up(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors[head_of(tensors)]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CannotLoad, match=r"missing keys.*lm_head"):
        load(entry(folder))


def test_an_architecture_without_anatomy_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "blip-2"}))
    with pytest.raises(UnknownSubject, match="'blip-2' has no anatomy; known families: llava"):
        entry(folder)
    with pytest.raises(CannotLoad, match="blip-2"):
        load(find(str(folder), read_registry(), family="llava"))


def test_a_registry_with_a_slip_names_the_subject(tmp_path):
    (tmp_path / "subjects.toml").write_text('[mine]\nfamily = "llava"\nsauce = "x"\n')
    with pytest.raises(ValueError, match=r"subject mine.*sauce"):
        read_registry(tmp_path / "subjects.toml")


def test_colors_that_begin_with_the_same_piece_are_refused(folder):
    # A tokenizer that splits every word into letters: "blue" and "black" both begin with b.
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz.,0123456789:"
    names = ["<pad>", "<unk>", "<image>", *letters]
    tokenizer = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Split("", "isolated")]
    )
    tokenizer.add_special_tokens(["<image>"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>")
    subject = load(entry(folder))
    subject.tokenizer = fast
    with pytest.raises(SharedFirstPiece, match="'blue' and 'black' start with the same token"):
        subject.check_answers()


def test_spans_map_to_all_pieces_of_a_word():
    # "purple" in three pieces after a shift of two characters and one token of padding
    offsets = [(0, 1), (1, 2), (2, 5), (5, 7), (7, 8), (9, 12)]
    assert find_tokens((0, 6), offsets, shift=2, left=1) == (3, 4, 5)
    with pytest.raises(ValueError, match="no token covers"):
        find_tokens((20, 22), offsets, shift=0, left=0)


def test_images_are_encoded_once_for_all_prompts_about_them(checkpoints, monkeypatch):
    subject = load(entry(checkpoints["tiny-llava"]))
    trials = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[2], 48, np.random.default_rng(0))
    seen = []
    inner = subject.model.model.get_image_features

    def counting(**inputs):
        seen.append(len(inputs["pixel_values"]))
        return inner(**inputs)

    monkeypatch.setattr(subject.model.model, "get_image_features", counting)
    subject.encode(trials)
    subject.encode(trials[:5])
    assert sum(seen) == len({t.scene.key for t in trials}) <= 24


def test_images_are_kept_up_to_a_limit_and_while_a_batch_needs_them(checkpoints, monkeypatch):
    loaded = load(entry(checkpoints["tiny-llava"]))
    monkeypatch.setattr(subject_module, "IMAGE_BYTES", 3 * 64 * 128 * 4)
    trials = draw_balanced_trials(loaded.grids[2], HIGH_ENTROPY[2], 12, np.random.default_rng(0))
    distinct = list({t.scene.key: t for t in trials}.values())
    loaded.encode(distinct[:2])
    assert len(loaded._images) == 2
    whole = loaded.encode(distinct)
    assert len(loaded._images) == len(distinct) > 3
    loaded.encode(distinct[-1:])
    assert list(loaded._images) == [t.scene.key for t in distinct[-3:]]
    # An image that was dropped is encoded again, to the same values.
    again = loaded.encode(distinct)
    found, expected = again.inputs["inputs_embeds"], whole.inputs["inputs_embeds"]
    assert torch.allclose(found, expected, atol=1e-5)
