"""UMAP drawn by umap-learn itself, for reports that name it; in a process of its own, as it cannot be interrupted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fmnist_core.embedding.map_methods import SEARCH, Floats, Frame, Maker, MapSettings, Stop, Watch
from fmnist_core.embedding.maps import own_makers
from fmnist_core.embedding.neighbours import EmbeddingError, Neighbours
from fmnist_core.embedding.umap import EPOCHS_LARGE, EPOCHS_SMALL, SMALL
from fmnist_core.settings import of_own_program

PERIOD = 0.05  # seconds between two looks whether the map is there, or is to stop


@contextmanager
def all_makers() -> Iterator[dict[str, Maker]]:
    """The function of each method that a worker can draw with, by name."""
    with TemporaryDirectory() as folder:
        reference = _ReferenceUmap(Path(folder))
        try:
            yield own_makers() | {"umap-learn": reference.draw}
        finally:
            reference.close()


class _ReferenceUmap:
    """A process with umap-learn, started for the first map and kept for a film's others. folder: for their files."""

    def __init__(self, folder: Path) -> None:
        self._given, self._points, self._report = folder / "given.npz", folder / "points.npy", folder / "report.txt"
        self._process: subprocess.Popen[str] | None = None

    def draw(
        self,
        features: Floats,
        neighbours: Neighbours,
        settings: MapSettings,
        initial: Floats | None = None,
        watch: Watch = lambda done, text, points: None,
        should_stop: Stop = lambda: False,
    ) -> Frame | None:
        """A map by umap.UMAP on one core, as its seed demands; None when stopped. A `Maker`.

        Its own neighbours are not searched for: those given are exact, and nothing need be compiled for them.
        Raises: EmbeddingError.
        """
        watch(SEARCH, "umap-learn draws on one core and shows nothing before it is done", None)
        if should_stop():
            return None
        itself = np.arange(len(features), dtype=np.int32)[:, None]
        arrays: dict[str, Any] = {
            "features": features,
            "indices": np.hstack([itself, neighbours.indices]),
            "distances": np.hstack([np.zeros((len(features), 1), np.float32), neighbours.distances]),
        }
        np.savez(self._given, **arrays if initial is None else arrays | {"initial": initial})
        process = self._ask(
            {
                "n_neighbors": settings.n_neighbors,
                "min_dist": settings.min_dist,
                "n_components": settings.dimensions,
                "metric": settings.metric,
                "random_state": settings.seed,
            }
        )
        while not self._points.exists():
            if process.poll() is not None:
                raise self._failure(process.returncode)
            if should_stop():
                return None
            time.sleep(PERIOD)
        points: Floats = np.load(self._points)
        self._points.unlink()
        return Frame(points, iterations=EPOCHS_SMALL if len(features) <= SMALL else EPOCHS_LARGE)

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        with suppress(OSError):  # of what it has not read
            if self._process.stdin:
                self._process.stdin.close()

    def _ask(self, options: dict[str, object]) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = self._start()
        request = {"given": str(self._given), "points": str(self._points), "options": options}
        with suppress(OSError):  # it has ended, which is seen next
            assert self._process.stdin
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._process

    def _start(self) -> subprocess.Popen[str]:
        with self._report.open("w") as report:
            return subprocess.Popen(
                [sys.executable, "-m", "fmnist_core.jobs.umap_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=report,
                text=True,
                env=of_own_program(),
            )

    def _failure(self, code: int) -> EmbeddingError:
        lines = self._report.read_text(errors="replace").strip().split("\n")
        reason = lines[-1][:200] if code > 0 else f"its process was killed by signal {-code}"
        return EmbeddingError(f"umap-learn gives no map ({reason}); choose fewer images or another method.")
