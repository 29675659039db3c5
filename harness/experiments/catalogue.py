"""Every experiment that needs nothing but a subject; those on photographs are made from the user's folder."""

from __future__ import annotations

from harness.experiments.behaviour import BEHAVIOUR, READINESS
from harness.experiments.blocks import BLOCKS
from harness.experiments.components import COMPONENTS
from harness.experiments.counting import COUNTING
from harness.experiments.entropy import ENTROPY
from harness.experiments.keys import KEYS
from harness.experiments.listing import LISTING
from harness.experiments.measuring import Experiment
from harness.experiments.mediation import MEDIATION
from harness.experiments.repair import REPAIR
from harness.experiments.retrieval_variants import RETRIEVAL_VARIANTS
from harness.experiments.reuse import REUSE
from harness.experiments.similarity import SIMILARITY
from harness.experiments.similarity_variants import ARRANGED, SIMILARITY_VARIANTS
from harness.experiments.steering import STEERING, STEERING_DRAWN
from harness.experiments.transplant import TRANSPLANT

EXPERIMENTS: tuple[Experiment, ...] = (
    BEHAVIOUR,
    READINESS,
    SIMILARITY,
    COMPONENTS,
    MEDIATION,
    BLOCKS,
    TRANSPLANT,
    STEERING,
    STEERING_DRAWN,
    KEYS,
    REUSE,
    ENTROPY,
    LISTING,
    COUNTING,
    REPAIR,
    RETRIEVAL_VARIANTS,
    SIMILARITY_VARIANTS,
    ARRANGED,
)
