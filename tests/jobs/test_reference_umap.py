"""The method that is umap-learn: as faithful as what its own estimator draws of the same features, and repeatable."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest

from fmnist_core.data import dataset
from fmnist_core.embedding.map_methods import MapSettings
from fmnist_core.embedding.maps import make
from fmnist_core.embedding.neighbours import EmbeddingError
from fmnist_core.jobs.reference_umap import all_makers
from tests.support.engine_waits import until

ROOT = Path(__file__).parents[2]
ROWS = np.random.default_rng(0).random((3000, 5), np.float32)
SETTINGS = MapSettings("umap-learn")


def test_it_is_as_faithful_as_the_estimator_alone_and_repeats_itself() -> None:
    from sklearn.manifold import trustworthiness
    from umap import UMAP

    images = dataset.load("sample").test_images[:300]
    pixels = np.asarray(images).reshape(len(images), -1).astype(np.float32) / np.float32(255)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = UMAP(n_neighbors=10, min_dist=0.3, random_state=7, n_jobs=1).fit_transform(pixels)
    settings = MapSettings("umap-learn", n_neighbors=10, min_dist=0.3, seed=7)
    with all_makers() as makers:
        frame, again = (make(pixels, settings, makers=makers) for _ in range(2))
    assert frame and again
    assert frame.points.shape == (300, 2) and frame.points.dtype == np.float32 and frame.iterations == 500
    np.testing.assert_array_equal(frame.points, again.points)
    ours, theirs = (trustworthiness(pixels, points, n_neighbors=15) for points in (frame.points, reference))
    assert ours == pytest.approx(theirs, abs=0.01)


def drawing(process: psutil.Process) -> list[psutil.Process]:
    """The processes with umap-learn that it has."""
    return [each for each in process.children() if "fmnist_core.jobs.umap_process" in each.cmdline()]


def test_it_stops_before_it_begins() -> None:
    with all_makers() as makers:
        assert make(ROWS, SETTINGS, should_stop=lambda: True, makers=makers) is None
        assert not drawing(psutil.Process())


def test_it_stops_in_the_middle() -> None:
    """umap-learn cannot be interrupted: its process is killed."""
    with all_makers() as makers:
        assert make(ROWS, SETTINGS, should_stop=lambda: bool(drawing(psutil.Process())), makers=makers) is None
        [process] = drawing(psutil.Process())
    assert not process.is_running()


def test_its_end_is_one_sentence_and_the_next_map_has_another_process() -> None:
    def killed() -> bool:
        for process in drawing(psutil.Process()):
            process.kill()
        return False

    with all_makers() as makers:
        with pytest.raises(
            EmbeddingError, match=r"umap-learn gives no map \(its process was killed by signal 9\); choose"
        ):
            make(ROWS, SETTINGS, should_stop=killed, makers=makers)
        assert make(ROWS, SETTINGS, should_stop=lambda: bool(drawing(psutil.Process())), makers=makers) is None


WORKER = """
import numpy as np
from fmnist_core.embedding.map_methods import MapSettings
from fmnist_core.embedding.maps import make
from fmnist_core.jobs.reference_umap import all_makers
with all_makers() as makers:
    make(np.random.default_rng(0).random((3000, 5), np.float32), MapSettings("umap-learn"), makers=makers)
"""


def test_it_ends_with_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT) as worker:
        until(lambda: drawing(psutil.Process(worker.pid)), "its process")
        [process] = drawing(psutil.Process(worker.pid))
        worker.kill()
    psutil.wait_procs([process], 60)
    assert not process.is_running()
