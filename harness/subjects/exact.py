"""Exact mode: weights stay in the half precision they were published in, and all else is as in float32.

A checkpoint that was published in bfloat16 or float16 holds no more in float32, but takes twice the memory, and
the matrix units of a GPU multiply float32 at a fraction of their speed. Their products of halves are exact in
float32, and are added in float32. So a linear layer splits its float32 input into numbers of half precision of
which it is the sum, multiplies each with the weights, and adds the products (after Henry, Tang and Heinecke
2019, arXiv 1904.06376, who split both sides; here one side is in half precision already).

Linear layers and the words' embedding keep halves, and that is nearly all of a model. Norms, biases,
convolutions and embeddings of positions are few numbers: they become float32 when they are loaded, and all that
is computed is float32. On a device without such matrix units the weights of a layer are made float32 for its
product, and dropped.

The file stands beside the loader, which swaps the modules in while a model has no weights yet, and a floor
below `harness.tracing`: there are no hooks in it, and nothing that traces knows of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel

from harness.subjects.fitting import CannotLoad, find_quantisation
from harness.subjects.registry import PARTS, Entry

HALVES = (torch.bfloat16, torch.float16)

SPLIT_ON = frozenset({"cuda"})
"""Types of devices whose matrix units multiply halves exactly and add the products in float32."""

STACKED = 2**28
"""Most bytes of products that wait to be added: rows are taken in blocks of that size."""

TOP = 15
"""For float16, which ends below 2**16, the largest number of a row is brought between 2**14 and 2**15."""


def split(values: torch.Tensor, dtype: torch.dtype, parts: int) -> torch.Tensor:
    """Split each number into two or three numbers of half precision that add up to it, the largest first.

    Three parts have 8 bits each, in float16 too, which has room for 11: the fewer digits a product has, the
    less is lost where many are added. Two parts of float16 use all of its digits, since 16 would be too few.

    Three parts of bfloat16 give back every float32 from 2**-110 to 3.38e38, and smaller ones to 2**-134. Three
    of float16 give back all from 1/2 to 65280, and smaller ones to 2**-25; `multiply` brings rows there. Two
    parts of bfloat16 lack at most a 2**-17th of a number, two of float16 a 2**-23rd. What is larger or not
    finite becomes NaN, never a wrong number.

    Args:
        values: float32, of any shape.
        dtype: bfloat16 or float16.
        parts: 2 or 3.

    Returns:
        Of that dtype and on the same device, [parts, *shape].
    """
    found = torch.empty(parts, *values.shape, dtype=dtype, device=values.device)
    rounded = torch.bfloat16 if parts == 3 else dtype
    rest = values
    for number, part in enumerate(found):
        if number:
            rest = rest - found[number - 1]
        part.copy_(rest.to(rounded))
    return found


def multiply(values: torch.Tensor, weight: torch.Tensor, parts: int) -> torch.Tensor:
    """Multiply float32 rows with a matrix of halves, as exactly as float32 does.

    Where products of halves cannot be asked for in float32, the parts and the weights are made float32 first:
    slower, and the same up to the order of sums.

    Args:
        values: float32 [rows, K].
        weight: bfloat16 or float16 [N, K].
        parts: Into which the rows are split, 2 or 3.

    Returns:
        float32 [rows, N].
    """
    result = values.new_empty(len(values), len(weight))
    size = max(1, STACKED // (parts * len(weight) * values.element_size()))
    for rows, into in zip(values.split(size), result.split(size), strict=True):
        scale = None
        if weight.dtype is torch.float16:
            # Its exponents end where those of activations do not, and a power of two changes no digit.
            power = TOP - torch.frexp(rows.abs().amax(-1, keepdim=True)).exponent.clamp(-110, 128)
            rows, scale = rows * _raise_two(power), _raise_two(-power)
        # One product for all parts, so that the weights are read once.
        stacked = split(rows, weight.dtype, parts).flatten(0, 1)
        torch.sum(_multiply_halves(stacked, weight).unflatten(0, (parts, -1)), 0, out=into)
        if scale is not None:
            into *= scale
    return result


def _multiply_halves(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Products of halves [rows, K] and [N, K] that are added in float32, [rows, N]."""
    if rows.device.type == "cuda":
        return torch.mm(rows, weight.mT, out_dtype=torch.float32)
    return torch.mm(rows.float(), weight.float().mT)


def _raise_two(power: torch.Tensor) -> torch.Tensor:
    """Two to the power of integers from -126 to 127, float32: written as its bits, since `pow` may round."""
    return (power.int() + 127).bitwise_left_shift(23).view(torch.float32)


class ExactLinear(nn.Linear):
    """A linear layer that takes and gives float32, whatever half precision its weights have.

    What it is given in half precision it gives in half precision, as a copy of the model in that dtype needs
    it; and with float32 weights it is the layer that it was.

    Attributes:
        parts: Into which its input is split where that is faster.
    """

    parts: int

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply [..., K] with the weights, [..., N] in the dtype of the input."""
        weight: torch.Tensor = self.weight
        bias: torch.Tensor | None = self.bias
        if weight.dtype not in HALVES:
            return functional.linear(input, weight, bias)
        on = input.device.type
        if input.dtype is torch.float32 and on in SPLIT_ON:
            flat = multiply(input.reshape(-1, input.shape[-1]), weight, self.parts)
            found = flat.view(*input.shape[:-1], len(weight))
            return found if bias is None else found.add_(bias)
        if input.dtype in HALVES and on != "cpu":
            return functional.linear(input, weight, bias)
        # A CPU without instructions for halves takes ten times as long for products of them.
        wide = torch.promote_types(input.dtype, torch.float32)
        bias = None if bias is None else bias.to(wide)
        return functional.linear(input.to(wide), weight.to(wide), bias).to(input.dtype)


class ExactEmbedding(nn.Embedding):
    """An embedding of words that gives float32, whatever half precision its rows have.

    Attributes:
        computed: Empty, of the dtype that it gives: it changes with that of the model, as the rows do.
    """

    computed: torch.Tensor

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The rows of words, [..., d]; Gemma 3's are multiplied by the root of their width."""
        rows = functional.embedding(input, self.weight).to(self.computed.dtype)
        scale = getattr(self, "embed_scale", None)
        return rows if scale is None else rows * scale.to(rows.dtype)


def make_exact(model: PreTrainedModel, parts: int = 3) -> list[str]:
    """Make a model compute in float32 from weights in half precision.

    Its linear layers and its embedding of words become exact ones, in place, and keep their parameters;
    everything else is made float32.

    Args:
        model: Of any dtype, on any device.
        parts: Into which linear layers split their input where that is faster.

    Returns:
        The names of the parameters that kept their dtype.
    """
    words, kept = model.get_input_embeddings(), []
    # One layer may stand under two names; a subclass may compute something else.
    for path, module in model.named_modules(remove_duplicate=False):
        if type(module) is nn.Linear:
            module.__class__ = ExactLinear
        elif module is words and not isinstance(module, ExactEmbedding):
            own = type(module)
            module.__class__ = type(f"Exact{own.__name__}", (ExactEmbedding, own), {})
            empty = module.weight.new_empty(0, dtype=torch.float32)
            module.register_buffer("computed", empty, persistent=False)
        if isinstance(module, ExactLinear):
            module.parts = parts
        if isinstance(module, (ExactLinear, ExactEmbedding)):
            kept.append(f"{path}.weight")
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if name not in kept and tensor.dtype in HALVES:
            tensor.data = tensor.data.float()
    return kept


@contextmanager
def choose_dtype(entry: Entry, config: PreTrainedConfig) -> Iterator[torch.dtype]:
    """While this is open, `from_pretrained` loads what the dtype of an entry stands for.

    From then on no GPU rounds float32 to the 10 bits of TF32, as torch lets it do in convolutions.

    Yields:
        The dtype to ask `from_pretrained` for.

    Raises:
        CannotLoad: Exact mode is asked of weights that are quantised.
    """
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if entry.dtype not in PARTS:
        yield getattr(torch, entry.dtype)
        return
    if method := find_quantisation(config):
        raise CannotLoad(
            f"{entry.name}: its weights are quantised ({method}), and {entry.dtype} is for weights in bfloat16 "
            "or float16: leave --dtype out, or use the checkpoint that is not quantised"
        )
    usual, published = PreTrainedModel._get_dtype_plan, getattr(config, "dtype", None)

    def plan(model: PreTrainedModel, asked: torch.dtype) -> dict[str, Any]:
        # Asked once the model is built and before its weights are read. None leaves a tensor as it is stored.
        kept = make_exact(model, PARTS[entry.dtype])
        for name in kept if published in HALVES else []:
            # Without memory yet, but its size tells which GPUs a model is spread over.
            held = model.get_parameter(name)
            held.data = held.data.to(published)
        return usual(model, asked) | {f"^{re.escape(name)}$": None for name in kept}

    PreTrainedModel._get_dtype_plan = plan
    try:
        yield torch.float32
    finally:
        PreTrainedModel._get_dtype_plan = usual
