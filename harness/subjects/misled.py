"""Subjects that are shown something else than the trial says: nothing may be found on them.

They keep weights, prompts and images as they are and break only the tie between what a trial says and what
the subject is shown, which is all that a claim about binding can rest on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.stimuli.prompt import Trial
from harness.subjects.subject import Batch, Subject


def _next(trials: Sequence[Trial]) -> list[Trial]:
    return [*trials[1:], *trials[:1]]


class WrongImage(Subject):
    """Reads each prompt beside the image of the batch's next trial; a batch of one is left as it is."""

    def encode(self, trials: Sequence[Trial]) -> Batch:
        """As `Subject.encode`, with the images moved on by one."""
        return super().encode(
            [replace(t, scene=other.scene) for t, other in zip(trials, _next(trials), strict=True)]
        )


class Shuffled(Subject):
    """Is given the batch's next trial in place of each: right images and prompts under wrong labels."""

    def encode(self, trials: Sequence[Trial]) -> Batch:
        """As `Subject.encode`, with the trials moved on by one."""
        return super().encode(_next(trials))


MISLEADING: dict[str, type[Subject]] = {"wrong-image": WrongImage, "shuffled": Shuffled}
"""How an entry's `misled` is done."""
