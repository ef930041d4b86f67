"""What map is wanted: bounds, equal requests, the images that are chosen, and the address of page Embeddings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_core.data import dataset
from fmnist_core.embedding.map_methods import METHODS
from fmnist_core.engine.analyses import map_analysis
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.layer_names import layer_title, layers_of
from fmnist_core.findings.map_request import SETTINGS, SPLITS, MapRequest, RequestError, chosen, features
from fmnist_core.network import forward
from fmnist_core.ui.embeddings import embeddings_view
from fmnist_core.ui.embeddings.embeddings_view import COLOURS, PARTS, View
from fmnist_core.ui.shared.pages import Page

RUN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"points": 50}, "points is 50, but it must be between 100 and 20,000"),
        ({"points": 10**9}, "points is 1,000,000,000"),
        ({"points": 200, "perplexity": 80.0}, "perplexity is 80, but 200 images allow at most 66"),
        ({"method": "umap", "points": 100, "n_neighbors": 150}, "n_neighbors is 150, but 100 images allow at most 99"),
        ({"method": "tsne", "dimensions": 3}, "choose UMAP, PCA or UMAP by umap-learn for 3"),
        ({"method": "mds"}, "method is 'mds', but it must be one of tsne, umap, pca"),
        ({"split": "all"}, "split is 'all'"),
        ({"metric": "cityblock"}, "metric is 'cityblock'"),
        ({"min_dist": 1.5}, "min_dist is 1.5"),
        ({"epochs": ()}, "epochs is empty"),
    ],
)
def test_what_cannot_be_mapped_is_one_sentence(values: dict[str, object], told: str) -> None:
    with pytest.raises(RequestError) as caught:
        MapRequest(RUN, **values)  # type: ignore[arg-type]
    assert told in str(caught.value)


def test_settings_of_other_methods_do_not_count() -> None:
    one = MapRequest(RUN, method="tsne", n_neighbors=30, min_dist=0.5)
    assert map_analysis(one).name == map_analysis(MapRequest(RUN)).name
    assert map_analysis(replace(one, perplexity=20.0)).name != map_analysis(one).name
    assert MapRequest.of(one.params()) == MapRequest(RUN)
    assert MapRequest.of(MapRequest(RUN, method="pca", seed=3, dimensions=3).params()).seed == MapRequest(RUN).seed


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (
            {"method": "tsne", "perplexity": 10.0, "n_neighbors": 50, "metric": "cosine", "seed": 7, "points": 200},
            "map-3237e8b308b3b8ac",
        ),
        (
            {"method": "umap", "dimensions": 3, "n_neighbors": 50, "min_dist": 0.5, "split": "training"},
            "map-7012405cd179cefe",
        ),
        (
            {"method": "pca", "dimensions": 3, "perplexity": 10.0, "metric": "cosine", "points": 200},
            "map-f5809474b992a81c",
        ),
    ],
)
def test_results_stored_by_earlier_versions_keep_their_names(values: dict[str, object], name: str) -> None:
    request = MapRequest(RUN, layer="hidden_1", epochs=(0, 3), **values)  # type: ignore[arg-type]
    assert map_analysis(request).name == name


@pytest.mark.parametrize("split", SPLITS)
def test_images_are_as_many_of_each_class_and_of_the_split(split: str) -> None:
    data = dataset.load("sample")
    found = chosen(data, 0.1, 1.0, split, 300)
    assert np.bincount(found.labels, minlength=10).tolist() == [30] * 10
    assert (np.diff(found.rows) > 0).all()
    parts = dataset.split(data.train_labels, 0.1)
    rows: dict[str, np.ndarray] = {
        "test": np.arange(1000), "training": parts.train, "validation": parts.validation
    }  # fmt: skip
    allowed = rows[split]
    assert np.isin(found.rows, allowed).all()
    images = data.test_images if split == "test" else data.train_images
    np.testing.assert_array_equal(found.images, images[found.rows])
    again = chosen(data, 0.1, 1.0, split, 300)
    np.testing.assert_array_equal(found.rows, again.rows)
    # Fewer images are a part of more.
    assert np.isin(chosen(data, 0.1, 1.0, split, 100).rows, found.rows).all()


def test_all_images_where_there_are_no_more() -> None:
    assert len(chosen(dataset.load("sample"), 0.1, 1.0, "test", 20_000).rows) == 1000


def test_layers_and_their_outputs() -> None:
    experiment = Experiment.of({"layers": 2, "units": 16})
    rng = np.random.default_rng(0)
    drawn = {
        "hidden_1/kernel": rng.normal(0, 0.05, (784, 16)), "hidden_1/bias": np.zeros(16),
        "hidden_2/kernel": rng.normal(0, 0.3, (16, 16)), "hidden_2/bias": np.zeros(16),
        "output/kernel": rng.normal(0, 0.3, (16, 10)), "output/bias": np.zeros(10),
    }  # fmt: skip
    weights = {name: value.astype(np.float32) for name, value in drawn.items()}
    images = dataset.load("sample").test_images[:20]
    assert layers_of(experiment) == ("pixels", "hidden_1", "hidden_2", "output")
    named = {layer.name: layer.values for layer in forward.layers(experiment, weights, images)}
    for layer, name in (("pixels", "rescale"), ("hidden_1", "activation_1"), ("hidden_2", "activation_2")):
        np.testing.assert_allclose(features(experiment, weights, layer, images), named[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(features(experiment, weights, "output", images).sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(RequestError, match="layer is 'hidden_3', but it must be one of pixels, hidden_1, hidden_2"):
        features(experiment, weights, "hidden_3", images)
    assert [layer_title(layer) for layer in layers_of(experiment)][1:3] == ["hidden layer 1", "hidden layer 2"]


views = st.builds(
    View,
    run=st.sampled_from(["", RUN, RUN + "-sample"]),
    epoch=st.none() | st.integers(0, 200),
    part=st.sampled_from(list(PARTS)),
    layer=st.sampled_from(["pixels", "hidden_1", "hidden_12", "output"]),
    method=st.sampled_from(list(METHODS)),
    dimensions=st.sampled_from([2, 3]),
    split=st.sampled_from(SPLITS),
    points=st.integers(int(SETTINGS["points"].low), int(SETTINGS["points"].high)),
    perplexity=st.integers(2, 200).map(float),
    n_neighbors=st.integers(2, 200),
    min_dist=st.integers(0, 99).map(lambda value: value / 100),
    seed=st.integers(0, 9_999),
    colour=st.sampled_from(list(COLOURS)),
    second=st.booleans(),
    image=st.none() | st.integers(0, 59_999),
)


@given(views)
def test_an_address_brings_the_same_view_back(view: View) -> None:
    assert View.from_query(view.query()) == (view, [])


@given(st.dictionaries(st.sampled_from([*View().__dataclass_fields__, "other"]), st.text(max_size=20), max_size=4))
def test_any_address_gives_a_view_and_sentences(texts: dict[str, str]) -> None:
    view, problems = View.from_query(texts)
    assert isinstance(view, View)
    assert all(problem.endswith(".") for problem in problems)
    assert View.from_query(view.query()) == (view, [])


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("points", "1e9", "points is '1e9', but it must be a whole number from 100 to 20,000"),
        ("layer", "conv_1", "layer is 'conv_1'"),
        ("run", "../../etc", "run is '../../etc', but it must be the id of a stored run"),
        ("perplexity", "nan", "perplexity is 'nan'"),
        ("zoom", "3", "There is no setting 'zoom' on page Embeddings"),
    ],
)
def test_wrong_parameters_are_named(name: str, text: str, told: str) -> None:
    view, problems = View.from_query({name: text})
    assert view == View()
    assert len(problems) == 1 and told in problems[0]
    assert embeddings_view.STATE.page is Page.EMBEDDINGS
