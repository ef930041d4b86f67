"""What page Initialisation asks a worker for: networks measured before training, and table 1. Neither belongs to a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fmnist_core.data import dataset
from fmnist_core.engine.analysis import Analysis
from fmnist_core.experiment import table1_plan
from fmnist_core.experiment.initial_networks import requested
from fmnist_core.findings.layers_over_epochs import batch
from fmnist_core.findings.table1_result import available
from fmnist_core.jobs import table1_trainings as maker
from fmnist_core.jobs.train_runs import Events
from fmnist_core.settings import settings
from fmnist_core.store.result_store import Results, name_of
from fmnist_core.store.run_store import RunStore


def look(
    layers: int, units: int, activation: str, initialisers: Sequence[str], gain: float, seed: int, data: str
) -> Analysis:
    """The analysis that measures one network for each initialiser; its facts are those of `measure`.

    gain: multiplies the weights of all of them. data: name of the data set. Raises: LabError: it cannot be done.
    """
    requested(layers, units, activation, initialisers, seed, [gain] * len(initialisers))
    params = {
        "layers": layers,
        "units": units,
        "activation": activation,
        "initialisers": list(initialisers),
        "gain": gain,
        "seed": seed,
        "data": data,
    }
    return Analysis(
        f"{__name__}:look_job", "measure", "", name_of("initial", params), params, "Measures at initialisation"
    )


def table(plan: table1_plan.Plan, data: dataset.Dataset) -> Analysis:
    """The analysis that makes table 1, or goes on with it; its facts are the table. Raises: LabError: too expensive."""
    table1_plan.check_budget(plan, available(data), settings().compute_budget)
    params = {"plan": plan.name, "seeds": plan.seeds, "data": data.name, "versions": maker.versions()}
    return Analysis(f"{__name__}:table_job", "table", "", name_of("table1", params), params, "Table 1")


def table_so_far(plan: table1_plan.Plan, data: dataset.Dataset) -> dict[str, Any]:
    """What is there of table 1; "stopped" tells whether something is missing."""
    return maker.stored(plan, data, maker.Ledger(settings().runs / maker.LEDGER))


def table_done(plan: table1_plan.Plan, data: dataset.Dataset) -> int:
    """How many of table 1's trainings there are."""
    return maker.done(plan, data, maker.Ledger(settings().runs / maker.LEDGER))


# --- The worker's side ---------------------------------------------------------------------------------------------------


def look_job(params: Mapping[str, Any], watch: Events, should_stop: Callable[[], bool]) -> Mapping[str, Any]:
    """The job of `look`."""
    from fmnist_core.learning.initial_measures import measure

    watch.share(0.0, "measuring")
    own = {**params}
    data, gain = dataset.load(own.pop("data")), own.pop("gain")
    images, labels = batch(data)
    found = measure(**own, images=images, labels=labels, gains=[gain] * len(own["initialisers"]))
    _results().write("", look(**params).name, found, {})
    return {"stopped": False}


def table_job(params: Mapping[str, Any], watch: Events, should_stop: Callable[[], bool]) -> Mapping[str, Any]:
    """The job of `table`."""
    plan, data = table1_plan.plan(params["plan"], params["seeds"]), dataset.load(params["data"])
    ledger = maker.Ledger(settings().runs / maker.LEDGER)
    found = maker.run(plan, data, watch.share, should_stop, ledger)
    if not found["stopped"]:
        _results().write("", table(plan, data).name, found, {})
    return {"stopped": found["stopped"]}


def _results() -> Results:
    return Results(RunStore(settings().runs, settings().runs_budget))
