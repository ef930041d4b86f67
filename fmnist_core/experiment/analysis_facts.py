"""The facts of an analysis' result: what a worker writes as JSON beside the arrays, and pages and charts read.

JSON has no nan: a number that is not known, or left the range of numbers, is None.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class FrameFacts(TypedDict, total=False):
    """How far to trust the map of an epoch, see `embedding.measures`; or, as `error` alone, why there is none."""

    kl: float | None
    iterations: int | None
    trustworthiness: float
    continuity: float
    knn_layer: float
    knn_map: float
    silhouette: float
    overlap: float
    spread_rank: float | None
    distance_rank: float | None
    error: str


class MapFacts(TypedDict):
    """A map, or a film of several epochs; its arrays: points float32 (frames, n, dimensions), rows int32 (n,).

    Where an epoch has no map its points are nan.
    """

    request: dict[str, Any]
    epochs: list[int]
    seconds: float
    program: str
    versions: dict[str, str]
    frames: list[FrameFacts]


class GridFacts(TypedDict):
    """A film of each layer; its array: points float32 (layers, epochs, n, dimensions), nan where there is no map."""

    request: dict[str, Any]
    epochs: list[int]
    seconds: float
    program: str
    versions: dict[str, str]
    layers: list[list[FrameFacts]]


class SeparationRow(TypedDict):
    """measure: knn or silhouette. value: None in a gap."""

    epoch: int
    layer: str
    measure: str
    value: float | None


class SeparationGap(TypedDict):
    """A layer that could not be measured after an epoch. error: why, in one sentence."""

    epoch: int
    layer: str
    error: str


class SeparationFacts(TypedDict):
    """How far the classes lie apart; its array: right, bool (epochs, layers, images), whether most of an image's
    neighbours are of its class; false in a gap. gaps: missing in results of earlier versions, which had none.
    """

    points: int
    rows: list[SeparationRow]
    gaps: NotRequired[list[SeparationGap]]


class LayerSummary(TypedDict):
    """A layer in one line."""

    layer: str
    activation_std: float | None
    gradient_std: float | None
    weight_gradient_std: float | None
    mean_singular_value: float | None
    saturated: float | None


class InitialNetworkFacts(TypedDict):
    """One initialiser's network. layers: `diagnostics.LayerDiagnostics` of each, with "theory": `LayerTheory`.
    breakdown: "layer" and "direction" where values stop being finite. lsuv: rounds of "layer", "round", "variance".
    """

    initialiser: str
    gain: float
    layers: list[dict[str, Any]]
    breakdown: dict[str, str] | None
    lsuv: list[dict[str, Any]]
    summary: list[LayerSummary]


class InitialFacts(TypedDict):
    """Networks before training. images: how many they were measured on."""

    layers: int
    units: int
    activation: str
    seed: int
    images: int
    seconds: float
    networks: list[InitialNetworkFacts]


class Table1Facts(TypedDict):
    """Table 1, see `table1_result.result`. seconds: of this call; training_seconds: of all trainings one after the
    other. stopped: whether something is missing.
    """

    protocol: dict[str, Any]
    rows: list[dict[str, Any]]
    tests: list[dict[str, Any]]
    data: dict[str, str]
    seconds: float
    training_seconds: float
    stopped: bool
    versions: dict[str, str]
    version: NotRequired[int]
