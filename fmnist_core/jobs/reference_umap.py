"""UMAP drawn by umap-learn itself, for reports that name it. In workers only: `import umap` imports TensorFlow, too."""

from __future__ import annotations

import threading
import warnings

import numpy as np

from fmnist_core.embedding.map_methods import SEARCH, Floats, Frame, Maker, MapSettings, Stop, Watch
from fmnist_core.embedding.maps import own_makers
from fmnist_core.embedding.neighbours import Neighbours

FITTING = threading.Lock()  # numba's default threading layer ends the process when two fits run at once


def draw(
    features: Floats,
    neighbours: Neighbours,
    settings: MapSettings,
    initial: Floats | None = None,
    watch: Watch = lambda done, text, points: None,
    should_stop: Stop = lambda: False,
) -> Frame | None:
    """A map by umap.UMAP on one core, as its seed demands; None when stopped before it began. A `Maker`.

    Its own neighbours are not searched for: those given are exact, and nothing need be compiled for them.
    """
    import fmnist_core.learning  # noqa: F401  # loads TensorFlow, as umap does, yet without a page of reports

    watch(SEARCH, "umap-learn draws on one core and shows nothing before it is done", None)
    with FITTING, warnings.catch_warnings():
        if should_stop():
            return None
        warnings.simplefilter("ignore")  # that one core is used, and that new points cannot be added
        from umap import UMAP

        itself = np.arange(len(features), dtype=np.int32)[:, None]
        indices = np.hstack([itself, neighbours.indices])
        distances = np.hstack([np.zeros((len(features), 1), np.float32), neighbours.distances])
        model = UMAP(
            n_neighbors=settings.n_neighbors,
            min_dist=settings.min_dist,
            n_components=settings.dimensions,
            metric=settings.metric,
            random_state=settings.seed,
            n_jobs=1,
            init="spectral" if initial is None else initial,
            precomputed_knn=(indices, distances),
        )
        points: Floats = model.fit_transform(features).astype(np.float32)
    return Frame(points, iterations=500 if len(features) <= 10_000 else 200)  # umap-learn's own choice


def all_makers() -> dict[str, Maker]:
    """The function of each method that a worker can draw with, by name."""
    return own_makers() | {"umap-learn": draw}
