"""The commands that measure networks: `embed` (a stored run's layer as a map) and `init` (before any training)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fmnist_core.cli import flags
from fmnist_core.cli.interrupts import ends_at_once
from fmnist_core.cli.output import ProgressBar, versions, write
from fmnist_core.data import dataset
from fmnist_core.embedding.neighbours import EmbeddingError
from fmnist_core.experiment.hyperparameters import FIELDS
from fmnist_core.findings.map_request import MapRequest


def add_embed(parser: argparse.ArgumentParser) -> None:
    """The flags of `embed`: one for each part of a MapRequest, and the epoch."""
    parser.add_argument("--run", required=True, metavar="DIGEST", help="the id of a stored run, as printed by `train`")
    parser.add_argument("--epoch", metavar="N", help="a checkpointed epoch, 0 before training; by default the last one")
    for field in fields(MapRequest):
        if field.name not in ("run", "epochs"):
            parser.add_argument(f"--{field.name.replace('_', '-')}", metavar="VALUE", help=f"default: {field.default}")
    flags.add_json(parser)


def embed(arguments: argparse.Namespace) -> None:
    """Map a layer's outputs of a stored run in this process, and print the trust measures of the map."""
    with ends_at_once():
        from fmnist_core.jobs import layer_maps
    bar = ProgressBar(1)
    request = map_request(arguments)
    mapped = layer_maps.make(request, lambda done, text, points: bar.fraction(done, text))
    assert mapped is not None  # nobody stops it
    facts, arrays = mapped
    frame = facts["frames"][0]
    if "error" in frame:
        raise EmbeddingError(frame["error"])
    result = {
        "points": arrays["points"].shape[1],
        "seconds": facts["seconds"],
        "program": facts["program"],
        "iterations": frame["iterations"],
        "versions": facts["versions"],
        "kl_divergence": frame["kl"],
        "trustworthiness": frame["trustworthiness"],
        "knn_accuracy": {"layer": frame["knn_layer"], "map": frame["knn_map"]},
    }
    map_text = (
        f"{result['points']:,} points in {facts['seconds']:.1f} s: trustworthiness {frame['trustworthiness']:.3f}"
    )
    votes = f"nearest-neighbour accuracy {frame['knn_layer']:.3f} in the layer, {frame['knn_map']:.3f} in the map."
    write(result, arguments.json, lambda: f"{map_text}, {votes}")


def map_request(arguments: argparse.Namespace) -> MapRequest:
    """The map that the flags describe. Raises: RequestError, BadValueError."""
    from fmnist_core.jobs import layer_maps

    run = layer_maps.stored(arguments.run)
    values: dict[str, Any] = {"run": run.run_id}
    for field in fields(MapRequest):
        text = getattr(arguments, field.name, None)
        if field.name not in values and text is not None:
            kind = type(field.default)
            values[field.name] = flags.number(kind, field.name, text) if kind in (int, float) else text
    epoch = run.epochs[-1] if arguments.epoch is None else flags.number(int, "epoch", arguments.epoch)
    return MapRequest(**values, epochs=(epoch,))


def add_init(parser: argparse.ArgumentParser) -> None:
    """The flags of `init`; the defaults are the paper's network."""
    for name, default in {"layers": "5", "units": "1000", "activation": "tanh", "seed": "0"}.items():
        text = f"{FIELDS[name].title}: {FIELDS[name].allowed}; default: {default}"
        parser.add_argument(f"--{name}", metavar="VALUE", default=default, help=text)
    both, names = "standard_uniform,glorot_uniform", ", ".join(FIELDS["initialiser"].choices)
    parser.add_argument("--initialisers", metavar="NAMES", default=both, help=f"1 to 4, separated by commas: {names}")
    parser.add_argument("--gain", metavar="VALUE", default="1", help="factor on all initial weights; default: 1")
    flags.add_data(parser)
    flags.add_json(parser)


def measure_initialisers(arguments: argparse.Namespace) -> None:
    """Measure networks before training in this process, and print the measures of each layer."""
    from fmnist_core.experiment.initial_networks import requested
    from fmnist_core.findings.layers_over_epochs import batch

    shape = {name: FIELDS[name].read(getattr(arguments, name)) for name in ("layers", "units", "activation", "seed")}
    names = arguments.initialisers.split(",")
    gains = [flags.number(float, "gain", arguments.gain)] * len(names)
    requested(**shape, initialisers=names, gains=gains)  # before the slow imports
    data = dataset.load(arguments.data)
    images, labels = batch(data)
    with ends_at_once():
        from fmnist_core.learning.initial_measures import measure
    measured = measure(**shape, initialisers=names, images=images, labels=labels, gains=gains)
    networks = {network["initialiser"]: network for network in measured["networks"]}
    layers = {name: _by_layer(network) for name, network in networks.items()}
    result = shape | {
        "images": measured["images"],
        "seconds": measured["seconds"],
        "gain": gains[0],
        "initialisers": layers,
        "breakdown": {name: network["breakdown"] for name, network in networks.items()},
        "versions": versions(),
        "data": {"name": data.name, "source": data.source},
    }
    write(result, arguments.json, lambda: _table(layers))


def _by_layer(network: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["layer"]: {name: row[name] for name in row if name != "layer"} for row in network["summary"]}


def _table(networks: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The measures as a table; a dash where there is no finite number."""
    heads = next(iter(next(iter(networks.values())).values()))
    lines = [f"{'':28}" + "".join(f"{head:>22}" for head in heads)]
    for name, layers in networks.items():
        for layer, row in layers.items():
            cells = ("–" if value is None else f"{value:.4g}" for value in row.values())
            lines.append(f"{name + ' ' + layer:28}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)
