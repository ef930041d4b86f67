"""What page Initialisation asks a worker for: networks measured before training. They belong to no run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmnist_core.data import dataset
from fmnist_core.experiment.recording import JobContext
from fmnist_core.findings.layers_over_epochs import batch
from fmnist_core.store.result_store import Results
from fmnist_core.store.run_store import configured_store


def look_job(params: Mapping[str, Any], context: JobContext) -> bool:
    """The job of `analyses.initial_analysis`."""
    from fmnist_core.learning.initial_measures import measure

    context.fraction(0.0, "measuring")
    request = dict(params["request"])
    images, labels = batch(dataset.load(request.pop("data")))
    gains = [request.pop("gain")] * len(request["initialisers"])
    facts = measure(**request, images=images, labels=labels, gains=gains)
    Results(configured_store()).write(params["run"], params["name"], facts, {})
    return True
