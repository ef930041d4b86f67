"""What pages ask workers to find out, about a stored run or none: the request, without the code that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fmnist_core.data.dataset import Dataset
from fmnist_core.engine.job import JOBS, AnalysisKind
from fmnist_core.experiment import table1_plan
from fmnist_core.experiment.analysis_facts import GridFacts, InitialFacts, MapFacts, SeparationFacts, Table1Facts
from fmnist_core.experiment.initial_networks import requested
from fmnist_core.experiment.layer_names import layer_title
from fmnist_core.findings import table1_ledger
from fmnist_core.findings.map_request import MapRequest
from fmnist_core.findings.table1_result import available
from fmnist_core.settings import settings
from fmnist_core.store.result_store import name_of
from fmnist_core.store.run import Run

SEPARATION_IMAGES = 2_000
Facts = TypeVar("Facts")


@dataclass(frozen=True)
class Analysis(Generic[Facts]):
    """An analysis whose result has these facts.

    function: one of JOBS' values. run: whose it is, or "". name: of its result, see `result_store.name_of`.
    params: what the function gets: the request, and run and name, under which the worker stores the result.
    title: what is made, as the start of a sentence.
    """

    function: str
    kind: AnalysisKind
    run: str
    name: str
    params: dict[str, Any]
    title: str


def _analysis(job: str, kind: AnalysisKind, request: dict[str, Any], title: str, run: str = "") -> Analysis[Any]:
    name = name_of(job, request)
    return Analysis(JOBS[job], kind, run, name, {"request": request, "run": run, "name": name}, title)


def map_analysis(request: MapRequest) -> Analysis[MapFacts]:
    """A map, or a film of several epochs."""
    title = f"{'Film' if len(request.epochs) > 1 else 'Map'} of the {layer_title(request.layer)}"
    return _analysis("map", "map", request.params(), title, request.run)


def grid_analysis(request: MapRequest, layers: Sequence[str]) -> Analysis[GridFacts]:
    """A film of each layer over the request's epochs, for small multiples."""
    title = f"Maps of {len(layers)} layers at {len(request.epochs)} epochs"
    return _analysis("grid", "map", {**request.params(), "layer": "", "layers": list(layers)}, title, request.run)


def separation_analysis(run: Run, split: str) -> Analysis[SeparationFacts]:
    """How far the classes lie apart in every layer at every checkpointed epoch.

    A run that is trained again while a worker measures has another name for its result: it has other epochs.
    """
    created = run.provenance["created"]
    request = {"run": run.run_id, "created": created, "split": split, "points": SEPARATION_IMAGES}
    return _analysis("separation", "map", request, "Separation of the classes", run.run_id)


def initial_analysis(
    layers: int, units: int, activation: str, initialisers: Sequence[str], gain: float, seed: int, data: str
) -> Analysis[InitialFacts]:
    """One network for each initialiser, measured before training.

    gain: multiplies the weights of all of them. data: name of the data set. Raises: LabError: it cannot be done.
    """
    requested(layers, units, activation, initialisers, seed, [gain] * len(initialisers))
    request = {
        "layers": layers,
        "units": units,
        "activation": activation,
        "initialisers": list(initialisers),
        "gain": gain,
        "seed": seed,
        "data": data,
    }
    return _analysis("initial", "measure", request, "Measures at initialisation")


def table1_analysis(plan: table1_plan.Plan, data: Dataset) -> Analysis[Table1Facts]:
    """Table 1 made, or gone on with. Raises: LabError: too expensive."""
    table1_plan.check_budget(plan, available(data), settings().compute_budget)
    request = {"plan": plan.name, "seeds": plan.seeds, "data": data.name, "versions": table1_ledger.versions()}
    return _analysis("table1", "table", request, "Table 1")
