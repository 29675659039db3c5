"""Checks that a subject does everything that the experiments take for granted; each explains what it found.

`claims check-subject` runs them all on a checkpoint. They go by effects on two trials of the subject's own
prompts, never by the name or class of a module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from harness.subjects.batch import Batch
from harness.subjects.deepstack import ADDED
from harness.subjects.registry import Refused
from harness.subjects.subject import Subject
from harness.tracing.capture import capture, read_edited_logits, read_last_logits
from harness.tracing.edit import Edit
from harness.tracing.generate import generate_ids, hook_edit
from harness.tracing.seeing import (
    model_sees_the_same,
    patches_are_where_they_are_said,
    types_matter,
    vision_is_where_it_is_said,
)
from harness.tracing.selfcheck import QUICK, Examined
from harness.tracing.site import KINDS, Kind, find_layers

STEPS = 3
"""How many words are written to check the cache."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: Its name.
        failure: What is wrong, what was expected, and where to look; "" if nothing is wrong.
    """

    check: str
    failure: str = ""


def check_conformance(subject: Subject) -> Iterator[Finding]:
    """Run every check and yield what each found; those after one that fails are run as well."""
    examined = Examined(subject)
    for name, check in CHECKS.items():
        try:
            check(examined)
        except Refused as error:
            yield Finding(name, str(error))
        # With a wrong anatomy the model may raise anything, and so may nnsight.
        except Exception as error:
            yield Finding(name, f"{type(error).__name__}: {str(error).strip()}")
        else:
            yield Finding(name)


def every_site_can_be_put_back(at: Examined) -> None:
    """Putting queries, keys, values, heads and residual streams of all tokens back changes no bit."""
    every = torch.arange(at.first.last + 1)[None]
    for kind in KINDS:
        own = capture(at.subject, at.first, kind, every)
        edits = [Edit(kind, layer, every, own[layer]) for layer in range(at.subject.layers)]
        if not torch.equal(at.clean, read_edited_logits(at.subject, at.first, edits)):
            at.fail(
                f"putting every {kind} back where it was read changes the answer. Expected: no bit does. Is "
                f"{at.subject.anatomy.layers} the path of the layers that run, and is something else writing?"
            )


def words_do_not_look_ahead(at: Examined) -> None:
    """An edit at a word leaves the logits at every earlier token as they were, bit for bit."""
    place = at.first.mentions[0][0][0]
    edit = Edit("residual", 0, torch.tensor([[place]]), 0.0)
    before, after = _read_logits(at, []), _read_logits(at, [edit])
    changed = (before != after).any(-1)[0].nonzero()[:, 0].tolist()
    if not changed or changed[0] != place:
        first = changed[0] if changed else "none"
        at.fail(
            f"an edit at token {place} after layer 0 changes tokens from {first} on. Expected: from {place} "
            "on and none before, since words look back only; a replay keeps what came before. Is attention "
            "causal at words?"
        )


def _read_logits(at: Examined, edits: list[Edit]) -> torch.Tensor:
    """The model's own logits at every token, [1, T, vocabulary], in a run with edits."""
    handles = [hook_edit(at.subject, edit) for edit in edits]
    try:
        with torch.no_grad():
            return at.subject.model(**at.first.inputs, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()


def heads_add_up(at: Examined) -> None:
    """In every layer the heads, each multiplied by its columns of `o_proj`, sum to the output of `o_proj`."""
    subject, last = at.subject, torch.tensor([[at.first.last]])
    heads = capture(subject, at.first, "head", last)[:, 0, 0]
    given: list[torch.Tensor] = []
    projections = [x.self_attn.o_proj for x in find_layers(subject, subject.model)]
    handles = [
        p.register_forward_hook(lambda m, a, out: given.append(out[0, -1].float().cpu()))
        for p in projections
    ]
    try:
        read_last_logits(subject, at.first)
    finally:
        for handle in handles:
            handle.remove()
    said = (subject.heads, subject.head_width)
    cut = getattr(find_layers(subject, subject.model)[0].self_attn, "head_dim", said[1])
    if cut != said[1]:
        at.fail(
            f"attention cuts its features into heads of {cut}. Expected: heads of {said[1]}, as config.json "
            "says; wider ones would pass for single heads, since they add up as well"
        )
    for index, projection in enumerate(projections):
        if heads.shape[1:] != said or said[0] * said[1] != projection.in_features:
            at.fail(
                f"o_proj of layer {index} takes {projection.in_features} features, {tuple(heads.shape[1:])} "
                f"were captured. Expected: {said[0]} heads of {said[1]}, as config.json says"
            )
        weight = projection.weight.float().cpu().unflatten(1, said)
        total = torch.einsum("hw,ohw->o", heads[index], weight)
        if projection.bias is not None:
            total = total + projection.bias.float().cpu()
        if not at.alike(total, given[index]):
            at.fail(
                f"the heads of layer {index} through o_proj sum to something else than its output, off by "
                f"{(total - given[index]).abs().max():.2g}. Expected: the sum of all heads is what attention "
                "adds. Is what is captured the input of o_proj?"
            )


def heads_stand_apart(at: Examined) -> None:
    """The query of one head changes that head alone, and the value of one key head only those that share it."""
    subject, first = at.subject, at.first
    every = torch.arange(first.last + 1)[None]
    share = subject.heads // subject.key_heads
    captured = capture(subject, first, "key", every)
    if captured.shape[3:] != (subject.key_heads, subject.head_width):
        at.fail(
            f"keys are captured as {captured.shape[3]} heads of {captured.shape[4]}. Expected: "
            f"{subject.key_heads} of {subject.head_width} (num_key_value_heads in config.json)"
        )
    own = _read_heads(at, [])
    cases: tuple[tuple[Kind, int, int], ...] = (
        ("query", subject.heads, 1),
        ("value", subject.key_heads, share),
    )
    for kind, count, sharing in cases:
        moved: set[int] = set()
        # A head that gives nothing moves nothing: some are pruned. The last one that moves any is looked at.
        for head in reversed(range(count)):
            after = _read_heads(at, [Edit(kind, 0, every, -3.0, (head,), "scale")])
            moved = set((own != after).any(-1).nonzero()[:, 0].tolist())
            if moved:
                break
        expected = set(range(head * sharing, (head + 1) * sharing))
        if moved != expected:
            at.fail(
                f"another {kind} of head {head} in layer 0 moves the heads {sorted(moved)}. Expected: "
                f"{sorted(expected)}, with {subject.heads} heads of {subject.head_width} and "
                f"{subject.key_heads} key heads. Are heads cut in the order in which the layer cuts them?"
            )


def _read_heads(at: Examined, edits: list[Edit]) -> torch.Tensor:
    """The output of each head of layer 0 at the last token, [H, w], in a run with edits."""
    given: list[torch.Tensor] = []
    layer = find_layers(at.subject, at.subject.model)[0]
    handles = [hook_edit(at.subject, edit) for edit in edits]
    handles.append(
        layer.self_attn.o_proj.register_forward_pre_hook(lambda m, a: given.append(a[0][0, -1]))
    )
    try:
        read_last_logits(at.subject, at.first)
    finally:
        for handle in handles:
            handle.remove()
    return given[0].unflatten(-1, (-1, at.subject.head_width))


def a_batch_is_its_trials(at: Examined) -> None:
    """A trial gives the same logits alone and beside a longer one, where it is padded."""
    trial = at.trials[0]
    longer = replace(trial.prompt, text=trial.prompt.text + " " + trial.prompt.text)
    together = read_last_logits(
        at.subject, at.subject.encode([trial, replace(trial, prompt=longer)])
    )
    if not at.alike(together[:1], at.clean):
        off = (together[:1] - at.clean).abs().max()
        at.fail(
            f"a trial beside a longer one is off by {off:.2g} logits from the same trial alone. Expected: "
            "rounding. Is padding left out by the mask, and do positions begin after it?"
        )


def attention_is_one(at: Examined) -> None:
    """Eager attention and SDPA give the same logits."""
    model = at.subject.model
    usual = model.config._attn_implementation
    found = {}
    try:
        for name in ("eager", "sdpa"):
            model.set_attn_implementation(name)
            found[name] = read_last_logits(at.subject, at.first)
    finally:
        model.set_attn_implementation(usual)
    if not at.alike(found["eager"], found["sdpa"]):
        off = (found["eager"] - found["sdpa"]).abs().max()
        at.fail(
            f"eager attention and SDPA differ by {off:.2g} logits. Expected: rounding. One of the two leaves "
            "something out (a mask, a window, a cap of scores): compare both with the family's paper"
        )


def a_cache_changes_nothing(at: Examined) -> None:
    """Words that are written one by one from cached keys and values are those that whole runs give."""
    found = generate_ids(at.subject, at.first, STEPS)
    batch = at.first
    for step in range(found.ids.shape[1]):
        logits = read_last_logits(at.subject, batch)[0]
        word, highest = found.ids[0, step], found.logits[0, step]
        # Logits are compared, not words: of two that are equally likely rounding may choose either.
        off = max(abs(float(logits[word] - highest)), float(logits.max() - logits[word]))
        if off > 10 * at.room * float(logits.std()):
            at.fail(
                f"the word that is written at step {step} has logit {highest:.4g} from the cache and "
                f"{logits[word]:.4g} in a whole run, whose highest is {logits.max():.4g}. Expected: the same. "
                "Are positions of new words those that the family gives to a longer prompt?"
            )
        batch = _append_word(at.subject, batch, found.ids[:, step])


def _append_word(subject: Subject, batch: Batch, word: torch.Tensor) -> Batch:
    """The batch with one word [B] at the end of every row, whose position is that of a longer prompt's word."""
    # Positions follow from the ids. The new one is a word's, even if what was written is an image token.
    ids = torch.cat([batch.input_ids, batch.input_ids[:, -1:]], 1)
    mask = batch.inputs["attention_mask"]
    mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
    new = subject.model.get_input_embeddings()(word[:, None].to(subject.device))
    grids = [batch.image_grid] * len(batch)
    inputs = {
        "inputs_embeds": torch.cat([batch.inputs["inputs_embeds"], new], 1),
        "attention_mask": mask,
        "position_ids": subject.anatomy.position_ids(subject.model, ids, mask, grids),
    }
    if ADDED in batch.inputs:
        inputs[ADDED] = torch.nn.functional.pad(batch.inputs[ADDED], (0, 0, 0, 1))
    if name := subject.anatomy.token_types:
        inputs[name] = torch.nn.functional.pad(batch.inputs[name], (0, 1))
    return replace(batch, input_ids=ids, inputs=inputs)


CHECKS: dict[str, Callable[[Examined], None]] = {
    **QUICK,
    "every site can be put back": every_site_can_be_put_back,
    "words do not look ahead": words_do_not_look_ahead,
    "heads add up to what attention gives": heads_add_up,
    "heads stand apart, keys are shared as said": heads_stand_apart,
    "image tokens are the image's patches": patches_are_where_they_are_said,
    "vision sites are the model's": vision_is_where_it_is_said,
    "the model itself sees the same": model_sees_the_same,
    "token types matter": types_matter,
    "a batch is its trials": a_batch_is_its_trials,
    "eager attention and SDPA agree": attention_is_one,
    "a cache changes nothing": a_cache_changes_nothing,
}
"""All checks by name, the quick ones first."""
