"""The pictures of networks before training: what they compute and say, and that odd measures do not break them."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from fmnist_core.charts import initial_distributions, initial_layers, signal_through_layers
from fmnist_core.data import dataset
from fmnist_core.findings import initial_sentences
from fmnist_core.learning import initial_measures

QUANTITIES = ("activation", "gradient", "weight_gradient")


def look(**changes: Any) -> Any:
    sample = dataset.load("sample")
    request: dict[str, Any] = {
        "layers": 4,
        "units": 64,
        "activation": "tanh",
        "initialisers": ["standard_uniform", "glorot_uniform"],
    }
    return initial_measures.measure(
        **(request | changes), images=sample.train_images[:100], labels=sample.train_labels[:100]
    )


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    result: dict[str, Any] = look(gains=[1, 2])
    return result


def specification(chart: Any) -> dict[str, Any]:
    """Checked by Altair, and by JSON: no nan."""
    content: dict[str, Any] = json.loads(json.dumps(chart.to_dict(), allow_nan=False))
    return content


def texts(chart: Any) -> str:
    return json.dumps(specification(chart)["title"], ensure_ascii=False)


def all_pictures(measured: dict[str, Any]) -> list[Any]:
    found = [panel for quantity in QUANTITIES for panel in initial_distributions.panels(measured, quantity)]
    found += [initial_layers.variances(measured, quantity) for quantity in QUANTITIES]
    found += initial_distributions.singular_values(measured)
    idle = initial_layers.idle_units(measured)
    return found + ([idle] if idle is not None else [])


def test_networks_are_named_by_initialiser_and_gain(measured: dict[str, Any]) -> None:
    assert initial_sentences.labels(measured) == ["Standard uniform", "Glorot uniform × 2"]


def test_histograms_are_those_measured_on_a_shared_axis(measured: dict[str, Any]) -> None:
    table = initial_distributions.histogram_table(measured, "gradient")
    for label, network in zip(initial_sentences.labels(measured), measured["networks"], strict=True):
        for number in range(1, 5):
            rows = table[(table["network"] == label) & (table["layer"] == number)]
            assert rows["share"].tolist() == network["layers"][number - 1]["gradient"]["shares"]
    panels = initial_distributions.panels(measured, "gradient")
    axes = [specification(panel)["layer"][0]["encoding"]["x"]["scale"]["domain"] for panel in panels]
    assert len(panels) == 2 and axes[0] == axes[1] and axes[0][0] == -axes[0][1]
    std = [layer["gradient"]["std"] for layer in measured["networks"][0]["layers"]]
    assert f"{std[0]:.2g} in layer 1" in texts(panels[0]) and f"{std[3]:.2g} in layer 4" in texts(panels[0])


def test_variances_are_squared_deviations_beside_the_theory(measured: dict[str, Any]) -> None:
    for quantity in QUANTITIES:
        table = initial_layers.variance_table(measured, quantity)
        points = table[table["kind"] == "measured"]
        stds = [layer[quantity]["std"] for network in measured["networks"] for layer in network["layers"][:-1]]
        np.testing.assert_allclose(points["variance"], np.square(stds))
        assert (table["kind"] == "theory").sum() == (0 if quantity == "weight_gradient" else 8)
    lines = initial_layers.variance_table(measured, "activation")
    lines = lines[lines["kind"] == "theory"].reset_index()
    assert lines["variance"][0] == measured["networks"][0]["layers"][0]["theory"]["activation_variance"]
    first, last = (measured["networks"][0]["layers"][place]["activation"]["std"] ** 2 for place in (0, 3))
    assert f"times {initial_sentences.plain(last / first, 2)} from the first to the last" in texts(
        initial_layers.variances(measured, "activation")
    )


def test_mean_singular_values_stand_beside_closed_form_and_paper(measured: dict[str, Any]) -> None:
    standard, doubled = measured["networks"]
    marks = initial_distributions.mean_singular_values(measured, standard)
    held = dict(zip(marks["what"], marks["value"], strict=True))
    means = [layer["singular_value"]["mean"] for layer in standard["layers"][1:4]]
    assert held["measured"] == pytest.approx(np.mean(means))
    assert held["closed form"] == pytest.approx(8 / (3 * math.pi) * math.sqrt(1 / 3), rel=1e-3)
    assert held["paper"] == 0.5
    squashed = look(activation="sigmoid")["networks"][0]  # its slope is 1/4 at most
    marks = initial_distributions.mean_singular_values({"activation": "sigmoid"}, squashed)
    assert dict(zip(marks["what"], marks["value"], strict=True))["closed form"] == pytest.approx(
        held["closed form"] / 4
    )
    relu = initial_distributions.mean_singular_values({"activation": "relu"}, squashed)
    assert relu["what"].tolist() == ["measured"]
    assert "paper" not in set(initial_distributions.mean_singular_values(measured, doubled)["what"])  # it has no gain
    table = initial_distributions.histogram_table(measured, "singular_value")
    assert table.groupby(["network", "layer"])["share"].sum().between(0.95, 1.0001).all()
    assert f"{held['measured']:.3f}" in texts(initial_distributions.singular_values(measured)[0])


def test_a_closed_form_far_outside_is_told_but_not_drawn() -> None:
    loud = look(gains=[1, 100])
    panel = initial_distributions.singular_values(loud)[1]
    domain = specification(panel)["layer"][0]["encoding"]["x"]["scale"]["domain"]
    marks = initial_distributions.mean_singular_values(loud, loud["networks"][1])
    closed = marks[marks["what"] == "closed form"]["value"].item()
    assert closed > domain[1] and f"{closed:.3f}" in texts(panel)
    drawn = [row["what"] for rows in specification(panel)["datasets"].values() for row in rows if "what" in row]
    assert set(drawn) == {"measured"}


def test_relus_zeros_are_cut_off_and_said() -> None:
    relu = look(activation="relu", initialisers=["he_normal"])
    (panel,) = initial_distributions.panels(relu, "activation")
    table = initial_distributions.histogram_table(relu, "activation")
    top = specification(panel)["layer"][0]["encoding"]["y"]["scale"]["domain"][1]
    assert top < table["share"].max() and f"{table['share'].max():.0%}".replace("%", " %") in texts(panel)
    (whole,) = initial_distributions.panels(relu, "weight_gradient")
    assert "cut off" not in texts(whole)


def test_idle_units_are_saturated_or_dead_by_the_activation() -> None:
    loud = look(gains=[8, 1])
    table = initial_layers.unit_table(loud)
    assert table["share"][0] == loud["networks"][0]["layers"][0]["saturated"] > 0.1
    assert f"{table['share'].max():.1%}".replace("%", " %") in texts(initial_layers.idle_units(loud))
    relu = look(activation="relu", layers=12, initialisers=["he_normal"])
    dead = [layer["dead_units"] / 64 for layer in relu["networks"][0]["layers"][:-1]]
    assert initial_layers.unit_table(relu)["share"].tolist() == dead and max(dead) > 0
    assert "Dead units" in texts(initial_layers.idle_units(relu))
    assert initial_layers.idle_units(look(activation="linear")) is None


def test_lsuv_shows_before_and_after() -> None:
    (network,) = look(initialisers=["lsuv"])["networks"]
    table = initial_layers.lsuv_table(network)
    assert list(dict.fromkeys(table["layer"])) == ["1", "2", "3", "4", "output"]
    after = table[table["when"] == "after"]["variance"]
    assert len(after) == 5 and after.between(0.98, 1.02).all()
    assert (table["when"] == "before").sum() == 5
    specification(initial_layers.lsuv(network))


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": 1, "initialisers": ["glorot_uniform"]},
        {"layers": 20, "units": 8, "activation": "relu", "initialisers": ["zeros"]},
        {"layers": 20, "activation": "linear", "initialisers": ["he_normal", "zeros"], "gains": [100, 1]},
        {"activation": "sigmoid", "initialisers": ["random_normal", "lsuv", "orthogonal"], "gains": [100, 0.01, 1]},
    ],
)
def test_odd_networks_are_drawn(changes: dict[str, Any]) -> None:
    for picture in all_pictures(look(**changes)):
        specification(picture)


def test_what_is_missing_is_said() -> None:
    odd = look(layers=20, activation="linear", initialisers=["he_normal", "zeros"], gains=[100, 1])
    place = odd["networks"][0]["breakdown"]["layer"].removeprefix("hidden_")
    assert f"from layer {place} on" in texts(initial_distributions.panels(odd, "gradient")[0])
    said = texts(initial_layers.variances(odd, "activation"))
    assert f"from layer {place} on" in said and "Zeros: not drawn: all values" in said
    backward = copy.deepcopy(odd)
    backward["networks"][0]["breakdown"] = {"layer": "hidden_3", "direction": "backward"}
    assert "gradient overflows from layer 3 backwards" in texts(initial_distributions.panels(backward, "gradient")[0])


def test_equal_activations_draw_no_theory_either() -> None:
    flat = look(activation="sigmoid", initialisers=["zeros", "glorot_uniform"])
    table = initial_layers.variance_table(flat, "activation")
    assert set(table["network"]) == {"Glorot uniform"} and table["variance"].min() > 1e-9


@pytest.mark.parametrize(("factor", "words"), [(1 / 3, "fades"), (1.0, "keeps its size"), (2.0, "explodes")])
def test_a_signal_is_multiplied_at_each_layer(factor: float, words: str) -> None:
    rows = signal_through_layers.passed(factor)
    table = rows.drop_duplicates("layer")
    assert table["layer"].tolist() == list(range(11))
    for layer, own in rows.groupby("layer"):
        assert own["variance"].iloc[0] == pytest.approx(np.mean(own["value"] ** 2))
        assert own["expected"].iloc[0] == pytest.approx(factor ** int(str(layer)))
    # The logarithm's standard error after k layers is about sqrt(2 k / units).
    assert abs(np.log(table["variance"] / table["expected"])).max() < 4 * math.sqrt(
        2 * 10 / signal_through_layers.UNITS
    )
    assert words in texts(signal_through_layers.strips(rows))
    specification(signal_through_layers.variances(rows))


def test_what_leaves_the_frame_is_marked_at_its_edge() -> None:
    rows = signal_through_layers.passed(5.0)
    frame = signal_through_layers.FRAME
    picture = signal_through_layers.strips(rows)
    drawn = [row for rows in specification(picture)["datasets"].values() for row in rows]
    assert len(drawn) == 11 * signal_through_layers.SHOWN and max(abs(row["edge"]) for row in drawn) == frame
    outside = sum(abs(row["value"]) > frame for row in drawn)
    assert outside > 200 and f"triangles: {outside} values" in texts(picture)
    assert "million" in texts(picture) and "triangles" not in texts(
        signal_through_layers.strips(signal_through_layers.passed(0.5))
    )


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.000412, 2, "0.00041"),
        (12.34, 2, "12"),
        (1234.0, 2, "1,200"),
        (4e68, 2, "4e68"),
        (1.7e-5, 1, "0.00002"),
        (1e7, 1, "10 million"),
        (2.54e9, 2, "2.5 billion"),
    ],
)
def test_numbers_stay_readable(value: float, digits: int, text: str) -> None:
    assert initial_sentences.plain(value, digits) == text


def test_they_load_neither_streamlit_nor_tensorflow() -> None:
    script = (
        "import sys\n"
        "from fmnist_core.charts import initial_distributions, initial_layers, signal_through_layers\n"
        "assert not {'tensorflow', 'keras', 'streamlit', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
