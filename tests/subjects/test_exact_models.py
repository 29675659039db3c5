"""Exact mode in a model of each family: what it holds, that nothing is rounded, how exact its layers are."""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from families import FAMILIES, loaded
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import linear
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import modeling_utils

from harness.experiments.reproduction.retrieval_variants import _convert_to_bfloat16
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.subjects import exact
from harness.subjects.exact import HALVES, multiply
from harness.subjects.loading import CannotLoad, load
from harness.subjects.registry import UnknownSubject, find, read_registry
from harness.tracing.edit import Edit
from harness.tracing.generate import generate
from harness.tracing.replay import replay

REGISTRY = read_registry()


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def both(request, half_folders):
    """A checkpoint in half precision, loaded in float32 and in exact mode."""
    folder = half_folders[request.param]
    return loaded(folder, dtype="float32"), loaded(folder, dtype="exact")


@pytest.fixture
def splitting(monkeypatch):
    """Makes layers split their inputs here, as they do on a GPU."""
    monkeypatch.setattr(exact, "SPLIT_ON", {"cpu"})


def encode(subject):
    rng = np.random.default_rng(0)
    return subject.encode(draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[2], 2, rng))


def run(subject):
    """Everything that a measurement makes a model do: encode images and words, run, replay, write."""
    subject = replace(subject, _images=OrderedDict())
    batch = encode(subject)
    last = torch.full((len(batch), 1), batch.last)
    with torch.no_grad():
        logits = subject.model(**batch.inputs).logits
    edits = [[], [Edit("head", 1, last, 0.0)], [Edit("residual", 0, last, 1.0, how="scale")]]
    return logits, replay(subject, batch, edits), generate(subject, batch, 2)


def test_weights_are_held_once_and_in_half_precision(both):
    single, half = both
    usual = dict(single.model.named_parameters())
    words = half.model.get_input_embeddings()
    kept = {
        f"{path}.weight"
        for path, module in half.model.named_modules()
        if isinstance(module, nn.Linear) or module is words
    }
    size = 0
    for name, held in half.model.named_parameters():
        assert held.dtype == (single_half(half) if name in kept else torch.float32), name
        assert torch.equal(held.float(), usual[name])
        size += held.nbytes
    few = sum(held.numel() for name, held in usual.items() if name not in kept)
    assert size == 2 * sum(held.numel() for held in usual.values()) + 2 * few
    stores = {h.untyped_storage().data_ptr(): h.untyped_storage() for h in tensors_of(half.model)}
    # Buffers are of the same size in both: positions and frequencies. None of the weights is there twice.
    other = sum(b.nbytes for b in single.model.buffers())
    assert sum(store.nbytes() for store in stores.values()) <= size + other


def single_half(subject):
    return torch.float16 if subject.anatomy.family == "llava" else torch.bfloat16


def tensors_of(model):
    return [*model.parameters(), *model.buffers()]


def test_at_a_published_size_all_but_a_thousandth_is_in_half_precision():
    from transformers import AutoModelForImageTextToText, Qwen2VLConfig

    text = dict(
        vocab_size=152064,
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        rope_parameters={"rope_type": "default", "mrope_section": [16, 24, 24]},
    )
    config = Qwen2VLConfig(
        text_config=text, vision_config={"hidden_size": 3584}, tie_word_embeddings=False
    )
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    number = sum(p.numel() for p in model.parameters())
    assert number == pytest.approx(8.29e9, rel=1e-3)
    exact.make_exact(model)
    assert sum(p.nbytes for p in model.parameters()) < 2 * number * 1.001
    assert {p.dtype for p in model.parameters() if p.ndim != 2} == {torch.float32}


@pytest.mark.deep
def test_nothing_that_a_module_takes_or_gives_is_in_half_precision(both, splitting):
    _, half = both
    seen = set()

    def look(module, given, named, output=None):
        for tensor in gather((given, named, output)):
            assert tensor.dtype not in HALVES, type(module).__name__
        seen.add(module)

    handles = [
        register(look, with_kwargs=True)
        for module in half.model.modules()
        for register in (module.register_forward_pre_hook, module.register_forward_hook)
    ]
    try:
        run(half)
    finally:
        for handle in handles:
            handle.remove()
    # All that computes has been looked at: what has not is a list, or a part that this family never calls.
    parts = [m for m in half.model.modules() if isinstance(m, (nn.Linear, nn.Embedding, nn.Conv2d))]
    assert len(seen & set(parts)) > 0.9 * len(parts)


def gather(held):
    """All tensors in whatever holds them."""
    if isinstance(held, torch.Tensor):
        return [held]
    if isinstance(held, dict):
        held = held.values()
    elif not isinstance(held, (list, tuple)):
        return []
    return [tensor for each in held for tensor in gather(each)]


READING = {"detach", "t", "transpose", "view", "slice", "split", "index", "embedding", "alias"}
"""Operations that compute nothing."""


class Watched(TorchDispatchMode):
    """Every operation that gives half precision, however deep it is."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        if any(tensor.dtype in HALVES for tensor in gather((output,))):
            self.found.add(func.overloadpacket.__name__.split(".")[0])
        return output


def test_on_a_cpu_every_number_is_that_of_float32_and_none_is_computed_in_half_precision(both):
    single, half = both
    logits, replayed, said = run(single)
    with Watched() as watched:
        same, again, words = run(half)
    assert watched.found <= READING
    assert "embedding" in watched.found, "weights in half precision are read"
    assert logits.dtype == same.dtype == torch.float32
    assert torch.equal(logits, same)
    assert torch.equal(replayed, again)
    assert said == words


def relative(found, truth):
    """Root mean square of the error by that of the truth."""
    return float((found.double() - truth).square().mean().sqrt() / truth.square().mean().sqrt())


def test_no_layer_is_less_exact_than_in_float32(both):
    single, half = both
    errors = []

    def compare(module, given, output):
        flat, weight = given[0].flatten(0, -2), weights[module]
        truth = flat.double() @ weight.double().mT
        errors.append([relative(way(flat, weight), truth) for way in ways])

    ways = (lambda x, w: linear(x, w.float()), lambda x, w: multiply(x, w, 3))
    paths = dict(half.model.named_modules())
    layers = [(n, m) for n, m in single.model.named_modules() if isinstance(m, nn.Linear)]
    weights = {layer: paths[name].weight for name, layer in layers}
    handles = [layer.register_forward_hook(compare) for _, layer in layers]
    with torch.no_grad():
        single.model(**encode(replace(single, _images=OrderedDict())).inputs)
    for handle in handles:
        handle.remove()
    usual, ours = np.array(errors).T
    assert len(usual) > 0.8 * len(layers)
    for share in (0.25, 0.5, 0.75, 0.9, 1):
        assert np.quantile(ours, share) <= np.quantile(usual, share)


@pytest.mark.deep
def test_the_whole_model_is_as_close_to_float64_as_in_float32(both, splitting):
    single, half = both
    double = replace(single, model=deepcopy(single.model).double(), _images=OrderedDict())
    batch, truth = encode(single), encode(double)
    with torch.no_grad():
        goal = double.model(**truth.inputs).logits
        usual = relative(single.model(**batch.inputs).logits, goal)
        ours = relative(half.model(**encode(half).inputs).logits, goal)
    # Of either error most is that of norms, attention and rotary positions, which are the same in both.
    assert ours <= 1.2 * usual


def test_a_weight_that_is_stored_in_float32_stays_so(half_folders, tmp_path):
    folder = shutil.copytree(half_folders["qwen2_vl"], tmp_path / "mixed")
    stored = load_file(folder / "model.safetensors")
    name = next(n for n in stored if n.endswith("layers.1.mlp.up_proj.weight"))
    stored[name] = stored[name].float() + 2.0**-20
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    subject = loaded(folder, dtype="exact")
    layers = subject.model.get_submodule(subject.anatomy.layers)
    assert layers[1].mlp.up_proj.weight.dtype is torch.float32
    assert torch.equal(layers[1].mlp.up_proj.weight, stored[name])
    assert layers[0].mlp.up_proj.weight.dtype is torch.bfloat16
    assert torch.equal(run(subject)[0], run(loaded(folder, dtype="float32"))[0])


def test_words_and_logits_that_share_a_matrix_share_it_in_exact_mode(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = FAMILIES["qwen2_vl"]()
    made.model.config.get_text_config().tie_word_embeddings = True
    made.model.config.tie_word_embeddings = True
    made.model.tie_weights()
    made.model.bfloat16()
    made.save(tmp_path / "tied")
    subject = loaded(tmp_path / "tied", dtype="exact")
    words, head = subject.model.get_input_embeddings(), subject.model.get_output_embeddings()
    assert words.weight is head.weight
    assert words.weight.dtype is torch.bfloat16
    assert torch.equal(run(subject)[0], run(loaded(tmp_path / "tied", dtype="float32"))[0])


@pytest.mark.deep
def test_a_copy_in_bfloat16_is_that_of_the_model_in_float32(both):
    if both[0].anatomy.family == "llava":
        pytest.skip("its weights are in float16, which bfloat16 rounds")
    (logits, replayed, _), (same, again, _) = (run(_convert_to_bfloat16(each)) for each in both)
    assert logits.dtype == same.dtype == torch.bfloat16
    assert torch.equal(logits, same)
    assert torch.equal(replayed, again)


def test_a_model_is_spread_by_the_memory_that_it_takes_in_half_precision(half_folders, monkeypatch):
    pytest.importorskip("accelerate")
    usual, seen = modeling_utils._get_device_map, []

    def look(model, *given):
        seen.append(sum(p.nbytes for p in model.parameters()))
        return usual(model, *given)

    monkeypatch.setattr(modeling_utils, "_get_device_map", look)
    subject = loaded(half_folders["smolvlm"], dtype="exact", device="auto")
    assert seen == [sum(p.nbytes for p in subject.model.parameters())]


@pytest.mark.parametrize("dtype", ["exact", "nearly-exact"])
def test_a_control_whose_weights_are_in_float32_computes_what_it_did(dtype):
    planted = REGISTRY["planted"]
    folder = find(str(planted.folder), REGISTRY)
    usual, ours = load(planted), load(replace(folder, dtype=dtype, arrangement=planted.arrangement))
    assert all(p.dtype is torch.float32 for p in ours.model.parameters())
    for found, expected in zip(run(ours)[:2], run(usual)[:2], strict=True):
        assert torch.equal(found, expected)


def test_quantised_weights_are_refused_in_words(half_folders, tmp_path):
    folder = shutil.copytree(half_folders["llava"], tmp_path / "quantised")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        CannotLoad, match=r"quantised \(bitsandbytes\), and exact is for weights in"
    ):
        loaded(folder, dtype="exact")


def test_a_dtype_with_a_slip_is_refused_with_those_that_there_are():
    with pytest.raises(
        UnknownSubject, match=r"unknown dtype 'exakt'.*float32.*bfloat16, exact, nearly-exact"
    ):
        replace(REGISTRY["planted"], dtype="exakt")


def test_loading_leaves_transformers_as_it_was_and_float32_as_it_is(half_folders):
    from transformers import PreTrainedModel

    before = PreTrainedModel._get_dtype_plan
    torch.backends.cudnn.allow_tf32 = True
    loaded(half_folders["gemma3"], dtype="exact")
    assert PreTrainedModel._get_dtype_plan is before
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    plain = loaded(half_folders["gemma3"], dtype="float32").model
    assert not any(isinstance(m, exact.ExactLinear) for m in plain.modules())
