"""Edits: what is written into a model's activations, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

from harness.tracing.site import EDITED, Kind

How = Literal["replace", "add", "scale"]

Heads = tuple[int, ...]
"""Numbers of heads, 0-based."""

PlainEdit = tuple[Kind, torch.Tensor, torch.Tensor | float, Heads | None, How]
"""An edit's kind, tokens, values, heads and how, without any class of this project."""


@dataclass(frozen=True)
class Edit:
    """A change of what one layer computes, at given tokens of every row.

    To ablate is to replace by 0, or by a mean. A token that is named several times in a row is changed once,
    so a row with fewer tokens than others repeats one of them, with the same value.

    Attributes:
        kind: What is written, see `harness.tracing.site.Kind`.
        layer: Decoder layer, 0-based; 0 for the embedding.
        tokens: int64 [B, S], indices in the batch, padding counted.
        values: What is put there, added, or multiplied with. It is broadcast to [B, S, h, w] for the h heads
            that are named (all if none is), to [B, S, d] for the residual, and to [B, S, p, d] for the p
            parts of the embedding that are named.
        heads: Which heads of width w, or parts of the embedding; None for all of them. The residual has none.
        how: "replace", "add" or "scale".
    """

    kind: Kind
    layer: int
    tokens: torch.Tensor
    values: torch.Tensor | float
    heads: tuple[int, ...] | None = None
    how: How = "replace"

    def __post_init__(self) -> None:
        if self.kind not in EDITED:
            raise ValueError(f"no kind {self.kind!r}; there are {', '.join(EDITED)}")
        if self.kind == "embedding" and self.layer:
            raise ValueError(f"the embedding enters layer 0, not layer {self.layer}")
        if self.kind == "residual" and self.heads is not None:
            raise ValueError("the residual stream has no heads")
        if self.heads is not None and not self.heads:
            raise ValueError("an edit of no heads; leave heads out to edit all of them")
        if self.how not in get_args(How):
            raise ValueError(f"an edit can replace, add or scale, not {self.how!r}")

    @property
    def place(self) -> tuple[int, int]:
        """Layer and site as numbers that sort edits in the order in which a run comes to them."""
        return self.layer, EDITED.index(self.kind)

    @property
    def by_row(self) -> bool:
        """Whether each trial of the batch has values of its own; else all trials share them."""
        whole = 3 if self.kind == "residual" else 4
        return isinstance(self.values, torch.Tensor) and self.values.ndim == whole

    def of_rows(self, rows: slice) -> Edit:
        """The same edit on some of the rows of the batch."""
        values = self.values
        if isinstance(values, torch.Tensor) and self.by_row and len(values) > 1:
            values = values[rows]
        return replace(self, tokens=self.tokens[rows], values=values)

    def select_part(self, part: int) -> Edit | None:
        """The edit of one part of the embedding, as of a stream [B, T, d]; None if it leaves it alone."""
        if self.heads is not None and part not in self.heads:
            return None
        values = self.values
        if isinstance(values, torch.Tensor) and values.ndim > 1:
            at = part if self.heads is None else self.heads.index(part)
            values = values[..., at if values.shape[-2] > 1 else 0, :]
        return Edit("residual", 0, self.tokens, values, how=self.how)

    def write(self, activation: torch.Tensor, width: int, first: int = 0) -> None:
        """Make this edit on an activation, in place; the arguments are those of `write_at`."""
        write_at(activation, *self.plain, width, first)

    @property
    def plain(self) -> PlainEdit:
        """The edit as `write_at` takes it."""
        return self.kind, self.tokens, self.values, self.heads, self.how


def write_at(
    activation: torch.Tensor,
    kind: Kind,
    tokens: torch.Tensor,
    values: torch.Tensor | float,
    heads: tuple[int, ...] | None,
    how: How,
    width: int,
    first: int = 0,
) -> None:
    """Write the values of one edit into an activation, in place.

    Args:
        activation: [B, T, features], what the edit's layer has at the edit's site.
        kind: The edit's `kind`.
        tokens: The edit's `tokens`, int64 [B, S].
        values: The edit's `values`, broadcast to [B, S, h, w], or to [B, S, d] for the residual.
        heads: The edit's `heads`.
        how: The edit's `how`.
        width: Features of one head, w.
        first: Index of the token that comes first in `activation`.
    """
    rows = torch.arange(len(activation), device=activation.device)[:, None]
    tokens = tokens.to(activation.device) - first
    at: tuple[torch.Tensor | slice, ...] = (rows, tokens)
    if kind != "residual":
        activation = activation.unflatten(-1, (-1, width))
        if heads is not None:
            # One head is the usual case, and needs no indices on the device.
            first_head, *more = heads
            at = (rows, tokens, slice(first_head, first_head + 1))
            if more:
                chosen = torch.tensor(heads, device=activation.device)
                at = (rows[..., None], tokens[..., None], chosen)
    if isinstance(values, torch.Tensor):
        values = values.to(activation.device, activation.dtype)
    if how == "replace":
        activation[at] = values
    elif how == "add":
        activation[at] = activation[at] + values
    else:
        activation[at] = activation[at] * values
