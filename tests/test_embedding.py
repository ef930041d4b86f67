"""Neighbours, PCA, t-SNE and UMAP against scikit-learn, openTSNE, umap-learn and closed formulas."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fmnist_core import dataset
from fmnist_core.embedding import tsne
from fmnist_core.embedding.affinities import affinities
from fmnist_core.embedding.align import align, displacement
from fmnist_core.embedding.checks import EmbeddingError
from fmnist_core.embedding.fuzzy import curve, fuzzy_graph
from fmnist_core.embedding.neighbours import METRICS, Neighbours, nearest, nearest_to
from fmnist_core.embedding.pca import pca
from fmnist_core.embedding.umap import umap

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


def near_classes(n: int, width: int, seed: int = 0) -> Floats:
    """Rows like saturated outputs: most of them within 1e-6 of one of five corners, many exactly equal."""
    rng = np.random.default_rng(seed)
    rows = np.eye(5, width)[rng.integers(0, 5, n)] * (1 - 1e-6 * rng.random((n, 1)))
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
        assert displacement(5 * square, 5 * square + np.float32([3, 4])) == pytest.approx(1 / np.sqrt(2))


def closed_formula(p: NDArray[np.float64], points: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """van der Maaten & Hinton (2008), equations 2 (KL), 4 and 5, term by term."""
    differences = points[:, None] - points
    w = 1 / (1 + np.square(differences).sum(axis=2))
    np.fill_diagonal(w, 0)
    q = w / w.sum()
    there = p > 0
    kl = np.sum(p[there] * np.log(p[there] / q[there]))
    return kl, 4 * np.einsum("ij,ijd->id", (p - q) * w, differences)


def dense(graph: tsne.Graph) -> NDArray[np.float64]:
    from scipy.sparse import csr_array

    n = len(graph.starts) - 1
    return csr_array((graph.weights.astype(np.float64), graph.ends, graph.starts), (n, n)).toarray()


class TestTSNE:
    @pytest.mark.parametrize("n", [9, 10, 11, 12, 150])  # the forces go by groups of four
    def test_gradient_is_the_closed_formula(self, n: int) -> None:
        rng = np.random.default_rng(n)
        graph = affinities(near(rng.normal(size=(n, 5)).astype(np.float32), min(n - 1, 30)), min(n / 4, 10))
        points = rng.normal(0, 3, (n, 2)).astype(np.float32)
        kl, slope = tsne.gradient(graph, points)
        true_kl, true_slope = closed_formula(dense(graph), points.astype(np.float64))
        assert kl == pytest.approx(true_kl, rel=1e-5)
        np.testing.assert_allclose(slope, true_slope, atol=1e-5 * np.abs(true_slope).max())

    def test_gradient_is_that_of_opentsne(self, found: Neighbours) -> None:
        from openTSNE import TSNEEmbedding
        from openTSNE.affinity import PrecomputedAffinities
        from openTSNE.tsne import kl_divergence_bh

        graph, rng = affinities(found, 30), np.random.default_rng(0)
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
        np.testing.assert_allclose(dense(affinities(found, 30)), theirs.toarray(), rtol=1e-3, atol=1e-9)

    def test_affinities_have_the_perplexity_at_any_scale(self, found: Neighbours) -> None:
        small = found._replace(distances=found.distances * np.float32(1e-6))
        np.testing.assert_allclose(dense(affinities(small, 30)), dense(affinities(found, 30)), rtol=1e-3)
        assert dense(affinities(found, 30)).sum() == pytest.approx(1)


@pytest.fixture(scope="module")
def umap_learn() -> Iterator[ModuleType]:
    """The reference implementation. Without TensorFlow, which it would import for a part that is not needed here."""
    with patch.dict(sys.modules, {"tensorflow": None}), warnings.catch_warnings():
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

        neighbours = near(pixels, 14)
        ours, theirs = [], []
        for seed in range(3):
            reference = umap_learn.UMAP(random_state=seed, n_jobs=1).fit_transform(pixels)
            theirs.append(trustworthiness(pixels, reference, n_neighbors=15))
            ours.append(trustworthiness(pixels, umap(pixels, neighbours, seed=seed), n_neighbors=15))
        assert np.mean(ours) > np.mean(theirs) - 0.005
