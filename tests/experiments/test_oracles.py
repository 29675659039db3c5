"""RSA, PCA and mediation on the embedded subjects' activations, against independent oracles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs, calc_rdm, compare
from scipy.spatial.distance import squareform
from scipy.stats import pearsonr
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from harness.experiments.patching import find_patched_tokens, score_heads
from harness.experiments.visual_symbols import components, similarity
from harness.machine.placement import count_threads
from harness.measures.components import neighbours_agree, project_to_plane
from harness.measures.similarity import cosine_rsm, position_rsm, rsa, rsa_draws
from harness.measuring.experiment import Request
from harness.readings.visual_symbols.components import Components
from harness.readings.visual_symbols.similarity import Similarity
from harness.stimuli.contrast import CONDITIONS, draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.subjects.loading import load
from harness.subjects.registry import read_registry
from harness.tracing.capture import capture, read_last_logits
from harness.tracing.site import find_layers

EMBEDDED = [name for name, entry in read_registry().items() if entry.kind == "embedded"]


def silent(done, of):
    pass


@pytest.fixture(scope="module", params=EMBEDDED)
def embedded(request):
    torch.set_num_threads(count_threads())
    return load(read_registry()[request.param])


@pytest.fixture(scope="module")
def states(embedded):
    """Trials and their residual streams at the last token, float32 [layer, trial, width]."""
    trials = draw_balanced_trials(embedded.grids[2], HIGH_ENTROPY[3], 64, np.random.default_rng(0))
    batch = embedded.encode(trials)
    last = torch.full((64, 1), batch.last)
    return trials, capture(embedded, batch, "residual", last)[:, :, 0].numpy()


def test_rsa_agrees_with_rsatoolbox_and_scipy(embedded, states):
    trials, layers = states
    where = np.array([embedded.grids[2].centre(t.scene.cell_of(t.target)) for t in trials])
    target = position_rsm(where)
    ours = rsa_draws(cosine_rsm(layers)[:, None], target[None], np.ones((1, 64), int))[0]
    spot = RDMs(1 - target[np.triu_indices(64, 1)][None])
    for layer, r in zip(layers.astype(np.float64), ours, strict=True):
        # rsatoolbox's Euclidean distances of unit vectors are 2 - 2 cos, over the width.
        unit = layer / np.linalg.norm(layer, axis=1, keepdims=True)
        theirs = calc_rdm(Dataset(unit), method="euclidean")
        cosine = 1 - squareform(cosine_rsm(layer), checks=False)
        assert theirs.dissimilarities[0] * unit.shape[1] / 2 == pytest.approx(cosine, abs=1e-6)
        assert r == pytest.approx(compare(theirs, spot, method="corr").item(), abs=1e-6)
        pair = np.tril_indices(64, -1)
        assert r == pytest.approx(
            pearsonr(cosine_rsm(layer)[pair], target[pair]).statistic, abs=1e-6
        )


def test_the_similarity_measurement_holds_what_rsa_gives(embedded):
    data = similarity.measure(Request(embedded, 64, np.random.default_rng(0)))
    trials = draw_balanced_trials(embedded.grids[2], HIGH_ENTROPY[3], 64, np.random.default_rng(0))
    batch = embedded.encode(trials)
    last = capture(embedded, batch, "residual", torch.full((64, 1), batch.last))[:, :, 0].numpy()
    where = np.array([embedded.grids[2].centre(t.scene.cell_of(t.target)) for t in trials])
    scenes = np.array([t.scene.key for t in trials])
    apart = np.tril(scenes[:, None] != scenes[None], -1)
    for layer in range(embedded.layers):
        cosine = cosine_rsm(last[layer])
        expected = pearsonr(cosine[apart], position_rsm(where)[apart]).statistic
        found = data.r.sel(pair="position@last", half="all", layer=layer).item()
        assert found == pytest.approx(expected, abs=1e-6)
    where = np.array(
        [[t.scene.grid.centre(t.scene.cell_of(o)) for o in t.described] for t in trials]
    )
    places = {
        "position@noun": [[mention[-1] for mention in row] for row in batch.mentions],
        "position@color": batch.colors,
        "position@separator": batch.separators,
    }
    for pair, tokens in places.items():
        read = capture(embedded, batch, "residual", torch.tensor(tokens), [3])[0].numpy()
        cosine = cosine_rsm(read.transpose(1, 0, 2))
        expected = rsa(cosine, position_rsm(where.transpose(1, 0, 2)), scenes=scenes)
        found = data.r.sel(pair=pair, half="all", layer=3).item()
        assert found == pytest.approx(expected, abs=1e-6)
    assert np.isfinite(data.r.values).all()
    assert np.isfinite(data.probe_right.values).all()


def test_planes_agree_with_scikit_learn(embedded, states):
    trials, layers = states
    labels = np.array([t.target.name for t in trials])
    for layer in layers[::3].astype(np.float64):
        ours, explained = project_to_plane(layer)
        theirs = PCA(2, svd_solver="full").fit(layer)
        signs = np.sign((ours * theirs.transform(layer)).sum(0))
        assert ours * signs == pytest.approx(theirs.transform(layer), abs=1e-6)
        assert explained == pytest.approx(theirs.explained_variance_ratio_, abs=1e-6)
        # Each trial a scene of its own: plain leave-one-out.
        agree = neighbours_agree(ours, labels, np.arange(64), k=1)
        left_out = [
            KNeighborsClassifier(1)
            .fit(np.delete(ours, i, 0), np.delete(labels, i))
            .predict(ours[i : i + 1])[0]
            for i in range(64)
        ]
        assert (agree == (np.array(left_out) == labels)).all()


def test_the_components_measurement_holds_what_pca_gives(embedded):
    data = components.measure(Request(embedded, 72, np.random.default_rng(0)))
    trials = components.draw_plane_trials(embedded.grids[3], 72, np.random.default_rng(0))
    batch = embedded.encode(trials)
    last = capture(embedded, batch, "residual", torch.full((72, 1), batch.last))[:, :, 0].numpy()
    for layer in (0, 5):
        theirs = PCA(2, svd_solver="full").fit_transform(last[layer].astype(np.float64))
        ours = data["plane"].sel(layer=layer).values
        assert np.abs(ours) == pytest.approx(np.abs(theirs), abs=1e-5)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_mediation_agrees_with_plain_hooks_one_head_at_a_time(embedded, condition):
    pairs = draw_contrasts(
        condition, embedded.grids[2], HIGH_ENTROPY[3], 3, np.random.default_rng(2)
    )
    ours = score_heads(embedded, pairs)
    width = embedded.model.config.get_text_config().hidden_size // embedded.heads
    layers = find_layers(embedded, embedded.model)
    for trial, pair in enumerate(pairs):
        clean, other = embedded.encode([pair.clean]), embedded.encode([pair.counterfactual])
        tokens = list(clean.mentions[0][0]) if pair.patched == "mention" else [clean.last]
        star, plain = (
            embedded.answer_id(pair.clean.prompt, w)
            for w in (pair.patched_answer, pair.clean_answer)
        )
        # Subtracted in double, so that the oracle adds no rounding of its own.
        before = read_last_logits(embedded, clean)[0].double()
        for layer, head in ((0, 0), (1, 7), (3, 2), (5, 5), (7, 1)):
            part = slice(head * width, (head + 1) * width)
            seen = []
            module = layers[layer].self_attn.o_proj
            handle = module.register_forward_pre_hook(
                lambda m, a, seen=seen: seen.append(a[0].clone())
            )
            read_last_logits(embedded, other)
            handle.remove()

            def put(module, arguments, seen=seen, part=part, tokens=tokens):
                value = arguments[0].clone()
                value[0, tokens, part] = seen[0][0, tokens, part]
                return (value,)

            handle = module.register_forward_pre_hook(put)
            after = read_last_logits(embedded, clean)[0].double()
            handle.remove()
            expected = (after[star] - after[plain]) - (before[star] - before[plain])
            assert ours[trial, layer, head] == pytest.approx(expected.item(), abs=1e-5)


def test_a_shorter_mention_repeats_its_last_token(embedded):
    pairs = draw_contrasts(
        "id_retrieval", embedded.grids[2], HIGH_ENTROPY[3], 2, np.random.default_rng(0)
    )
    batch = embedded.encode([p.clean for p in pairs])
    batch = replace(batch, mentions=(((70, 71, 72),), ((71, 72),)))
    assert find_patched_tokens(batch, pairs).tolist() == [[70, 71, 72], [71, 72, 72]]


@pytest.mark.deep
@pytest.mark.parametrize("seed", [0, 1])
def test_a_subject_that_sees_one_image_supports_no_claim_about_features(
    embedded, monkeypatch, seed
):
    """The words must not do the work: every trial shows the same image, whatever its scene."""
    encode = type(embedded)._encode_images

    def blind(self, scenes):
        encode(self, scenes)
        one = next(iter(self._images.values()))
        for scene in scenes:
            self._images[scene.key] = one

    monkeypatch.setattr(type(embedded), "_encode_images", blind)
    embedded._images.clear()
    rng = np.random.default_rng(seed)
    curves = Similarity(similarity.measure(Request(embedded, 144, rng)))
    planes = Components(components.measure(Request(embedded, 432, rng)))
    embedded._images.clear()
    assert curves.late("features@last").interval(0.95)[1] < 0.75
    for pair in similarity.PAIRS[:2]:
        assert curves.strength(pair).interval(0.95)[1] < 0.40
        assert curves.readable(pair).interval(0.95)[1] < 0.25
    # Of nine objects the words leave six.
    assert curves.readable("features@last").interval(0.95)[1] < 0.25
    assert planes.accuracy("identity").interval(0.95)[1] < 0.85
    assert planes.lead("identity").interval(0.95)[1] < 0.40
    assert planes.accuracy("position").interval(0.95)[1] < 0.85
    assert planes.lead("position").interval(0.95)[1] < 0.45
