"""Whether the object that is left out can be named from the text alone, without the image (section 3.1).

In scenes of as many objects as there are, the words leave only one that was not named: elimination would name
it without looking. So the same questions are asked about a blank image.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from harness.experiments.editing import find_answers
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.scene import Scene


def measure(request: Request) -> xr.Dataset:
    """Measure how often the left out one of nine objects is named with its image and without.

    Returns:
        `right` bool [image, trial] with the "own" image and a "blank" one; `scene` [trial] of the own image.
    """
    subject = request.subject
    grid = subject.grids[3]
    drawn = draw_balanced_trials(grid, HIGH_ENTROPY[3], request.trials, request.rng)
    blank = [replace(t, scene=Scene(grid, (), ())) for t in drawn]
    answers = np.array([find_answers(subject, trials)[0] for trials in (drawn, blank)])
    return xr.Dataset(
        {
            "right": (("image", "trial"), answers == [t.answer for t in drawn]),
            "scene": (("trial",), [t.scene.key for t in drawn]),
        },
        {"image": ["own", "blank"]},
    )
