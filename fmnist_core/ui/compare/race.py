"""The race: two networks with the same seed and the same batches, trained side by side and watched on one screen."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from fmnist_core.charts import comparison
from fmnist_core.charts.specification import Specification
from fmnist_core.data.dataset import Dataset
from fmnist_core.engine.service import Snapshot
from fmnist_core.experiment import wording
from fmnist_core.experiment.cost import training_images
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.findings.run_tables import Trained
from fmnist_core.ui.compare.compare_view import STATE, View, draw_hyperparameter, select
from fmnist_core.ui.shared import chart_view, estimate, markdown, progress, server, store_notices
from fmnist_core.ui.shared.pages import Page
from fmnist_core.ui.shared.view_state import view_of

PERIOD = 0.5  # seconds between two looks
SIDES = ("Left", "Right")
MEASURES = ("loss", "accuracy")
SHARED = ("epochs", "batch_size", "seed", "training_fraction", "validation_fraction")
TRAIN, AS_IS = "train", "unchanged"


# --- The sidebar ----------------------------------------------------------------------------------------------------


def start(base: Experiment) -> tuple[Experiment, ...]:
    """A race to begin with, on as many images and epochs as `base` has."""
    return tuple(_with_shared(PRESETS[name].experiment, base) for name in ("base", "dropout"))


def choose(race: tuple[Experiment, ...]) -> None:
    """Which two, and what both share."""
    for lane, side in enumerate(SIDES):
        _choose_lane(race, lane, side)
    for name in ("epochs", "training_fraction", "seed"):
        draw_hyperparameter(name, race[0], _take_shared)


def _choose_lane(race: tuple[Experiment, ...], lane: int, side: str) -> None:
    chosen = next((name for name in PRESETS if _with_shared(PRESETS[name].experiment, race[0]) == race[lane]), AS_IS)
    options = [name for name in PRESETS if name != "glorot"] + [TRAIN] + [AS_IS] * (chosen == AS_IS)
    chosen = "base" if chosen == "glorot" else chosen
    titles = {name: preset.title for name, preset in PRESETS.items()}
    titles |= {TRAIN: "The settings of page Train", AS_IS: wording.name(race[lane], leave_out=SHARED)}
    key = f"lane {lane} {len(options)}"
    select(side, options, key, chosen, take=partial(_take_lane, lane), format_func=titles.__getitem__)


def _with_shared(experiment: Experiment, like: Experiment) -> Experiment:
    return experiment.model_copy(update={name: getattr(like, name) for name in SHARED})


def _take_lane(lane: int, chosen: str) -> None:
    race = list(STATE.view.race)
    experiment = view_of(Page.TRAIN) or Experiment() if chosen == TRAIN else PRESETS[chosen].experiment
    race[lane] = _with_shared(experiment, race[0])
    STATE.change(race=tuple(race))


def _take_shared(name: str, value: Any) -> None:
    STATE.change(race=tuple(experiment.changed(**{name: value}) for experiment in STATE.view.race))


# --- The screen -----------------------------------------------------------------------------------------------------


def show(view: View, data: Dataset) -> list[Trained]:
    """Start, or the race itself; returns the runs once they are there and nothing races."""
    names = lane_names(view.race)
    st.markdown(f"**{names[0]}** against **{names[1]}**: the same seed, the same images in the same batches.")
    if refusal := server.refusal():
        markdown.error(refusal)
    snapshots = server.race(view.race)
    if _active(view.race):
        progress.watch(lambda: _active(view.race), lambda active: _draw(names, active), PERIOD, "race")
        return []
    if snapshots and snapshots[0].state == "failed":
        markdown.error(f"The last race failed: {snapshots[0].error}")
    runs = [server.stored(run_id(experiment, data.name)) for experiment in view.race]
    _start(view.race, data, again=all(runs))
    return [Trained(name, run) for name, run in zip(names, runs, strict=True) if run and all(runs)]


def lane_names(race: tuple[Experiment, ...]) -> list[str]:
    """What each lane is called: its settings in words, what both share left out."""
    names = [wording.name(experiment, leave_out=SHARED) for experiment in race]
    return names if len(set(names)) == len(names) else [f"{n} ({side})" for n, side in zip(names, SIDES, strict=True)]


def _start(race: tuple[Experiment, ...], data: Dataset, again: bool) -> None:
    button, text = st.columns([1, 3], vertical_alignment="center")
    same = race[0].digest == race[1].digest
    button.button(
        "Race again" if again else "Start the race",
        type="secondary" if again else "primary",
        icon=":material/play_arrow:",
        on_click=server.submit_race,
        args=(race,),
        disabled=same,
        width="stretch",
    )
    if same:
        text.markdown("Both are the same network: choose another one on the left.")
        return
    seconds = sum(estimate.seconds(lane, training_images(lane, data.name)) for lane in race)
    text.markdown(f"About **{estimate.words(seconds)}** on this machine for both: they take turns.")
    store_notices.room(race, data.name)


def _active(race: tuple[Experiment, ...]) -> tuple[Snapshot, ...] | None:
    snapshots = server.race(race)
    return snapshots if snapshots and snapshots[0].active else None


def _draw(names: list[str], snapshots: tuple[Snapshot, ...]) -> None:
    progress.headline(*snapshots)
    for column, name, snapshot in zip(st.columns(2, gap="medium"), names, snapshots, strict=True):
        last = progress.last_epoch(snapshot)
        with column:
            st.markdown(f"**{name}**")
            progress.metrics(
                {
                    "Epoch": f"{snapshot.epoch} of {snapshot.experiment.epochs}",
                    "Training accuracy": f"{snapshot.accuracy:.3f}" if snapshot.step else "–",
                    "Validation accuracy": f"{last.val_accuracy:.3f}" if last else "–",
                }
            )
    state = tuple((snapshot.run_id, len(snapshot.history)) for snapshot in snapshots)
    for column, measure, chart in zip(
        st.columns(2, gap="medium"), MEASURES, _charts(names, state, snapshots), strict=True
    ):
        with column:
            chart_view.show(chart, key=f"race {measure}")


@st.cache_resource(show_spinner=False, max_entries=20)
def _charts(names: list[str], state: Any, _snapshots: tuple[Snapshot, ...]) -> list[Specification]:
    """Loss and accuracy so far, drawn once for all who watch. state: of each lane, its run and its recorded epochs."""
    rows = pd.concat(map(_history, names, _snapshots), ignore_index=True)
    end = _snapshots[0].experiment.epochs
    return [comparison.curves(rows, measure, names, end=end) for measure in MEASURES]


def _history(name: str, snapshot: Snapshot) -> pd.DataFrame:
    """What is recorded so far, as `run_tables.history` gives it for stored runs."""
    rows = progress.frame(snapshot.history)
    rows = rows[rows["epoch"] > 0]
    named: dict[str, Any] = {"model": name, "seed": snapshot.experiment.seed, "run_id": name}
    named["loss_terms"] = " + ".join(snapshot.experiment.loss_terms)
    return rows.assign(**named, step=rows["epoch"] * snapshot.steps_per_epoch, seconds=rows["seconds"].cumsum())
