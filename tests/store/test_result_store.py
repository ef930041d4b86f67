"""Results of analyses: written whole or not at all, read back as they were, made anew when damaged or old."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_core.store import result_store
from fmnist_core.store.result_store import Results, name_of
from fmnist_core.store.run_store import RunStore, StoreError

NAME = name_of("map", {"layer": "output", "seed": 1})
POINTS = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.fixture
def store(tmp_path: Path) -> Results:
    return Results(RunStore(tmp_path / "runs", 10**9))


def test_a_result_comes_back(store: Results) -> None:
    assert store.find("", NAME) is None
    store.write("", NAME, {"seconds": 1.5, "kl": float("nan")}, {"points": POINTS})
    found = store.find("", NAME)
    assert found and found.facts["seconds"] == 1.5 and found.facts["kl"] is None
    np.testing.assert_array_equal(found.arrays["points"], POINTS)
    assert set(found.arrays) == {"points"}


def test_equal_requests_have_equal_names() -> None:
    assert name_of("map", {"seed": 1, "layer": "output"}) == NAME
    assert name_of("map", {"seed": 2, "layer": "output"}) != NAME


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut"])
def test_a_damaged_result_is_made_anew(store: Results, content: bytes) -> None:
    store.write("", NAME, {}, {"points": POINTS})
    path = store._path("", NAME)
    path.write_bytes(content)
    assert store.find("", NAME) is None and path.read_bytes() == content
    store.write("", NAME, {}, {"points": POINTS})
    assert store.find("", NAME)


def test_another_version_is_made_anew(store: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(result_store, "VERSION", result_store.VERSION + 1)
        store.write("", NAME, {}, {"points": POINTS})
    assert store.find("", NAME) is None


def test_the_unfinished_picture_goes_with_the_end(store: Results) -> None:
    assert store.seen("", NAME) is None
    store.write("", name_of("map", {}), {}, {})
    store.show("", NAME, POINTS)
    np.testing.assert_array_equal(store.seen("", NAME), POINTS)
    store.write("", NAME, {}, {"points": POINTS + 1})
    assert store.seen("", NAME) is None


def test_loose_results_are_bounded(store: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_store, "MOST_RESULTS", 3)
    for seed in range(6):
        store.write("", name_of("map", {"seed": seed}), {}, {"points": POINTS})
    assert store.find("", name_of("map", {"seed": 5}))
    assert sum(store.find("", name_of("map", {"seed": seed})) is not None for seed in range(6)) == 3


def test_a_run_that_is_gone_is_one_sentence(store: Results) -> None:
    with pytest.raises(StoreError, match="The result of this analysis is not stored"):
        store.write("0" * 16, NAME, {}, {"points": POINTS})
    assert store.find("0" * 16, NAME) is None


@given(st.text(max_size=40))
def test_only_names_of_results_reach_the_disk(name: str) -> None:
    store = Results(RunStore(Path("nowhere"), 10**9))
    if result_store.NAME.fullmatch(name):
        assert store.find("", name) is None
    else:
        with pytest.raises(ValueError, match="not the name"):
            store.find("", name)
