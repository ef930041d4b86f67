"""The method that is umap-learn: as faithful as what its own estimator draws of the same features, and repeatable."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fmnist_core.data import dataset
from fmnist_core.embedding.map_methods import MapSettings
from fmnist_core.embedding.maps import make
from fmnist_core.jobs.reference_umap import all_makers


def test_it_is_as_faithful_as_the_estimator_alone_and_repeats_itself() -> None:
    from sklearn.manifold import trustworthiness
    from umap import UMAP

    images = dataset.load("sample").test_images[:300]
    pixels = np.asarray(images).reshape(len(images), -1).astype(np.float32) / np.float32(255)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = UMAP(n_neighbors=10, min_dist=0.3, random_state=7, n_jobs=1).fit_transform(pixels)
    settings = MapSettings("umap-learn", n_neighbors=10, min_dist=0.3, seed=7)
    frame, again = (make(pixels, settings, makers=all_makers()) for _ in range(2))
    assert frame and again
    assert frame.points.shape == (300, 2) and frame.points.dtype == np.float32 and frame.iterations == 500
    np.testing.assert_array_equal(frame.points, again.points)
    ours, theirs = (trustworthiness(pixels, points, n_neighbors=15) for points in (frame.points, reference))
    assert ours == pytest.approx(theirs, abs=0.01)


def test_it_stops_before_it_begins() -> None:
    rows = np.random.default_rng(0).random((60, 5), np.float32)
    assert make(rows, MapSettings("umap-learn"), should_stop=lambda: True, makers=all_makers()) is None
