"""Glorot & Bengio (2010) live: networks as they are before training, measured on a batch of images.

Keras draws the weights; the rest is NumPy. Nothing is compiled, so that an answer comes within a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn brings it

from fmnist_core.experiment.analysis_facts import InitialFacts, LayerSummary
from fmnist_core.experiment.cost import INPUTS
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.experiment.initial_networks import requested
from fmnist_core.experiment.recording import Weights, to_json_types
from fmnist_core.learning import initial_weights as initialising
from fmnist_core.learning.initial_weights import LsuvRound
from fmnist_core.network import backward, diagnostics, theory
from fmnist_core.network.diagnostics import LayerDiagnostics
from fmnist_core.settings import settings


def measure(
    layers: int,
    units: int,
    activation: str,
    initialisers: Sequence[str],
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    seed: int = 0,
    gains: Sequence[float] = (),
    jacobian_images: int = 1,
) -> InitialFacts:
    """The measures of one network for each initialiser, on the same images, in JSON types (no nan: None).

    images: uint8 (n, 784) or (n, 28, 28). labels: uint8 (n,). gains: what each initialiser's kernels are multiplied by.
    Returns the request ("layers", "units", "activation", "seed", "images": n), "seconds", and "networks": for each
    initialiser a dict of
    - "initialiser", "gain";
    - "layers": `LayerDiagnostics` of hidden_1 ... output, each with "theory": `LayerTheory` of the same layer;
    - "breakdown": {"layer", "direction"} where values stop being finite numbers, or None;
    - "lsuv": the rounds of LSUV, {"layer", "round", "variance"} each; empty for all others;
    - "summary": of each layer "layer", "activation_std", "gradient_std", "weight_gradient_std", "mean_singular_value"
      and "saturated" (share).

    Raises: LabError before anything is computed, where the request cannot be met; never for a network that explodes.
    """
    started = time.perf_counter()
    networks = requested(layers, units, activation, initialisers, seed, gains)
    pixels = np.ascontiguousarray(images).reshape(len(images), INPUTS)
    # Layers side by side, each with BLAS on one thread, are as quick as BLAS with threads of its own. Those wait for
    # each other many times in one decomposition, and stall where somebody else uses the cores, too.
    with threadpool_limits(1), ThreadPoolExecutor(settings().cores) as pool:
        draws = _drawn(tuple(_without_data(experiment) for experiment, _ in networks))
        ready = list(pool.map(lambda pair, drawn: _network(pair[0], pair[1], drawn, pixels, labels), networks, draws))
        measured = diagnostics.diagnose([network for network, _ in ready], jacobian_images, each=pool.map)
    moments = theory.second_moments(pixels)
    facts = []
    for (experiment, gain), (network, rounds), measures in zip(networks, ready, measured, strict=True):
        expected = theory.predict(
            experiment.hidden_widths, activation, experiment.initialiser, moments, gain, experiment.initialiser_sigma
        )
        broken = diagnostics.breakdown(network.signals)
        facts.append(
            {
                "initialiser": experiment.initialiser,
                "gain": gain,
                "layers": [asdict(m) | {"theory": asdict(t)} for m, t in zip(measures, expected, strict=True)],
                "breakdown": broken and broken._asdict(),
                "lsuv": [lsuv_round._asdict() for lsuv_round in rounds],
                "summary": [_summary(layer) for layer in measures],
            }
        )
    result: InitialFacts = to_json_types(
        {
            "layers": layers,
            "units": units,
            "activation": activation,
            "seed": seed,
            "images": len(pixels),
            "seconds": time.perf_counter() - started,
            "networks": facts,
        }
    )
    return result


def _network(
    experiment: Experiment, gain: float, drawn: Weights, pixels: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> tuple[diagnostics.Network, list[LsuvRound]]:
    """A network before training, its signals on the batch, and what LSUV did."""
    rounds: list[LsuvRound] = []
    with np.errstate(all="ignore"):
        weights = initialising.finished(experiment, drawn, pixels, gain, rounds.append)
    signals = backward.signals(experiment, weights, pixels, labels)
    return diagnostics.Network(experiment.activation, weights, signals), rounds


def _summary(layer: LayerDiagnostics) -> LayerSummary:
    return {
        "layer": layer.name,
        "activation_std": layer.activation.std,
        "gradient_std": layer.gradient.std,
        "weight_gradient_std": layer.weight_gradient.std,
        "mean_singular_value": layer.singular_value.mean if layer.singular_value else None,
        "saturated": layer.saturated,
    }


def _without_data(experiment: Experiment) -> Experiment:
    """The experiment whose draws are the same; LSUV starts from the orthogonal ones."""
    if experiment.initialiser == "lsuv":
        return experiment.model_copy(update={"initialiser": "orthogonal"})
    return experiment


# Of the last request only: up to 100 MB. The gain moves most often, and orthogonal draws are slow.
@lru_cache(maxsize=1)
def _drawn(experiments: tuple[Experiment, ...]) -> list[Weights]:
    return [initialising.draw(experiment) for experiment in experiments]
