"""Experiment A: does the last token hold the place that is asked for, and later the word? (section 5.1)

At one slot at a time the last token of a clean run is given what it has in a counterfactual run, whose
question is the opposite one about other outer items. A place moves the answer to the other outer item of the
clean image (c2), a word to the counterfactual answer (c3). A donor that asks the same about other items tells
the two apart: it moves no place.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.experiments.editing import ROWS, find_last_token
from harness.experiments.halves import Halves
from harness.experiments.probabilities import read_probabilities
from harness.experiments.row_pairs import (
    LEAST_SCENES,
    check_wiring,
    draw_kept_pairs,
    list_directions,
)
from harness.experiments.slots import Slots
from harness.measuring.experiment import Request
from harness.stimuli.prompt import Trial
from harness.stimuli.rows import Setting, make_opposite_pair, make_same_pair
from harness.subjects.batch import Batch
from harness.tracing.replay import Variant

DONORS = ("opposite", "same")
"""What the counterfactual asks, beside the clean question."""

WORDS = ("c0", "c1", "c2", "c3", "c4")
"""The probabilities of the answers t0 to t4."""


def _measure(request: Request, setting: Setting) -> xr.Dataset:
    """Patch the last token at every slot.

    Returns:
        `patched` float64 [donor, word, slot, trial]: probability of each word with the last token patched;
        `clean` [word, trial] without a patch; `donated` [donor, word, trial] in the donor's own run;
        `direction`, `scene` (of the clean image), `part` [trial]. The attribute `kept` is the number of pairs
        answered right, of `drawn`; trials are these. `wiring` is the largest difference at the first and last
        slots, where the effect is known.

    Raises:
        WiringFailed: A patch before the first layer has an effect, or one after the last does not give the
            counterfactual's answer.
    """
    subject = request.subject
    kept = draw_kept_pairs(request, setting, make_opposite_pair, make_same_pair)
    counts = {"drawn": request.trials, "kept": len(kept)}
    if len({pairs[0].clean.trial.scene.key for pairs in kept}) < LEAST_SCENES:
        return xr.Dataset(attrs=counts)
    clean = [pairs[0].clean.trial for pairs in kept]
    words = [pairs[0].words for pairs in kept]
    unedited, _ = read_probabilities(subject, clean, words)
    patched, donated, worst = [], [], 0.0
    for number, donor in enumerate(DONORS):
        request.progress(number, len(DONORS))
        others = [pairs[number].counterfactual.trial for pairs in kept]

        def patch(batch: Batch, part: slice, others: list[Trial] = others) -> list[Variant]:
            """The patch of every slot."""
            other = subject.encode(others[part])
            values = Slots.capture(subject, other, find_last_token(other))
            return [values.write(slot, find_last_token(batch)) for slot in range(values.count)]

        found, _ = read_probabilities(subject, clean, words, patch, ROWS)
        own, _ = read_probabilities(subject, others, words)
        worst = max(
            worst,
            check_wiring(
                subject,
                found[0],
                unedited[0],
                f"the last token before the first layer is the same ({donor})",
            ),
            check_wiring(
                subject,
                found[-1],
                own[0],
                f"the last token after the last layer is the donor's ({donor})",
            ),
        )
        patched.append(found.transpose(2, 0, 1))
        donated.append(own[0].T)
    halves = Halves.deal(np.array([t.scene.key for t in clean]), request.rng)
    return xr.Dataset(
        {
            "patched": (("donor", "word", "slot", "trial"), np.stack(patched)),
            "clean": (("word", "trial"), unedited[0].T),
            "donated": (("donor", "word", "trial"), np.stack(donated)),
            "direction": (("trial",), list_directions([pairs[0] for pairs in kept])),
            "scene": (("trial",), halves.scenes),
            "part": (("trial",), halves.names),
        },
        {"donor": list(DONORS), "word": list(WORDS), "slot": np.arange(patched[0].shape[1])},
        {**counts, "wiring": worst},
    )


def measure(request: Request) -> xr.Dataset:
    """Patch the last token on rows of the Shapes setting, as `_measure` says."""
    return _measure(request, "shapes")


def measure_squares(request: Request) -> xr.Dataset:
    """Patch the last token on rows of the Squares setting, as `_measure` says."""
    return _measure(request, "squares")
