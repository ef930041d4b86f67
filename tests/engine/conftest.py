"""The engine's surroundings and the engine for real trainings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_core.data import dataset
from fmnist_core.engine.service import Engine


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The embedded sample, an own store, one worker."""
    folder = tmp_path_factory.mktemp("engine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "DEBIAN_FOLDER", folder / "nothing")
        patch.setenv("KERAS_HOME", str(folder / "nothing"))
        patch.setenv("FMNIST_CACHE", str(folder / "data"))
        patch.setenv("FMNIST_RUNS", str(folder / "runs"))
        for name in ("FMNIST_DATA", "FMNIST_ENGINE", "FMNIST_WORKERS", "FMNIST_WORKER_MEMORY"):
            patch.delenv(name, raising=False)
        yield folder


@pytest.fixture(scope="module")
def engine(surroundings: Path) -> Iterator[Engine]:
    """For real trainings."""
    engine = Engine()
    engine.start()
    yield engine
    engine.close()
