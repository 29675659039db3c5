"""Ways to the mediation scores of a contrast: a trace or a run per head, heads as rows of a run, a replay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import nnsight
import numpy as np
import torch

from harness.experiments.patching import find_patched_tokens, score_heads
from harness.measures.mediation import mediation_score
from harness.stimuli.contrast import Condition, Contrast, draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.subject import Batch, Subject
from harness.tracing.site import find_layers, wrap_model

Heads = Sequence[tuple[int, int]]


def drawn(subject: Subject, condition: Condition, trials: int, seed: int) -> list[Contrast]:
    """The same contrasts for every way."""
    rng = np.random.default_rng(seed)
    return draw_contrasts(condition, subject.grids[2], HIGH_ENTROPY[3], trials, rng)


def replayed(subject: Subject, pairs: Sequence[Contrast]) -> np.ndarray:
    """All heads and trials at once, float64 [trial, layer, head]: what the experiment does."""
    return score_heads(subject, pairs)


class OneByOne:
    """What is patched and read, for ways that take one trial and one head at a time.

    Batches are encoded beforehand, so that only runs of the model are timed.
    """

    def __init__(self, subject: Subject, pairs: Sequence[Contrast]) -> None:
        self.subject = subject
        self.sides = [
            (subject.encode([p.clean]), subject.encode([p.counterfactual])) for p in pairs
        ]
        self.tokens = [
            find_patched_tokens(clean, [p])[0]
            for (clean, _), p in zip(self.sides, pairs, strict=True)
        ]
        self.answers = [
            [subject.answer_id(p.clean.prompt, w) for w in (p.patched_answer, p.clean_answer)]
            for p in pairs
        ]

    def hooked(self, heads: Heads) -> np.ndarray:
        """One run of the model per trial and head, patched by a torch hook, float64 [trial, heads]."""
        layers = find_layers(self.subject, self.subject.model)
        width = self.subject.head_width
        found = []
        for (clean, other), tokens, answers in self._trials():
            values = {}
            handles = [
                layers[index].self_attn.o_proj.register_forward_pre_hook(
                    lambda m, given, at=index, into=values: into.update({at: given[0].clone()})
                )
                for index in sorted({layer for layer, _ in heads})
            ]
            self._run(other)
            for handle in handles:
                handle.remove()
            before = self._run(clean)[answers]
            for layer, head in heads:
                part = slice(head * width, (head + 1) * width)

                def patch(module, given, value=values[layer], part=part, tokens=tokens):
                    patched = given[0].clone()
                    patched[:, tokens, part] = value[:, tokens, part]
                    return (patched,)

                handle = layers[layer].self_attn.o_proj.register_forward_pre_hook(patch)
                found.append(mediation_score(self._run(clean)[answers], before))
                handle.remove()
        return np.array(found).reshape(len(self.sides), len(heads))

    def rowed(self, heads: Heads) -> np.ndarray:
        """One run per trial and layer, with a row for each of its heads, float64 [trial, heads]."""
        layers, width = find_layers(self.subject, self.subject.model), self.subject.head_width
        by_layer = {at: [h for layer, h in heads if layer == at] for at, _ in heads}
        found = []
        for (clean, other), tokens, answers in self._trials():
            values: dict[int, torch.Tensor] = {}
            handles = [
                layers[index].self_attn.o_proj.register_forward_pre_hook(
                    lambda m, given, at=index, into=values: into.update({at: given[0].clone()})
                )
                for index in by_layer
            ]
            self._run(other)
            for handle in handles:
                handle.remove()
            before = self._run(clean)[answers]
            for layer, of_layer in by_layer.items():

                def patch(module, given, value=values[layer], of_layer=of_layer, tokens=tokens):
                    patched = given[0].clone()
                    for row, head in enumerate(of_layer):
                        part = slice(head * width, (head + 1) * width)
                        patched[row, tokens, part] = value[0, tokens, part]
                    return (patched,)

                handle = layers[layer].self_attn.o_proj.register_forward_pre_hook(patch)
                with torch.no_grad():
                    inputs = clean.stacked(len(of_layer))
                    logits = self.subject.model(**inputs, **_SHORT).logits[:, -1].float().cpu()
                handle.remove()
                found += [mediation_score(row[answers], before) for row in logits]
        return np.array(found).reshape(len(self.sides), len(heads))

    def traced(self, heads: Heads) -> np.ndarray:
        """One nnsight trace per trial and head, float64 [trial, heads]."""
        model, width = wrap_model(self.subject), self.subject.head_width
        found = []
        for (clean, other), tokens, answers in self._trials():
            values = {}
            with torch.no_grad(), model.trace(**other.inputs, **_SHORT):
                for index in sorted({layer for layer, _ in heads}):
                    at = find_layers(self.subject, model)[index].self_attn.o_proj
                    values[index] = nnsight.save(at.input.clone())
            with torch.no_grad(), model.trace(**clean.inputs, **_SHORT):
                logits = nnsight.save(model.lm_head.output)
            before = logits[0, -1].float().cpu()[answers]
            for layer, head in heads:
                part = slice(head * width, (head + 1) * width)
                value = values[layer]
                with torch.no_grad(), model.trace(**clean.inputs, **_SHORT):
                    at = find_layers(self.subject, model)[layer].self_attn.o_proj
                    patched = at.input.clone()
                    patched[:, tokens, part] = value[:, tokens, part]
                    at.input = patched
                    logits = nnsight.save(model.lm_head.output)
                found.append(mediation_score(logits[0, -1].float().cpu()[answers], before))
        return np.array(found).reshape(len(self.sides), len(heads))

    def _trials(self) -> Iterator[tuple[tuple[Batch, Batch], torch.Tensor, list[int]]]:
        return zip(self.sides, self.tokens, self.answers, strict=True)

    def _run(self, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            logits = self.subject.model(**batch.inputs, **_SHORT).logits
        return logits[0, -1].float().cpu()


_SHORT = dict(use_cache=False, logits_to_keep=1)
