"""The live view of a training: it looks at the engine's snapshot twice a second, and only while something runs."""

from __future__ import annotations

import streamlit as st

from fmnist_core.charts import curves
from fmnist_core.charts.specification import Specification
from fmnist_core.engine.service import Snapshot
from fmnist_core.ui.shared import chart_view, estimate, progress, server

PERIOD = 0.5  # seconds between two looks
NAMES = ("loss", "accuracy")
EAGER = 0.2  # until the first step is done: everybody waits for that one


def show(run_id: str) -> None:
    """The live view; when the first step is done, and when the run ends, the page is drawn again."""
    snapshot = server.running(run_id)
    begun = snapshot is not None and snapshot.step > 0

    def read() -> Snapshot | None:
        snapshot = server.running(run_id)
        return snapshot if snapshot is not None and (snapshot.step > 0) is begun else None

    progress.watch(read, _draw, PERIOD if begun else EAGER, run_id)


def _draw(snapshot: Snapshot) -> None:
    progress.headline(snapshot)
    last = progress.last_epoch(snapshot)
    speed = snapshot.examples_per_second
    progress.metrics(
        {
            "Epoch": f"{snapshot.epoch} of {snapshot.experiment.epochs}",
            "Time left": "–" if snapshot.seconds_left is None else estimate.words(snapshot.seconds_left),
            "Images per second": f"{speed:,.0f}" if speed else "–",
            "Training accuracy": f"{snapshot.accuracy:.3f}" if snapshot.step else "–",
            "Validation accuracy": f"{last.val_accuracy:.3f}" if last else "–",
        }
    )
    specifications = _charts(snapshot.run_id, snapshot.step, len(snapshot.history), snapshot)
    for column, name, specification in zip(st.columns(2, gap="medium"), NAMES, specifications, strict=True):
        with column:
            chart_view.show(specification, key=f"live {name}")
    st.caption("Thin line: the loss of each training step. Dots: after each epoch.")


@st.cache_resource(show_spinner=False, max_entries=20)
def _charts(run_id: str, step: int, epochs: int, _snapshot: Snapshot) -> list[Specification]:
    """Loss and accuracy so far, drawn once for all who watch."""
    history = progress.frame(_snapshot.history if step else ())  # the untrained network alone is no curve
    per_epoch = max(_snapshot.steps_per_epoch, 1)
    steps = [(step / per_epoch, loss) for step, loss in _snapshot.step_losses]
    experiment = _snapshot.experiment
    loss = curves.curve("loss", history, experiment.epochs, steps, terms=experiment.loss_terms)
    return [loss, curves.curve("accuracy", history, experiment.epochs)]
