import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stimuli import prompt as prompts
from harness.stimuli.contrast import CONDITIONS, draw_contrasts
from harness.stimuli.design import (
    HIGH_ENTROPY,
    LOW_ENTROPY,
    PCA_CELLS,
    draw_balanced_trials,
)
from harness.stimuli.scene import EMBEDDED_GRIDS, PAPER_GRIDS, Cell, Object, Scene

RED, BLUE, GREEN = (Object.named(n) for n in ("red square", "blue circle", "green triangle"))
seeds = st.integers(0, 2**32 - 1)


def words(prompt, spans):
    whole = prompt.text + prompt.completion
    return [whole[a:b] for a, b in spans if (a, b)]


def test_the_prompt_of_the_mediation_analysis_is_the_papers():
    prompt = prompts.scene_description((RED,), BLUE, commas=False)
    assert prompt.text == "In this image there is a red square and a"
    assert (prompt.completion, prompt.answer) == (" blue circle.", "blue")


def test_the_prompt_of_rsa_has_a_comma_after_every_described_object():
    prompt = prompts.scene_description((RED, BLUE), GREEN)
    assert prompt.text == "In this image there is a red square, a blue circle, and a"
    assert words(prompt, prompt.separators[:2]) == [",", ","]
    assert prompt.separators[0][0] == prompt.mentions[0][1]


def test_questions_are_the_papers():
    assert prompts.color_question("star", "red").text == (
        "In this image what is the color of the star. Answer with the correct color only."
    )
    assert prompts.spatial_question("left", RED, "blue").text == (
        "In this image, what is the color of the object that is directly left of red square. "
        "Answer with the relevant color only."
    )
    listed = prompts.numbered_list((RED, BLUE), 1)
    assert (listed.text, listed.answer) == ("In this image there is 1. a red square 2. a", "blue")


def test_a_grounded_caption_points_to_the_cell():
    scene = Scene(PAPER_GRIDS[2], (RED, BLUE), (Cell(0, 1), Cell(1, 0)))
    prompt = prompts.grounded_caption(scene, (1, 0))
    assert prompt.text == "In this image there is a blue circle at bottom left, a red square at"
    assert prompt.completion == " top right,"


@given(seeds)
def test_spans_cover_the_names_of_the_objects(seed):
    rng = np.random.default_rng(seed)
    trial = draw_balanced_trials(EMBEDDED_GRIDS[3], HIGH_ENTROPY[3], 1, rng)[0]
    named = words(trial.prompt, trial.prompt.mentions)
    assert named == [o.name for o in (*trial.described, trial.target)]
    assert trial.answer == trial.target.color


@pytest.mark.parametrize("size", [2, 3])
def test_entropy_sets_have_one_object_per_cell(size):
    for objects in (HIGH_ENTROPY[size], LOW_ENTROPY[size]):
        assert len(set(objects)) == size * size
    assert len({o.color for o in HIGH_ENTROPY[size]}) == size * size
    assert len({o.color for o in LOW_ENTROPY[size]}) == size


@given(seeds)
def test_targets_and_cells_are_balanced(seed):
    rng = np.random.default_rng(seed)
    trials = draw_balanced_trials(EMBEDDED_GRIDS[3], HIGH_ENTROPY[3], 108, rng, cells=PCA_CELLS)
    pairs = [(t.target, t.scene.cell_of(t.target)) for t in trials]
    assert {pairs.count(p) for p in pairs} == {2}
    assert {c for t in trials for c in t.scene.cells} == set(PCA_CELLS)


def test_the_words_do_not_determine_the_target():
    rng = np.random.default_rng(0)
    trials = draw_balanced_trials(EMBEDDED_GRIDS[2], HIGH_ENTROPY[3], 720, rng)
    targets = {}
    for trial in trials:
        targets.setdefault(frozenset(trial.described), set()).add(trial.target)
    assert np.mean([len(t) for t in targets.values()]) > 4
    assert len({t.scene.key for t in trials}) > 600


def test_mention_order_says_nothing_about_position():
    trials = draw_balanced_trials(
        EMBEDDED_GRIDS[2], HIGH_ENTROPY[2], 1600, np.random.default_rng(0)
    )
    table = np.zeros((3, 4))
    for trial in trials:
        for slot, obj in enumerate(trial.described):
            cell = trial.scene.cell_of(obj)
            table[slot, 2 * cell.row + cell.column] += 1
    from scipy.stats import chi2_contingency

    assert chi2_contingency(table).pvalue > 0.001


@given(seeds, st.sampled_from(CONDITIONS))
def test_contrasts_change_what_they_say(seed, condition):
    rng = np.random.default_rng(seed)
    pair = draw_contrasts(condition, EMBEDDED_GRIDS[2], HIGH_ENTROPY[3], 1, rng)[0]
    clean, other = pair.clean, pair.counterfactual
    assert clean.prompt.text == other.prompt.text
    assert clean.answer == pair.clean_answer == clean.target.color
    assert pair.patched_answer != pair.clean_answer
    described = clean.described[0]
    if condition == "feature_retrieval":
        assert clean.scene.cells == other.scene.cells
        assert other.scene.cell_of(described) == clean.scene.cell_of(described)
        assert pair.patched_answer == other.answer
        assert {other.target.color, other.target.shape}.isdisjoint(
            {x for o in clean.scene.objects for x in (o.color, o.shape)}
        )
    else:
        # The counterfactual keeps both objects and exchanges their places.
        assert set(clean.scene.objects) == set(other.scene.objects)
        assert other.scene.cell_of(described) == clean.scene.cell_of(clean.target)
        assert other.answer == clean.answer
        assert pair.patched_answer == described.color
    assert pair.patched == ("mention" if condition == "id_retrieval" else "last")


def test_which_object_is_described_does_not_depend_on_its_place():
    pairs = draw_contrasts(
        "id_selection", EMBEDDED_GRIDS[2], HIGH_ENTROPY[3], 2000, np.random.default_rng(0)
    )
    first = [
        p.clean.scene.cell_of(p.clean.described[0]) < p.clean.scene.cell_of(p.clean.target)
        for p in pairs
    ]
    assert 0.46 < np.mean(first) < 0.54


def test_the_same_seed_draws_the_same_trials():
    a, b = (
        draw_balanced_trials(EMBEDDED_GRIDS[2], HIGH_ENTROPY[2], 40, np.random.default_rng(5))
        for _ in range(2)
    )
    assert a == b


def test_an_unknown_relation_is_refused():
    with pytest.raises(ValueError, match="unknown relation 'near'"):
        prompts.spatial_question("near", RED, "blue")
