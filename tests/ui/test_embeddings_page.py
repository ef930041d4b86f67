"""Page Embeddings as a script: its parts on a stored run, what it says in numbers, and what it says to bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmnist_core.data import dataset
from fmnist_core.engine import analyses
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.layer_names import layers_of
from fmnist_core.experiment.recording import Event, Fraction, JobContext
from fmnist_core.findings.map_request import MapRequest
from fmnist_core.jobs import layer_maps
from fmnist_core.network import forward
from fmnist_core.store import result_store
from fmnist_core.store.result_store import Results
from fmnist_core.store.run import Run
from fmnist_core.ui.embeddings import all_layers, class_separation
from fmnist_core.ui.shared import server
from tests.support.screens import opened, pressed, texts, unfolded, url
from tests.support.stored_runs import network, record, store_run

pytestmark = pytest.mark.usefixtures("no_workers")
PAGE = "pages/Embeddings.py"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    experiment = Experiment.of({"units": 16, "layers": 1, "epochs": 3})
    return store_run(tmp_path / "runs", experiment, test_accuracy=0.8, test_loss=0.6)


def worked(kind: Any, params: Any) -> list[Event]:
    """A job of a worker, done here; returns its events."""
    events: list[Event] = []
    assert kind(params, JobContext(lambda event, lane: events.append(event))) is True
    return events


def made(request: MapRequest) -> list[Event]:
    return worked(layer_maps.map_job, analyses.map_analysis(request).params)


def test_without_a_run_the_page_says_what_to_do() -> None:
    app = opened(PAGE)
    assert "No network has been trained here yet." in texts(app)


def test_a_map_is_asked_for_at_once_and_can_be_stopped(run: Run) -> None:
    app = opened(PAGE, points="200", perplexity="10")
    shown = texts(app)
    assert "The outputs of **the output layer** for 200 test images after epoch 3" in shown
    assert "For now: the first principal components (PCA)." in shown
    name = analyses.map_analysis(MapRequest(run.run_id, epochs=(3,), points=200, perplexity=10.0)).name
    snapshot = server.analysis(name)
    assert snapshot and snapshot.active
    pressed(app, "Stop")
    stopped = server.analysis(name)
    assert stopped and stopped.state == "stopped"
    pressed(app, "Compute")
    again = server.analysis(name)
    assert again and again.active


def test_a_finished_map_comes_with_its_trust(run: Run) -> None:
    events = made(MapRequest(run.run_id, epochs=(3,), points=200, perplexity=10.0))
    assert [event for event in events if isinstance(event, Fraction)]
    app = opened(PAGE, points="200", perplexity="10")
    shown = texts(app)
    assert "How far to trust this map" in [one.value for one in app.header]
    assert "Measured on the map's 200 images with 15 neighbours" in shown
    assert "rank correlation" not in shown and "rank correlation" in texts(unfolded(app, "how to read a map"))
    assert (
        "Drawn by Fashion-MNIST Lab's own t-SNE" in shown
        and "750 iterations." in shown
        and "Versions: fmnist_core " in shown
    )
    assert "A film computes all 4 checkpointed epochs" in shown.replace("**", "")
    assert not server.analysis(analyses.map_analysis(MapRequest(run.run_id, epochs=(3,), points=200)).name)


def test_a_film_serves_every_epoch(run: Run) -> None:
    made(MapRequest(run.run_id, layer="hidden_1", epochs=run.epochs, points=200, method="pca"))
    for epoch in ("0", "2"):
        app = opened(PAGE, points="200", layer="hidden_1", method="pca", epoch=epoch)
        assert "How far to trust this map" in [one.value for one in app.header]
        assert not [one for one in app.button if one.label == "Stop"]


def test_an_opened_image_has_its_neighbours_in_the_layer(run: Run) -> None:
    request = MapRequest(run.run_id, epochs=(3,), points=200, method="pca")
    made(request)
    result = Results(server.store()).find(run.run_id, analyses.map_analysis(request).name)
    assert result
    rows = result.arrays["rows"]
    app = opened(PAGE, points="200", method="pca", image=str(rows[7]))
    shown = texts(app)
    assert "The image you opened" in shown and "Nearest in the output layer" in shown
    assert "of 8 are of the same class" in shown
    pressed(app, "Close")
    assert "image" not in url(app)


def test_all_layers_over_training(run: Run) -> None:
    layers = layers_of(run.experiment)
    request = MapRequest(run.run_id, epochs=(0, 2, 3), points=200, method="pca")
    worked(layer_maps.grid_job, analyses.grid_analysis(request, layers).params)
    app = opened(PAGE, part="grid", points="200", method="pca")
    shown = texts(app)
    assert "Every layer's map by **PCA**" in shown
    assert "After epoch 3 it is highest in" in shown or "after epoch 3 it is highest in" in shown


def test_separation_is_answered_by_numbers(run: Run) -> None:
    worked(layer_maps.separation_job, analyses.separation_analysis(run, "test").params)
    app = opened(PAGE, part="separation")
    shown = texts(app)
    assert "Does separation improve over the layers?" in shown
    # Random weights that do not change: no claim that anything improved over training.
    found = Results(server.store()).find(run.run_id, analyses.separation_analysis(run, "test").name)
    assert found
    votes = {(row["epoch"], row["layer"]): row["value"] for row in found.facts["rows"] if row["measure"] == "knn"}
    assert set(votes) == {(epoch, layer) for epoch in run.epochs for layer in layers_of(run.experiment)}
    assert votes[0, "output"] == votes[3, "output"]
    assert f"it shows no clear difference, from {votes[0, 'output']:.3f} to {votes[3, 'output']:.3f}" in shown


def test_a_paired_difference_is_told_with_its_interval() -> None:
    before, after = np.zeros(1000, bool), np.zeros(1000, bool)
    before[:500], after[30:560] = True, True  # 60 images gained, 30 lost
    half = 1.959964 * np.sqrt(90 - 30**2 / 1000) / 1000
    told = f"rises by 0.030 (95 % interval {0.03 - half:.3f} to {0.03 + half:.3f})"
    assert class_separation._changed(before, after) == told
    assert class_separation._changed(after, before) == told.replace("rises", "falls")
    after[500:545] = False  # 15 gained, 30 lost
    assert class_separation._changed(before, after).startswith("falls by 0.015")
    after[545:560], after[:15] = False, True  # none gained, 15 lost: still more than chance allows
    assert "falls" in class_separation._changed(before, after)
    after[:] = before
    assert class_separation._changed(before, after) == "shows no clear difference"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"points": "200", "perplexity": "90"}, "200 images allow at most 66"),
        ({"points": "7"}, "points is '7', but it must be a whole number from 100 to 20,000"),
        ({"run": "f" * 16}, "is not in the store"),
        ({"epoch": "77"}, "Epoch 77 was not checkpointed; the nearest one, 3, is shown."),
        ({"epoch": "x"}, "epoch is 'x'"),
    ],
)
def test_wrong_links_are_named_and_the_page_stays_up(run: Run, query: dict[str, str], told: str) -> None:
    assert told in texts(opened(PAGE, **query))


def test_a_damaged_or_old_map_is_made_anew(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    request = MapRequest(run.run_id, epochs=(3,), points=200, method="pca")
    made(request)
    path = server.results()._path(run.run_id, analyses.map_analysis(request).name)
    path.write_bytes(path.read_bytes()[:100])
    app = opened(PAGE, points="200", method="pca")
    snapshot = server.analysis(analyses.map_analysis(request).name)
    assert snapshot and snapshot.active
    assert "For now: the first principal components" in texts(app)
    monkeypatch.setattr(result_store, "VERSION", result_store.VERSION + 1)
    made(request)
    monkeypatch.undo()


@pytest.fixture
def gappy(tmp_path: Path) -> Run:
    """Epoch 0 of zeros, as with `--layers 0 --initialiser zeros`; epoch 3 diverged; the others can be mapped."""
    experiment = Experiment.of({"layers": 0, "epochs": 3})
    weights = network(experiment, np.random.default_rng(0))
    test_images = dataset.load().test_images
    kept = {
        0: {name: np.zeros_like(values) for name, values in weights.items()},
        1: weights,
        2: weights,
        3: {name: np.full_like(values, np.nan) for name, values in weights.items()},
    }
    snapshots = {epoch: (each, forward.probabilities(experiment, each, test_images)) for epoch, each in kept.items()}
    records = [record(epoch, 0.5 if epoch < 3 else float("nan")) for epoch in range(4)]
    return store_run(tmp_path / "runs", experiment, records=records, snapshots=snapshots)


AT_0, AT_3 = "all 200 points are equal in this layer", "200 of 200 points have values that are not finite in this layer"


@pytest.mark.parametrize("method", ["tsne", "umap", "pca"])
def test_a_film_keeps_the_epochs_that_can_be_mapped_and_names_the_others(gappy: Run, method: str) -> None:
    request = MapRequest(gappy.run_id, epochs=gappy.epochs, points=200, method=method, perplexity=10.0)
    made(request)
    for epoch in gappy.epochs:
        app = opened(PAGE, points="200", method=method, perplexity="10", epoch=str(epoch))
        shown, measured = texts(app), "How far to trust this map" in [one.value for one in app.header]
        if epoch in (1, 2):
            assert measured and "The film is ready" in shown
            assert f"No map of epoch 0: {AT_0}" in shown and f"No map of epoch 3: {AT_3}" in shown
        else:
            when, why = ("Before training", AT_0) if epoch == 0 else ("After epoch 3", AT_3)
            assert not measured and f"**{when}, the output layer has no map.** {why[0].upper()}{why[1:]}" in shown
        assert ("the outputs of this network are NaN: it diverged." in shown) == (epoch == 3)


def test_an_epoch_without_a_map_still_offers_the_film(gappy: Run) -> None:
    assert "For now: the first principal components" in texts(opened(PAGE, points="200"))  # of NaN
    made(MapRequest(gappy.run_id, epochs=(3,), points=200))
    app = opened(PAGE, points="200")
    assert f"**After epoch 3, the output layer has no map.** {AT_3}" in texts(app)
    assert [one.label for one in app.button if one.label in ("Make the film", "Try again")] == ["Make the film"]


def test_a_grid_keeps_the_epochs_that_can_be_mapped_and_names_the_others(gappy: Run) -> None:
    for epochs in ((0, 2, 3), (0, 1)):  # as on the page, and with a last epoch that has a map
        request = MapRequest(gappy.run_id, epochs=epochs, points=200, method="pca")
        analysis = analyses.grid_analysis(request, layers_of(gappy.experiment))
        worked(layer_maps.grid_job, analysis.params)
        result = Results(server.store()).find(gappy.run_id, analysis.name)
        assert result
        mapped = [["error" not in frame for frame in frames] for frames in result.facts["layers"]]
        assert mapped == [[True] * len(epochs), [epoch in (1, 2) for epoch in epochs]]
        assert (np.isfinite(result.arrays["points"]).all(axis=(2, 3)) == mapped).all()
        reading = all_layers._reading(result, layers_of(gappy.experiment), epochs)
    shown = texts(opened(PAGE, part="grid", points="200", method="pca"))
    assert f"No map of the output layer at epoch 0: {AT_0}" in shown
    assert f"No map of the output layer at epoch 3: {AT_3}" in shown
    assert "Under each map" in shown and "after epoch 3 it is highest" not in shown
    assert "after epoch 1 it is highest in the output layer" in reading and "where it was" not in reading


def test_separation_keeps_the_epochs_that_can_be_measured_and_names_the_others(gappy: Run) -> None:
    analysis = analyses.separation_analysis(gappy, "test")
    worked(layer_maps.separation_job, analysis.params)
    result = Results(server.store()).find(gappy.run_id, analysis.name)
    assert result
    lost = {(row["epoch"], row["layer"]) for row in result.facts["rows"] if row["value"] is None}
    assert lost == {(0, "output"), (3, "output")}
    shown = texts(opened(PAGE, part="separation"))
    assert "After epoch 2, the share of images" in shown
    assert "In the output layer it shows no clear difference since epoch 1" in shown
    assert "No measures of the output layer at epoch 0: all 2,000 points are equal" in shown
    assert "No measures of the output layer at epoch 3: 2,000 of 2,000 points have values that are not finite" in shown


def test_separation_of_an_earlier_version_is_read(run: Run) -> None:
    analysis = analyses.separation_analysis(run, "test")
    worked(layer_maps.separation_job, analysis.params)
    results = Results(server.store())
    result = results.find(run.run_id, analysis.name)
    assert result
    results.write(run.run_id, analysis.name, {k: v for k, v in result.facts.items() if k != "gaps"}, result.arrays)
    assert "Does separation improve over the layers?" in texts(opened(PAGE, part="separation"))


def test_a_collapsed_layer_is_one_sentence(gappy: Run) -> None:
    """All units dead: every image is the same to the layer."""
    for epochs in ((0,), (0, 3)):
        mapped = layer_maps.make(MapRequest(gappy.run_id, epochs=epochs, points=200), lambda *told: None)
        assert mapped
        facts, arrays = mapped
        assert ["error" in frame for frame in facts["frames"]] == [True] * len(epochs)
        assert "points are equal in this layer" in facts["frames"][0]["error"]
        assert np.isnan(arrays["points"]).all() and arrays["points"].shape == (len(epochs), 200, 2)


def test_an_epoch_that_was_not_kept_is_named(run: Run) -> None:
    with pytest.raises(
        Exception, match=r"epoch is 9, but the checkpointed epochs of this run are 0, 1, 2, 3; choose one of them\."
    ):
        layer_maps.make(MapRequest(run.run_id, epochs=(9,), points=200), lambda *told: None)
