"""Neighbours, PCA, t-SNE and UMAP against scikit-learn, openTSNE, umap-learn and closed formulas."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from importlib import metadata
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fmnist_core.data import dataset
from fmnist_core.embedding import forces, kernels, measures, neighbour_graphs, tsne
from fmnist_core.embedding import umap as umap_module
from fmnist_core.embedding.map_methods import METHODS, Frame, Gap, MapSettings, settings_of
from fmnist_core.embedding.maps import align, displacement, film, make, warm
from fmnist_core.embedding.measures import ranks, spearman
from fmnist_core.embedding.neighbour_graphs import Graph, fuzzy_graph, joint_probabilities
from fmnist_core.embedding.neighbours import METRICS, EmbeddingError, Neighbours, nearest, nearest_to
from fmnist_core.embedding.pca import pca
from fmnist_core.embedding.umap import curve, umap
from fmnist_core.jobs.reference_umap import all_makers

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def pixels() -> Floats:
    """600 test images: enough for neighbourhoods, few enough for oracles that take their time."""
    images = dataset.load("sample").test_images[:600]
    return np.asarray(images).reshape(len(images), -1).astype(np.float32) / np.float32(255)


@pytest.fixture(scope="module")
def found(pixels: Floats) -> Neighbours:
    return near(pixels, 90)


def near(features: Floats, k: int, metric: str = "euclidean") -> Neighbours:
    neighbours = nearest(features, k, metric)
    assert neighbours is not None
    return neighbours


def whole_film(epochs: list[Callable[[], Floats]], settings: MapSettings, **options: Any) -> list[Frame]:
    """The film of epochs that can all be mapped."""
    frames = [frame for frame in film(epochs, settings, **options) or () if isinstance(frame, Frame)]
    assert len(frames) == len(epochs)
    return frames


def near_classes(n: int, width: int, seed: int = 0) -> Floats:
    """Rows like saturated outputs: most of them within 1e-4 of one of five corners, many exactly equal."""
    rng = np.random.default_rng(seed)
    rows = np.eye(5, width)[rng.integers(0, 5, n)] * (1 - 1e-4 * rng.random((n, 1)))
    rows[::3] = np.round(rows[::3])
    return rows.astype(np.float32)


class TestNeighbours:
    @pytest.mark.parametrize("metric", METRICS)
    def test_scikit_learn_finds_the_same(self, pixels: Floats, metric: str) -> None:
        from sklearn.neighbors import NearestNeighbors

        ours = near(pixels, 20, metric)
        theirs = NearestNeighbors(n_neighbors=20, metric=metric, algorithm="brute").fit(pixels.astype(np.float64))
        distances, indices = theirs.kneighbors()
        np.testing.assert_allclose(ours.distances, distances, rtol=1e-4, atol=1e-6)
        assert np.mean(ours.indices == indices) > 0.999  # nearly equal distances may change places

    def test_equal_rows_are_at_no_distance(self) -> None:
        rows = np.repeat(np.random.default_rng(0).normal(100, 1, (40, 300)), 3, axis=0).astype(np.float32)
        ours = near(rows, 3)
        assert (ours.distances[:, :2] == 0).all()
        assert (ours.distances[:, 2] > 1).all()
        assert (ours.indices[:, :2] // 3 == np.arange(120)[:, None] // 3).all()
        assert (ours.indices != np.arange(120)[:, None]).all()

    def test_what_saturated_outputs_still_tell_apart_counts(self) -> None:
        rows = near_classes(400, 10)
        exact = np.linalg.norm(rows[:, None].astype(np.float64) - rows, axis=2)
        np.fill_diagonal(exact, np.inf)
        np.testing.assert_allclose(near(rows, 15).distances, np.sort(exact, axis=1)[:, :15], rtol=1e-4, atol=1e-9)

    @pytest.mark.parametrize("metric", METRICS)
    def test_a_few_queries_find_the_same(self, pixels: Floats, metric: str) -> None:
        asked = nearest_to(pixels[:5], pixels, 11, metric)
        assert (asked.indices[:, 0] == np.arange(5)).all()
        np.testing.assert_allclose(asked.distances[:, 1:], near(pixels, 10, metric).distances[:5], rtol=1e-4, atol=1e-6)

    @settings(deadline=None)  # the first example compiles
    @given(st.integers(2, 60), st.integers(1, 70), st.integers(0, 2**32 - 1))
    def test_any_shape_gives_the_smallest_distances(self, n: int, width: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        rows = rng.integers(0, 3, (n, width)).astype(np.float32)  # whole numbers: many ties, exact squares
        k = int(rng.integers(1, n))
        ours = near(rows, k)
        squares = np.square(rows[:, None] - rows).sum(axis=2)
        np.fill_diagonal(squares, np.inf)
        np.testing.assert_allclose(np.square(ours.distances), np.sort(squares, axis=1)[:, :k], rtol=1e-5)
        assert all(len(set(row)) == k for row in ours.indices.tolist())

    def test_it_stops(self, pixels: Floats) -> None:
        assert nearest(pixels, 5, should_stop=lambda: True) is None

    @pytest.mark.parametrize(
        ("k", "metric", "words"), [(600, "euclidean", "600 neighbours"), (5, "manhattan", "'manhattan'")]
    )
    def test_what_cannot_be_is_refused(self, pixels: Floats, k: int, metric: str, words: str) -> None:
        with pytest.raises(EmbeddingError, match=words):
            nearest(pixels, k, metric)


class TestPCA:
    @pytest.mark.parametrize("dimensions", [2, 3])
    def test_scikit_learn_finds_the_same(self, pixels: Floats, dimensions: int) -> None:
        from sklearn.decomposition import PCA

        ours, theirs = pca(pixels, dimensions), PCA(dimensions, svd_solver="full")
        points = theirs.fit_transform(pixels.astype(np.float64))
        points *= np.sign(np.sum(points * ours.points, axis=0))
        np.testing.assert_allclose(ours.points, points, atol=1e-3)
        np.testing.assert_allclose(ours.explained, theirs.explained_variance_ratio_, rtol=1e-4)

    def test_signs_do_not_depend_on_luck(self, pixels: Floats) -> None:
        order = np.random.default_rng(0).permutation(len(pixels))
        np.testing.assert_allclose(pca(pixels[order]).points, pca(pixels).points[order], atol=1e-3)

    def test_missing_axes_are_zero(self) -> None:
        found = pca(np.arange(8, dtype=np.float32)[:, None], 3)
        assert found.points.shape == (8, 3)
        assert (found.points[:, 1:] == 0).all()
        np.testing.assert_allclose(found.explained, [1, 0, 0])


class TestAlign:
    @pytest.mark.parametrize("mirror", [1, -1])
    @pytest.mark.parametrize("dimensions", [2, 3])
    def test_a_turned_mirrored_moved_map_comes_back(self, dimensions: int, mirror: int) -> None:
        rng = np.random.default_rng(0)
        points = rng.normal(0, 10, (50, dimensions)).astype(np.float32)
        turn = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
        turn[0] *= mirror * np.sign(np.linalg.det(turn))
        changed = (points @ turn + 7).astype(np.float32)
        np.testing.assert_allclose(align(changed, points), points, atol=1e-4)
        np.testing.assert_allclose(align(3 * changed, points, scale=True), points, atol=1e-4)
        assert displacement(points, align(changed, points)) < 1e-5

    def test_displacement_is_relative_to_the_radius(self) -> None:
        square = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
        assert displacement(5 * square, 5 * square + np.array([3, 4], np.float32)) == pytest.approx(1 / np.sqrt(2))


def closed_formula(p: NDArray[np.float64], points: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """van der Maaten & Hinton (2008), equations 2 (KL), 4 and 5, term by term."""
    differences = points[:, None] - points
    w = 1 / (1 + np.square(differences).sum(axis=2))
    np.fill_diagonal(w, 0)
    q = w / w.sum()
    there = p > 0
    kl = np.sum(p[there] * np.log(p[there] / q[there]))
    return kl, 4 * np.einsum("ij,ijd->id", (p - q) * w, differences)


def dense(graph: Graph) -> NDArray[np.float64]:
    from scipy.sparse import csr_array

    n = len(graph.starts) - 1
    matrix: NDArray[np.float64] = csr_array(
        (graph.weights.astype(np.float64), graph.ends, graph.starts), (n, n)
    ).toarray()
    return matrix


class TestTSNE:
    @pytest.mark.parametrize("n", [9, 10, 11, 12, 150])  # the forces go by groups of four
    def test_gradient_is_the_closed_formula(self, n: int) -> None:
        rng = np.random.default_rng(n)
        graph = joint_probabilities(near(rng.normal(size=(n, 5)).astype(np.float32), min(n - 1, 30)), min(n / 4, 10))
        points = rng.normal(0, 3, (n, 2)).astype(np.float32)
        kl, slope = tsne.gradient(graph, points)
        true_kl, true_slope = closed_formula(dense(graph), points.astype(np.float64))
        assert kl == pytest.approx(true_kl, rel=1e-5)
        np.testing.assert_allclose(slope, true_slope, atol=1e-5 * np.abs(true_slope).max())

    def test_gradient_is_that_of_opentsne(self, found: Neighbours) -> None:
        from openTSNE import TSNEEmbedding
        from openTSNE.affinity import PrecomputedAffinities
        from openTSNE.tsne import kl_divergence_bh

        graph, rng = joint_probabilities(found, 30), np.random.default_rng(0)
        points = rng.normal(0, 5, (600, 2)).astype(np.float32)
        theirs = PrecomputedAffinities(dense(graph), normalize=False)
        embedding = TSNEEmbedding(points.astype(np.float64), theirs)
        kl, slope = kl_divergence_bh(embedding, theirs.P, dof=1, bh_params={"theta": 0.0}, should_eval_error=True)
        ours_kl, ours = tsne.gradient(graph, points)
        assert ours_kl == pytest.approx(kl, rel=1e-4)
        np.testing.assert_allclose(ours / 4, slope, atol=1e-4 * np.abs(slope).max())

    def test_affinities_are_those_of_opentsne(self, pixels: Floats, found: Neighbours) -> None:
        from openTSNE.affinity import joint_probabilities_nn

        theirs = joint_probabilities_nn(found.indices, found.distances.astype(np.float64), [30.0])
        np.testing.assert_allclose(dense(joint_probabilities(found, 30)), theirs.toarray(), rtol=1e-3, atol=1e-9)

    def test_affinities_have_the_perplexity_at_any_scale(self, found: Neighbours) -> None:
        small = found._replace(distances=found.distances * np.float32(1e-6))
        np.testing.assert_allclose(
            dense(joint_probabilities(small, 30)), dense(joint_probabilities(found, 30)), rtol=1e-3
        )
        assert dense(joint_probabilities(found, 30)).sum() == pytest.approx(1)


@pytest.fixture(scope="module")
def umap_learn() -> Iterator[ModuleType]:
    """The reference implementation. Without TensorFlow, which it would import for a part that is not needed here.

    That entry alone is put back: modules imported meanwhile, numba's among them, must not be imported twice.
    """
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setitem(sys.modules, "tensorflow", None)
        warnings.simplefilter("ignore")
        from umap import umap_

        yield umap_


class TestUMAP:
    @pytest.mark.parametrize("min_dist", [0.0, 0.1, 0.5, 0.99])
    def test_the_curve_is_that_of_umap_learn(self, umap_learn: ModuleType, min_dist: float) -> None:
        np.testing.assert_allclose(curve(min_dist), umap_learn.find_ab_params(1.0, min_dist), rtol=1e-4)

    @pytest.mark.parametrize("rows", ["pixels", "near classes"])
    def test_the_graph_is_that_of_umap_learn(self, umap_learn: ModuleType, pixels: Floats, rows: str) -> None:
        features = pixels if rows == "pixels" else near_classes(600, 10)
        neighbours, own = near(features, 14), np.arange(600)[:, None]
        indices = np.hstack([own, neighbours.indices])
        distances = np.hstack([np.zeros((600, 1), np.float32), neighbours.distances])
        theirs, *_ = umap_learn.fuzzy_simplicial_set(features, 15, None, "euclidean", {}, indices, distances)
        np.testing.assert_allclose(dense(fuzzy_graph(neighbours, 15)), theirs.toarray(), rtol=1e-3, atol=1e-4)

    def test_maps_are_as_trustworthy_as_those_of_umap_learn(self, umap_learn: ModuleType, pixels: Floats) -> None:
        from sklearn.manifold import trustworthiness

        pixels = pixels[:300]  # the reference takes its time
        neighbours = near(pixels, 14)
        ours, theirs = [], []
        for seed in range(2):
            reference = umap_learn.UMAP(random_state=seed, n_jobs=1).fit_transform(pixels)
            theirs.append(trustworthiness(pixels, reference, n_neighbors=15))
            frame = umap(pixels, neighbours, MapSettings("umap", seed=seed))
            assert frame
            ours.append(trustworthiness(pixels, frame.points, n_neighbors=15))
        assert np.mean(ours) > np.mean(theirs) - 0.005

    def test_three_dimensions_are_laid_out_too(self, pixels: Floats) -> None:
        frame = umap(pixels, near(pixels, 14), MapSettings("umap", dimensions=3))
        assert frame is not None and frame.points.shape == (600, 3)
        assert (frame.points.std(axis=0) > 0.5).all()


@pytest.fixture(scope="module")
def labels() -> NDArray[np.uint8]:
    return dataset.load("sample").test_labels[:600]


class TestMeasures:
    @pytest.mark.parametrize("metric", METRICS)
    def test_scikit_learn_measures_the_same(self, pixels: Floats, labels: NDArray[np.uint8], metric: str) -> None:
        from sklearn.manifold import trustworthiness
        from sklearn.metrics import silhouette_score
        from sklearn.neighbors import KNeighborsClassifier

        points, exact = pca(pixels).points, pixels.astype(np.float64)
        ours = measures.trust(pixels, points, labels, near(pixels, 20, metric), metric)
        expected = trustworthiness(exact, points, n_neighbors=15, metric=metric)
        assert ours.trustworthiness == pytest.approx(expected, abs=1e-5)
        assert ours.silhouette == pytest.approx(silhouette_score(exact, labels, metric=metric), abs=1e-5)
        if metric == "euclidean":  # the continuity is the trustworthiness of the layer as a map of the map
            assert ours.continuity == pytest.approx(trustworthiness(points, exact, n_neighbors=15), abs=1e-5)
        for rows, found, kind in ((exact, ours.knn_layer, metric), (points, ours.knn_map, "euclidean")):
            voters = KNeighborsClassifier(15, metric=kind, algorithm="brute").fit(rows, labels)
            expected = np.mean(voters.predict(None) == labels)  # None: leaving each point out
            assert found == pytest.approx(expected, abs=0.002)  # nearly equal distances may decide one vote

    def test_separation_is_what_trust_says_of_the_layer(self, pixels: Floats, labels: NDArray[np.uint8]) -> None:
        whole = measures.trust(pixels, pca(pixels).points, labels, near(pixels, 15))
        right, silhouette = measures.separation(pixels, labels)
        assert (right.mean(), silhouette) == (whole.knn_layer, whole.silhouette)

    def test_a_layer_is_its_own_perfect_map(self, pixels: Floats, labels: NDArray[np.uint8]) -> None:
        found = measures.trust(pixels, pixels, labels, near(pixels, 15))
        assert found.trustworthiness == found.continuity == found.overlap == 1

    def test_overlap_of_random_maps_is_what_chance_gives(self) -> None:
        rng = np.random.default_rng(0)
        a, b = (near(rng.normal(size=(1000, 2)).astype(np.float32), 15).indices for _ in range(2))
        assert measures.overlap(a, b) == pytest.approx(15 / 999, abs=0.004)

    def test_one_class_or_few_points_have_no_such_measure(self, pixels: Floats) -> None:
        assert np.isnan(measures.silhouette(pixels, np.zeros(600, np.uint8)))
        assert np.isnan(measures.trustworthiness(pixels[:20], near(pixels[:20], 15).indices))

    def test_a_class_of_one_point_has_no_width(self, pixels: Floats, labels: NDArray[np.uint8]) -> None:
        from sklearn.metrics import silhouette_score

        alone = labels.copy()
        alone[0] = 10
        expected = silhouette_score(pixels.astype(np.float64), alone)
        assert measures.silhouette(pixels, alone) == pytest.approx(expected, abs=1e-5)


class TestReading:
    def test_rank_correlation_is_spearmans(self) -> None:
        from scipy.stats import spearmanr

        rng = np.random.default_rng(0)
        a, b = rng.integers(0, 6, 40).astype(float), rng.integers(0, 6, 40).astype(float)  # many ties
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
        assert np.isnan(spearman(a, np.ones(40)))

    def test_a_layer_keeps_its_own_order(self, pixels: Floats, labels: NDArray[np.uint8]) -> None:
        assert ranks(pixels, 3 * pixels, labels) == pytest.approx((1, 1))

    def test_equal_sizes_and_other_places_show(self) -> None:
        rng, labels = np.random.default_rng(0), np.repeat(np.arange(6, dtype=np.uint8), 50)
        noise, places = rng.normal(size=(300, 2)), np.array([[0, 0], [1, 0], [3, 0], [7, 0], [15, 0], [31, 0]]) * 100.0
        layer = ((labels[:, None] + 1) * noise + places[labels]).astype(np.float32)
        turned = ((6 - labels[:, None]) * noise + places[labels]).astype(np.float32)
        found = ranks(layer, turned, labels)
        assert found.spread == pytest.approx(-1) and found.distance == pytest.approx(1)

    def test_few_classes_have_no_order(self, pixels: Floats, labels: NDArray[np.uint8]) -> None:
        assert np.isnan(ranks(pixels, pixels, labels % 3)).all()


class TestMethods:
    @pytest.mark.parametrize("name", METHODS)
    def test_each_row_is_whole(self, name: str) -> None:
        method, declared = METHODS[name], settings_of(MapSettings)
        assert set(method.settings) <= set(declared) - {"method", "dimensions"}
        assert set(method.dimensions) <= set(declared["dimensions"].choices)
        with all_makers() as makers:
            assert callable(makers[name])
        assert all(metadata.version(package) for package in method.packages)
        if method.size:
            assert method.size in method.settings
            assert all(declared[method.size].problem(method.size, size) is None for size in method.tries)
            assert method.rule[1].format(**asdict(MapSettings(name)))

    def test_each_default_is_allowed_and_each_setting_is_some_methods(self) -> None:
        for name, declared in settings_of(MapSettings).items():
            assert declared.problem(name, declared.default) is None
            assert all(declared.problem(name, value) is None for value in declared.usual)
            assert name in {"method", "dimensions"} or any(name in method.settings for method in METHODS.values())


ALL = [
    MapSettings("tsne"),
    MapSettings("umap"),
    MapSettings("umap", dimensions=3),
    MapSettings("pca"),
    MapSettings("pca", dimensions=3),
]


class TestMaps:
    @pytest.mark.parametrize("settings", ALL, ids=str)
    def test_the_same_seed_makes_the_same_map(self, pixels: Floats, settings: MapSettings) -> None:
        first, second = (make(pixels[:300], settings) for _ in range(2))
        assert first and second
        np.testing.assert_array_equal(first.points, second.points)
        assert first.points.shape == (300, settings.dimensions)
        assert first.points.dtype == np.float32
        assert np.isfinite(first.points).all()
        assert np.isfinite(first.kl) == (settings.method == "tsne")

    def test_another_seed_makes_another_map(self, pixels: Floats) -> None:
        first, second = (make(pixels[:300], MapSettings("umap", seed=seed)) for seed in (1, 2))
        assert first and second
        assert displacement(first.points, align(second.points, first.points)) > 0.05

    def test_more_neighbours_than_needed_change_nothing(self, pixels: Floats) -> None:
        settings = MapSettings("tsne", perplexity=10)
        alone, given = make(pixels[:300], settings), make(pixels[:300], settings, near(pixels[:300], 60))
        assert alone and given
        np.testing.assert_array_equal(alone.points, given.points)

    def test_the_maps_kl_is_not_above_scikit_learns(self, pixels: Floats) -> None:
        from sklearn.manifold import TSNE

        ours = make(pixels, MapSettings("tsne"))
        theirs = TSNE(init="pca", random_state=42).fit_transform(pixels)
        graph = joint_probabilities(near(pixels, 90), 30)
        assert ours
        assert tsne.gradient(graph, ours.points)[0] == pytest.approx(ours.kl, rel=1e-4)
        assert ours.kl <= 1.01 * tsne.gradient(graph, theirs)[0]

    @pytest.mark.parametrize("settings", ALL, ids=str)
    def test_watchers_see_it_grow(self, pixels: Floats, settings: MapSettings) -> None:
        seen: list[tuple[float, str, Floats | None]] = []
        make(pixels[:300], settings, watch=lambda *told: seen.append(told))
        shares = [share for share, _, _ in seen]
        assert shares == sorted(shares) and shares[0] == 0 and shares[-1] <= 1
        maps = [points for _, _, points in seen if points is not None]
        assert all(points.shape == (300, settings.dimensions) for points in maps)
        assert len(maps) >= (0 if settings.method == "pca" else 10)

    @pytest.mark.parametrize(("method", "after"), [("tsne", 0), ("tsne", 5), ("umap", 0), ("umap", 5), ("pca", 0)])
    def test_it_stops(self, pixels: Floats, method: str, after: int) -> None:
        answers = iter([False] * after)
        assert make(pixels[:300], MapSettings(method), should_stop=lambda: next(answers, True)) is None

    @pytest.mark.parametrize("method", ["tsne", "umap", "pca"])
    def test_many_equal_rows_work(self, method: str) -> None:
        made = make(near_classes(400, 10), MapSettings(method))
        assert made and np.isfinite(made.points).all()

    def test_warm_leaves_nothing_to_compile(self, pixels: Floats) -> None:
        warm()
        compiled = [
            function
            for module in (forces, kernels, measures, neighbour_graphs, umap_module)
            for function in vars(module).values()
            if hasattr(function, "signatures")
        ]
        before = [len(function.signatures) for function in compiled]
        assert len(before) >= 9 and sum(before) >= 9
        for each in ALL:
            make(pixels[:300], each)
        kind = np.arange(300, dtype=np.uint8) % 10
        for rows in (pixels[:300], pixels[:300, :20].copy()):  # wide ones are float32, narrow ones float64
            measures.trust(rows, pca(rows).points, kind, near(rows, 15))
        assert [len(function.signatures) for function in compiled] == before


@pytest.fixture(scope="module")
def epochs(pixels: Floats) -> list[Callable[[], Floats]]:
    """The output probabilities of a small network for the images that it learns, after each of ten epochs."""
    rng, kinds = np.random.default_rng(0), np.eye(10)[dataset.load("sample").test_labels[:600]]
    first, second = rng.normal(0, 0.05, (784, 64)), rng.normal(0, 0.2, (64, 10))
    found = []
    for _ in range(10):
        for batch in np.array_split(rng.permutation(600), 40):
            hidden = np.maximum(pixels[batch] @ first, 0)
            slope = (softmax(hidden @ second) - kinds[batch]) / len(batch)
            first -= 0.1 * pixels[batch].T @ (slope @ second.T * (hidden > 0))
            second -= 0.1 * hidden.T @ slope
        found.append(softmax(np.maximum(pixels @ first, 0) @ second).astype(np.float32))
    return [partial(np.asarray, rows) for rows in found]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def faithful(features: Floats, points: Floats) -> float:
    return measures.trustworthiness(features, near(points, 15).indices)


class TestFilm:
    @pytest.mark.parametrize("method", ["tsne", "umap"])
    def test_points_move_less_than_half_as_far_as_in_maps_of_their_own(
        self, epochs: list[Callable[[], Floats]], method: str
    ) -> None:
        features, settings = epochs, MapSettings(method)
        frames = whole_film(features, settings)
        alone = [frame for each in features if (frame := make(each(), settings))]
        assert len(alone) == len(features)
        moved = [displacement(b.points, a.points) for a, b in pairwise(frames)]
        apart = [displacement(b.points, align(a.points, b.points)) for a, b in pairwise(alone)]
        assert np.mean(moved) <= 0.5 * np.mean(apart)
        for frame, other, each in zip(frames, alone, features, strict=True):
            assert faithful(each(), frame.points) > faithful(each(), other.points) - 0.02
            if method == "tsne":
                assert frame.kl < 1.1 * other.kl

    def test_the_last_comes_first_and_is_the_map_itself(self, epochs: list[Callable[[], Floats]]) -> None:
        features, settings, kept = epochs[:3], MapSettings("tsne", perplexity=10), []
        frames = whole_film(features, settings, keep=lambda place, *rest: kept.append((place, *rest)), at_least=40)
        assert [place for place, *_ in kept] == [2, 1, 0]
        for place, frame, rows, neighbours in kept:
            np.testing.assert_array_equal(frame.points, frames[place].points)
            np.testing.assert_array_equal(rows, features[place]())
            assert neighbours.indices.shape == (600, 40)
        last = make(features[2](), settings)
        assert last
        np.testing.assert_array_equal(frames[2].points, last.points)

    def test_principal_components_are_turned_over_each_other(self, pixels: Floats) -> None:
        frames = whole_film([lambda: pixels, lambda: pixels[:, ::-1].copy()], MapSettings("pca"))
        assert displacement(frames[1].points, frames[0].points) < 1e-3

    def test_watchers_see_all_of_it(self, epochs: list[Callable[[], Floats]]) -> None:
        seen: list[tuple[float, str]] = []
        film(epochs[:2], MapSettings("umap"), watch=lambda share, text, _: seen.append((share, text)))
        shares = [share for share, _ in seen]
        assert shares == sorted(shares) and shares[-1] > 0.9
        assert seen[0][1].startswith("map 1 of 2") and seen[-1][1].startswith("map 2 of 2")

    def test_it_stops(self, epochs: list[Callable[[], Floats]]) -> None:
        answers = iter([False] * 35)  # in the second map
        assert film(epochs[:3], MapSettings("tsne"), should_stop=lambda: next(answers, True)) is None

    @pytest.mark.parametrize("method", ["tsne", "umap", "pca"])
    def test_an_epoch_without_a_map_is_a_gap_between_the_others(
        self, epochs: list[Callable[[], Floats]], method: str
    ) -> None:
        first, last = (each()[:200] for each in (epochs[0], epochs[-1]))
        broken = {
            "200 points are equal": np.full_like(first, 0.1),
            "Only 3 of 200 points differ": np.ones_like(first) * np.arange(200, dtype=np.float32)[:, None].clip(0, 2),
            "200 of 200 points have values that are not finite": np.full_like(first, np.nan),
            "points have values over 1e+15": first * np.float32(1e25) + np.float32(1e25),
            "points are equal in this layer": first * np.float32(1e-40),
        }
        if not METHODS[method].size:
            del broken["Only 3 of 200 points differ"]  # they are three places on a map of components
        settings = MapSettings(method, perplexity=10)
        rows = [first, *broken.values(), last, np.zeros_like(last)]
        frames = film([partial(np.asarray, each) for each in rows], settings)
        assert frames and [isinstance(frame, Frame) for frame in frames] == [True, *[False] * len(broken), True, False]
        for frame, words in zip(frames[1:-2], broken, strict=True):
            assert isinstance(frame, Gap) and words in frame.reason
        plain = film([lambda: first, lambda: last], settings)
        assert plain
        for frame, other in zip((frames[0], frames[-2]), plain, strict=True):
            assert isinstance(frame, Frame) and isinstance(other, Frame)
            np.testing.assert_array_equal(frame.points, other.points)


class TestRefusals:
    @pytest.mark.parametrize("method", ["tsne", "umap", "pca"])
    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda rows: np.full_like(rows, 0.5), "All 200 points are equal"),
            (lambda rows: np.where(rows == rows[7], np.float32(np.nan), rows), "not finite"),
            (lambda rows: np.where(rows == rows[7], np.float32(np.inf), rows), "not finite"),
        ],
    )
    def test_features_without_neighbours(
        self, pixels: Floats, method: str, spoil: Callable[[Floats], Floats], words: str
    ) -> None:
        with pytest.raises(EmbeddingError, match=words):
            make(spoil(pixels[:200]), MapSettings(method))

    @pytest.mark.parametrize(
        ("settings", "count", "words"),
        [
            (MapSettings("tsne", perplexity=30), 90, "perplexity is 30, but 90 images allow at most 29"),
            (MapSettings("umap", n_neighbors=15), 15, "n_neighbors is 15, but 15 images allow at most 14"),
            (MapSettings("tsne", dimensions=3), 100, "dimensions is 3"),
            (MapSettings("umap", dimensions=4), 100, "dimensions is 4"),
            (MapSettings("isomap"), 100, "'isomap'"),
            (MapSettings("umap", metric="manhattan"), 100, "'manhattan'"),
        ],
    )
    def test_settings_that_give_no_map(self, pixels: Floats, settings: MapSettings, count: int, words: str) -> None:
        with pytest.raises(EmbeddingError, match=words):
            make(pixels[:count], settings)

    def test_enough_points_are_enough(self, pixels: Floats) -> None:
        assert make(pixels[:91], MapSettings("tsne", perplexity=30))
        assert make(pixels[:16], MapSettings("umap", n_neighbors=15))

    @pytest.mark.parametrize("method", ["tsne", "umap"])
    def test_collapsed_features(self, method: str) -> None:
        rows = np.eye(5, dtype=np.float32)[np.arange(200) % 5]
        with pytest.raises(EmbeddingError, match="Only 5 of 200 points differ"):
            make(rows, MapSettings(method))


def test_the_app_may_import_maps_but_no_compiler() -> None:
    code = (
        "import sys, numpy as np\n"
        "from fmnist_core.embedding import maps, neighbours, pca\n"
        "neighbours.nearest_to(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), 2)\n"
        "heavy = {'numba', 'scipy', 'sklearn', 'openTSNE', 'umap', 'tensorflow', 'streamlit'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
