"""Every experiment that needs nothing but a subject; those on photographs are made from the user's folder."""

from __future__ import annotations

from harness.experiments.reproduction.arrangements import ARRANGED
from harness.experiments.reproduction.retrieval_variants import RETRIEVAL_VARIANTS
from harness.experiments.reproduction.similarity_variants import SIMILARITY_VARIANTS
from harness.experiments.visual_symbols.behaviour import BEHAVIOUR, READINESS
from harness.experiments.visual_symbols.blocks import BLOCKS
from harness.experiments.visual_symbols.components import COMPONENTS
from harness.experiments.visual_symbols.counting import COUNTING
from harness.experiments.visual_symbols.entropy import ENTROPY
from harness.experiments.visual_symbols.keys import KEYS
from harness.experiments.visual_symbols.listing import LISTING
from harness.experiments.visual_symbols.mediation import MEDIATION
from harness.experiments.visual_symbols.repair import REPAIR
from harness.experiments.visual_symbols.reuse import REUSE
from harness.experiments.visual_symbols.similarity import SIMILARITY
from harness.experiments.visual_symbols.steering import STEERING, STEERING_DRAWN
from harness.experiments.visual_symbols.transplant import TRANSPLANT
from harness.measuring.measuring import Experiment

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
