"""The oracle of replays: whole runs with plain torch hooks, each edit made by a loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from harness.stimuli.contrast import draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.subjects.subject import Batch, Subject
from harness.tracing.edit import Edit
from harness.tracing.site import find_layers

PROJECTIONS = {"query": "q_proj", "key": "k_proj", "value": "v_proj"}


def unequal(subject: Subject, long: int = 3, short: int = 2) -> Batch:
    """Prompts of two lengths, the short ones padded on the left."""
    rng = np.random.default_rng(1)
    trials = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[2], long, rng)
    pairs = draw_contrasts("id_selection", subject.grids[2], HIGH_ENTROPY[3], max(1, short), rng)
    return subject.encode([*trials, *(p.clean for p in pairs[:short])])


def hooked_logits(
    subject: Subject, batch: Batch, edits: Sequence[Edit], at: torch.Tensor | None = None
) -> torch.Tensor:
    """The model's own logits [B, vocabulary] at the last token, or at `at` [B], with all edits in one run."""
    handles = [_hook(subject, edit) for edit in edits if edit.kind != "embedding"]
    inputs = dict(batch.inputs)
    for edit in edits:
        if edit.kind == "embedding":
            inputs |= _embed(subject, edit, inputs)
    try:
        with torch.no_grad():
            logits = subject.model(**inputs, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    if at is None:
        return logits[:, -1]
    return logits[torch.arange(len(batch)), at]


def _embed(
    subject: Subject, edit: Edit, inputs: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    parts = [inputs["inputs_embeds"], *inputs.get("deepstack", torch.empty(1, 0)).unbind(1)]
    edited = _looped(subject, edit, torch.cat(parts, -1)).chunk(len(parts), -1)
    changed = {"inputs_embeds": edited[0]}
    return changed | ({"deepstack": torch.stack(edited[1:], 1)} if edited[1:] else {})


def _hook(subject: Subject, edit: Edit) -> torch.utils.hooks.RemovableHandle:
    layer = find_layers(subject, subject.model)[edit.layer]
    if edit.kind == "residual":
        return layer.register_forward_hook(lambda m, given, out: _looped(subject, edit, out))
    if edit.kind == "head":
        return layer.self_attn.o_proj.register_forward_pre_hook(
            lambda m, given: (_looped(subject, edit, given[0]),)
        )
    module = getattr(layer.self_attn, PROJECTIONS[edit.kind])
    return module.register_forward_hook(lambda m, given, out: _looped(subject, edit, out))


def _looped(subject: Subject, edit: Edit, activation: torch.Tensor) -> torch.Tensor:
    before, after = activation.clone(), activation.clone()
    stream = subject.model.config.get_text_config().hidden_size
    width = stream if edit.kind in ("residual", "embedding") else subject.head_width
    heads = edit.heads if edit.heads is not None else range(activation.shape[-1] // width)
    for row in range(len(activation)):
        for t, token in enumerate(edit.tokens[row].tolist()):
            for h, head in enumerate(heads):
                part = slice(head * width, (head + 1) * width)
                value = edit.values
                if isinstance(value, torch.Tensor):
                    value = value[row, t] if edit.kind == "residual" else value[row, t, h]
                if edit.how == "replace":
                    after[row, token, part] = value
                elif edit.how == "add":
                    after[row, token, part] = before[row, token, part] + value
                else:
                    after[row, token, part] = before[row, token, part] * value
    return after


def edits_go_wrong(monkeypatch, wrong):
    """Make every edit be written as the edit `wrong(edit)`, or not at all where that is None."""
    rightly = Edit.plain.fget

    def plain(self):
        edit = wrong(self)
        return rightly(replace(self, values=1.0, how="scale") if edit is None else edit)

    monkeypatch.setattr(Edit, "plain", property(plain))
