"""Goes through every scene of two objects and counts what holds, without a draw and without an estimate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from harness.stimuli.contrast import CONDITIONS, Condition
from harness.stimuli.prompt import Trial
from harness.stimuli.scene import Grid, Object
from harness.training.architectures import Untrained
from harness.training.proof import checks
from harness.training.proof.checks import Checked
from harness.training.proof.passes import Clean, Passes
from harness.training.proof.scenes import Family, count_trials, list_families
from harness.training.wired.crowding import look_up_features_apart
from harness.training.wired.families import LLAVA
from harness.training.wired.mechanisms import bind_by_position, exclude_by_content
from harness.training.wired.plan import Plan
from harness.training.wired.plans import PLANS

PROVABLE = tuple(
    name
    for name, plan in PLANS.items()
    if plan.family is LLAVA
    and not plan.turned
    and plan.mechanism in (bind_by_position, look_up_features_apart, exclude_by_content)
)
"""Controls whose written truth can be checked: what an image's tokens hold is read off LLaVA's alone, and near
misses have other codes."""

GUESSED = 0.25
"""Share of images of which both answers are right if each is a guess between the two colors that are there."""


@dataclass
class Finding:
    """One check over all trials.

    Attributes:
        name: What must be true.
        checked: How often it was checked.
        failed: How often it was not so.
        first: The first trial of which it is not, and what was found instead.
    """

    name: str
    checked: int = 0
    failed: int = 0
    first: tuple[Trial, str] | None = None

    def add(self, trials: Sequence[Trial], checked: Checked) -> None:
        """Count one family's check."""
        self.checked += len(checked.held)
        wrong = np.flatnonzero(~checked.held)
        self.failed += len(wrong)
        if self.first is None and len(wrong):
            row = int(wrong[0])
            self.first = trials[row], checked.found[row]


@dataclass
class Proof:
    """What was enumerated and what was found.

    Attributes:
        trials: Scenes, times the two objects that a prompt may describe.
        scenes: Different images.
        findings: By name: what is there in the order of the mechanism, then what the answer depends on.
        right_without: For each stage how many trials stay right with its heads at their mean; about how many
            images both answers do; and about how many images that was asked.
        seconds: By the wall clock.
    """

    trials: int = 0
    scenes: set[str] = field(default_factory=set, repr=False)
    findings: dict[str, Finding] = field(default_factory=dict)
    right_without: dict[Condition, tuple[int, int, int]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def checks(self) -> int:
        """How often anything was checked."""
        return sum(f.checked for f in self.findings.values())

    @property
    def failed(self) -> list[Finding]:
        """What is not true of every trial, in the order of `findings`."""
        return [f for f in self.findings.values() if f.failed]

    def add(self, trials: Sequence[Trial], checked: Checked) -> None:
        """Count one family's check."""
        self.findings.setdefault(checked.name, Finding(checked.name)).add(trials, checked)


@torch.no_grad()
def prove(
    subject: Untrained,
    plan: Plan,
    grid: Grid,
    objects: Sequence[Object],
    say: Callable[[str], None] = lambda line: None,
) -> Proof:
    """Check every trial of two objects on a grid.

    Args:
        subject: The control's weights, in evaluation mode.
        plan: What should be written in them.
        grid: Where the objects are.
        objects: What they are taken from.
        say: Is told now and then how far it has come.

    Returns:
        The counts; nothing is drawn at random, and nothing is left out.
    """
    begun = time.monotonic()
    passes, proof = Passes(subject), Proof()
    total = count_trials(grid, objects)
    for name in _list_names():
        proof.findings[name] = Finding(name)

    def tell(step: str, done: int) -> None:
        say(f"{step}: {done} of {total} trials, {time.monotonic() - begun:.0f} s")

    means, strange = _find_means(passes, grid, objects, tell)
    kept: dict[Condition, list[tuple[Trial, bool]]] = {stage: [] for stage in CONDITIONS}
    for family in list_families(grid, objects):
        clean = passes.read(family.trials)
        for checked in _check(passes, clean, family, strange, plan):
            proof.add(family.trials, checked)
        for stage in CONDITIONS:
            own = set(checks.read_heads(plan)[stage])
            tokens = checks.list_tokens(clean, stage)
            said = checks.replace_at(passes, clean, means, own, tokens)
            right = [bool(a == t.answer) for a, t in zip(said, family.trials, strict=True)]
            kept[stage] += zip(family.trials, right, strict=True)
        strange = clean.seen.heads
        proof.trials += len(family.trials)
        proof.scenes.update(t.scene.key for t in family.trials)
        tell("checked", proof.trials)
    for stage in CONDITIONS:
        judge_without(proof, stage, kept[stage])
    proof.seconds = time.monotonic() - begun
    return proof


def _list_names() -> Iterator[str]:
    """The names of all checks: what is there in the order of the mechanism, then what the answer depends on."""
    yield checks.SIGHT
    for stage in CONDITIONS:
        yield checks.name_check(stage, checks.OUTPUT[stage])
        yield checks.name_check(stage, checks.EACH_HEAD)
    yield checks.ANSWER
    for stage in CONDITIONS:
        for what in (checks.PATCHED, checks.OTHERS, checks.WITHOUT):
            yield checks.name_check(stage, what)
    yield checks.UNWIRED


def _check(
    passes: Passes, clean: Clean, family: Family, strange: torch.Tensor, plan: Plan
) -> Iterator[Checked]:
    trials = family.trials
    yield checks.check_sight(clean, trials, plan.relative)
    for stage in CONDITIONS:
        yield checks.check_output(clean, trials, stage, plan)
        yield checks.check_each_head(passes, clean, trials, stage, plan)
        yield from checks.check_patched(passes, clean, family, stage, plan)
    yield checks.check_unwired(passes, clean, family, strange, plan)
    yield checks.check_answer(clean, trials)


def _find_means(
    passes: Passes, grid: Grid, objects: Sequence[Object], tell: Callable[[str, int], None]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean over all trials of every head at every token of the sentence, and the heads of the last family.

    Returns:
        [LAYERS, 1, tokens of the sentence, HEADS, d], float32; and `Seen.heads` of the last family, whose cells
        are not those of the first.
    """
    total, count = torch.zeros(()).double(), 0
    for family in list_families(grid, objects):
        heads = passes.read(family.trials).seen.heads
        total, count = total + heads.double().sum(1, keepdim=True), count + len(family.trials)
        tell("mean of every head", count)
    return (total / count).float(), heads


def judge_without(proof: Proof, stage: Condition, kept: Sequence[tuple[Trial, bool]]) -> None:
    """Count how often the task is done without a stage.

    A single answer may be right by chance, since one of the two colors is said; that both prompts about an
    image are answered right takes knowing which of the two objects is described. Objects of one color are left
    out: both prompts have the same answer.
    """
    both: dict[str, list[bool]] = {}
    trials: dict[str, Trial] = {}
    for trial, right in kept:
        if trial.target.color != trial.described[0].color:
            both.setdefault(trial.scene.key, []).append(right)
            trials.setdefault(trial.scene.key, trial)
    stay = [key for key, of in both.items() if all(of)]
    proof.right_without[stage] = sum(right for _, right in kept), len(stay), len(both)
    name = checks.name_check(stage, checks.WITHOUT)
    finding = proof.findings[name] = Finding(name, checked=1)
    if len(stay) >= GUESSED * len(both):
        found = f"both answers are right about {len(stay)} of {len(both)} images"
        finding.failed, finding.first = 1, (trials[stay[0]], found)
