"""Measures by plain hooks of torch what stages a subject has, without the suite that is to be held against it.

Heads are patched at the input of the output projection, in the model's own forward pass, on the contrasts of
section 3.4; codes are read by ridge regression from the residual stream. All scenes are held out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.stimuli.contrast import CONDITIONS, Condition, Contrast, draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.draw import draw
from harness.stimuli.prompt import Trial, scene_description
from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS, Cell, Scene
from harness.training.architectures import HEADS, Untrained
from harness.training.packing import image_prefix
from harness.training.tasks import draw_objects, is_held_out
from harness.training.taught.recipes import Place

SEED = 30_000
"""Seed of the scenes on which truth is measured."""

Heads = Mapping[Condition, Sequence[Place]]


@dataclass(frozen=True)
class Read:
    """N trials as the model gets them.

    Attributes:
        inputs: What the model takes.
        mentions: Tokens that name each described object, in every trial the same [M][2].
        commas: The comma after each, where there is one.
        last: The last token.
    """

    inputs: dict[str, torch.Tensor]
    mentions: list[list[int]]
    commas: list[int]
    last: int


@dataclass(frozen=True)
class Seen:
    """What hooks saw in a run: `heads` [LAYERS, N, T, HEADS, d], `states` [LAYERS, N, T, width], `said` [N]."""

    heads: torch.Tensor
    states: torch.Tensor
    said: NDArray[np.str_]


Edit = Callable[[int, torch.Tensor], torch.Tensor]
"""From a layer and the output of its heads [N, T, HEADS, d] to what takes its place."""


class Hooked:
    """A subject whose heads are read and replaced by hooks."""

    def __init__(self, subject: Untrained) -> None:
        """Take a subject in evaluation mode."""
        self.subject = subject
        self.layers = subject.model.model.language_model.layers
        self.words = {int(subject.tokenizer.convert_tokens_to_ids(c)): c for c in COLORS}

    def encode(self, trials: Sequence[Trial]) -> Read:
        """Tokenize trials whose prompts have one layout."""
        tokenizer, model = self.subject.tokenizer, self.subject.model
        prefix, _ = image_prefix(tokenizer, model)
        text = tokenizer(
            [t.prompt.text for t in trials], return_offsets_mapping=True, add_special_tokens=False
        )
        ids = torch.cat(
            [torch.tensor(prefix).expand(len(trials), -1), torch.tensor(text["input_ids"])], 1
        )
        images = self.subject.image_processor(
            images=[draw(t.scene) for t in trials], return_tensors="pt"
        )
        inputs = {"input_ids": ids, **images}
        if model.config.model_type == "qwen2_vl":
            inputs["mm_token_type_ids"] = (ids == model.config.image_token_id).int()
        prompt, offsets = trials[0].prompt, text["offset_mapping"][0]
        named = [s for s in prompt.mentions if s[1] <= len(prompt.text)]
        commas = [c[0] for c in prompt.separators if c is not None]
        at = len(prefix)
        return Read(
            inputs,
            [
                [at + j for j, (a, b) in enumerate(offsets) if a >= s[0] and b <= s[1]]
                for s in named
            ],
            [at + j for j, (a, _) in enumerate(offsets) if a in commas],
            ids.shape[1] - 1,
        )

    @torch.no_grad()
    def run(self, read: Read, edit: Edit | None = None) -> Seen:
        """Run the model once, with the heads of every layer replaced by what `edit` gives."""
        heads: list[torch.Tensor] = []
        states: list[torch.Tensor] = []

        def at_heads(layer: int) -> Callable[..., tuple[torch.Tensor]]:
            def hook(module: torch.nn.Module, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
                rows, tokens = args[0].shape[:2]
                out = args[0].view(rows, tokens, HEADS, -1)
                out = out if edit is None else edit(layer, out.clone())
                heads.append(out)
                return (out.reshape(rows, tokens, -1),)

            return hook

        def at_state(module: torch.nn.Module, args: Any, output: Any) -> None:
            states.append(output if isinstance(output, torch.Tensor) else output[0])

        with _hooked(self.layers, at_heads, at_state):
            logits = self.subject.model(**read.inputs, use_cache=False).logits[:, -1]
        said = [self.words.get(i, "") for i in logits.argmax(-1).tolist()]
        return Seen(torch.stack(heads), torch.stack(states), np.array(said))


@contextmanager
def _hooked(layers: Sequence[Any], at_heads: Callable[[int], Any], at_state: Any) -> Iterator[None]:
    handles = []
    for index, layer in enumerate(layers):
        handles.append(layer.self_attn.o_proj.register_forward_pre_hook(at_heads(index)))
        handles.append(layer.register_forward_hook(at_state))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def replace_heads(source: torch.Tensor, at: Callable[[Place], Sequence[int]]) -> Edit:
    """An edit that takes heads from other values.

    Args:
        source: Output of the heads [LAYERS, N, T, HEADS, d], or [LAYERS, 1, T, HEADS, d] for all trials.
        at: From (layer, head) to the tokens at which it is replaced.
    """

    def edit(layer: int, out: torch.Tensor) -> torch.Tensor:
        for head in range(HEADS):
            tokens = list(at((layer, head)))
            if tokens:
                out[:, tokens, head] = source[layer][:, tokens, head]
        return out

    return edit


def draw_held_out_contrasts(
    stage: Condition, trials: int, rng: np.random.Generator
) -> list[Contrast]:
    """Draw contrasts of one stage whose clean scenes were never trained on."""
    found: list[Contrast] = []
    while len(found) < trials:
        drawn = draw_contrasts(stage, EMBEDDED_GRIDS[2], HIGH_ENTROPY[3], 64, rng)
        found += [c for c in drawn if is_held_out(c.clean.scene)]
    return found[:trials]


def measure_stages(subject: Untrained, heads: Heads, trials: int = 200) -> dict[str, Any]:
    """Measure for every stage what happens when its heads, or all others, are patched or ablated.

    Returns:
        For each stage shares of trials: `clean_right`; `follow`, in which the answer is the one that a patch of
        the stage's heads predicts; `follow_alone`, the same for each head alone; `right_without`, in which the
        answer stays right when each of the heads gives its mean over trials; `stay`, in which the answer stays
        what it was when all heads outside all stages are patched at all tokens from the first mention on.
    """
    hooked = Hooked(subject)
    found: dict[str, Any] = {}
    for number, stage in enumerate(CONDITIONS):
        rng = np.random.default_rng([SEED, number])
        pairs = draw_held_out_contrasts(stage, trials, rng)
        clean = hooked.encode([p.clean for p in pairs])
        source = hooked.run(hooked.encode([p.counterfactual for p in pairs])).heads
        mentions = [t for m in clean.mentions for t in m]
        before = hooked.run(clean)
        wanted = np.array([p.patched_answer for p in pairs])
        right = np.array([p.clean_answer for p in pairs])
        tokens = mentions if stage == "id_retrieval" else [clean.last]

        def patch(places: Sequence[Place], values: torch.Tensor = source) -> NDArray[np.str_]:
            edit = replace_heads(values, lambda p: tokens if p in places else [])  # noqa: B023
            return hooked.run(clean, edit).said  # noqa: B023

        late = range(mentions[0], clean.last + 1)

        def free(place: Place) -> list[int]:
            """Tokens at which a head belongs to no stage."""
            own: set[int] = set()
            for of in CONDITIONS:
                if place in heads[of]:
                    own |= set(mentions if of == "id_retrieval" else [clean.last])  # noqa: B023
            return [t for t in late if t not in own]  # noqa: B023

        mean = before.heads.mean(1, keepdim=True)
        of_stage = list(heads[stage])
        found[stage] = {
            "trials": trials,
            "clean_right": _share(before.said == right),
            "follow": _share(patch(of_stage) == wanted),
            "follow_alone": [_share(patch([place]) == wanted) for place in of_stage],
            "right_without": _share(patch(of_stage, mean) == right),
            "stay": _share(hooked.run(clean, replace_heads(source, free)).said == before.said),
        }
    return found


def measure_places(subject: Untrained, heads: Heads, trials: int = 200) -> dict[str, float]:
    """Measure whether selected places are counted from the group of objects or from the image.

    Two objects stand side by side, and selection heads are patched from the same two objects in reverse order,
    one column further. A place in the group points to one of them, a place in the image to the other.

    Returns:
        Shares of answers that follow `relative` and `absolute` places.
    """
    grid, rng = EMBEDDED_GRIDS[3], np.random.default_rng([SEED, 10])
    hooked = Hooked(subject)
    clean, other, relative, absolute = [], [], [], []
    for _ in range(trials):
        target, described = draw_objects(2, "high", rng)
        row, flipped = int(rng.integers(3)), bool(rng.random() < 0.5)
        # The one on the side towards which the group moves is where the other one comes to stand.
        order = (target, described) if flipped else (described, target)
        cells = [Cell(row, 1), Cell(row, 2)] if flipped else [Cell(row, 0), Cell(row, 1)]
        moved = [Cell(row, c.column + (-1 if flipped else 1)) for c in cells]
        # The clean scene holds its objects in the reverse order, so that both answers differ from its own.
        here = Scene(grid, order[::-1], tuple(cells))
        there = Scene(grid, order, tuple(moved))
        prompt = scene_description((described,), target, commas=False)
        clean.append(Trial(here, prompt, (described,), target))
        other.append(Trial(there, prompt, (described,), target))
        place = there.cell_of(target)
        index = moved.index(place)
        relative.append(here.objects[index].color)
        standing = here.at(place)
        absolute.append(standing.color if standing else "")
    read = hooked.encode(clean)
    source = hooked.run(hooked.encode(other)).heads
    places = heads["id_selection"]
    said = hooked.run(
        read, replace_heads(source, lambda p: [read.last] if p in places else [])
    ).said
    return {
        "relative": _share(said == np.array(relative)),
        "absolute": _share(said == np.array(absolute)),
    }


def measure_codes(subject: Untrained, trials: int = 800) -> dict[str, dict[str, Any]]:
    """Measure after which layers places and features can be read linearly, in scenes of four objects.

    Returns:
        For each code `accuracy`, float for each layer, on half of the scenes from weights fitted on the other;
        `chance`; and `onset`, the first layer at which it is at least half-way from chance to its highest, or
        None where the highest is no better than chance.
    """
    rng = np.random.default_rng([SEED, 20])
    grid = EMBEDDED_GRIDS[2]
    drawn: list[Trial] = []
    while len(drawn) < trials:
        some = draw_balanced_trials(grid, HIGH_ENTROPY[3], 144, rng)
        drawn += [t for t in some if is_held_out(t.scene)]
    drawn = drawn[:trials]
    hooked = Hooked(subject)
    states, read = [], None
    for start in range(0, trials, 100):
        read = hooked.encode(drawn[start : start + 100])
        tokens = [*(m[-1] for m in read.mentions), *read.commas, read.last]
        states.append(hooked.run(read).states[:, :, tokens])
    every = torch.cat(states, 1).double().numpy()
    count = len(drawn[0].described)
    named = np.array([[grid.cells.index(t.scene.cell_of(o)) for o in t.described] for t in drawn])
    where = np.array([grid.cells.index(t.scene.cell_of(t.target)) for t in drawn])
    colors = np.array([list(COLORS).index(t.target.color) for t in drawn])
    half = np.array([int(t.scene.key, 16) // 16 % 2 == 0 for t in drawn])
    asked = {
        "position@mentions": (every[:, :, :count], named),
        "position@commas": (every[:, :, count:-1], named),
        "position@last": (every[:, :, -1:], where[:, None]),
        "features@last": (every[:, :, -1:], colors[:, None]),
    }
    return {name: _read_code(x, y, half) for name, (x, y) in asked.items()}


def _read_code(
    states: NDArray[np.float64], truth: NDArray[np.int64], half: NDArray[np.bool_]
) -> dict[str, Any]:
    """Accuracy of a linear read-out after every layer, for states [layer, N, S, d] and classes [N, S]."""
    classes = int(truth.max()) + 1
    chance = 1 / classes
    wanted = np.eye(classes)[truth]
    accuracy = []
    for of_layer in states:
        scale = np.sqrt((of_layer**2).mean(-1, keepdims=True))
        x = np.concatenate([of_layer / scale, np.ones_like(scale)], -1)
        fit, test = (x[m].reshape(-1, x.shape[-1]) for m in (half, ~half))
        target = wanted[half].reshape(-1, classes)
        weights = np.linalg.solve(fit.T @ fit + RIDGE * np.eye(fit.shape[1]), fit.T @ target)
        accuracy.append(_share((test @ weights).argmax(-1) == truth[~half].ravel()))
    top = max(accuracy)
    half_way = chance + (top - chance) / 2
    onset = next(i for i, a in enumerate(accuracy) if a >= half_way) if top > 2 * chance else None
    return {"accuracy": accuracy, "chance": round(chance, 3), "onset": onset}


RIDGE = 1.0
"""Penalty of the read-outs, in squares of states of unit size."""


def _share(hits: NDArray[np.bool_]) -> float:
    return round(float(np.mean(hits)), 3)
