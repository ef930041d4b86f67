"""What each change does, shown and measured on the runs of the page: a short explanation beside its picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from fmnist_core.data.dataset import Dataset
from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import (
    batch_norm_explained,
    dropout_explained,
    l2_explained,
    schedule_explained,
    short_explanations,
)
from fmnist_core.ui.compare import explained_parts as parts
from fmnist_core.ui.shared import markdown

Explainer = Callable[[Run, Sequence[Run], Dataset], None]
EXPLAINERS: dict[str, tuple[Callable[[Experiment], bool], Explainer]] = {
    "Dropout": (lambda e: bool(e.canonical().get("dropout")), dropout_explained.show),
    "Batch normalisation": (lambda e: bool(e.canonical().get("batch_norm")), batch_norm_explained.show),
    "L2 penalty": (lambda e: bool(e.canonical().get("l2")), l2_explained.show),
    "Learning-rate schedule": (lambda e: e.schedule != "constant", schedule_explained.show),
    "Weight decay": (lambda e: bool(e.canonical().get("weight_decay")), short_explanations.weight_decay),
    "Label smoothing": (lambda e: bool(e.label_smoothing), short_explanations.smoothing),
    "Gradient clipping": (lambda e: bool(e.clip_norm), short_explanations.clipping),
}
*_FIRST, _LAST = [wording.inside(title) for title in EXPLAINERS]
NOTHING = f"None of these runs uses anything explained here: train a network with {', '.join(_FIRST)} or {_LAST} to see what it does."


def show(runs: Sequence[Run], data: Dataset) -> None:
    """One explanation for each regulariser among the runs; where there is none, a sentence that says what to train."""
    found = {title: [run for run in runs if uses(run.experiment)] for title, (uses, _) in EXPLAINERS.items()}
    found = {title: own for title, own in found.items() if own}
    st.header("What each change does")
    if found:
        _tabs(found, runs, data)
    else:
        st.info(NOTHING)


@st.fragment
def _tabs(found: dict[str, list[Run]], runs: Sequence[Run], data: Dataset) -> None:
    """Only the open tab is computed."""
    for tab, (title, own) in zip(st.tabs(list(found), on_change="rerun"), found.items(), strict=True):
        if not tab.open:
            continue
        with tab:
            run = _chosen(title, own)
            try:
                EXPLAINERS[title][1](run, runs, data)
            except LabError as error:
                markdown.warning(error)


def _chosen(title: str, own: list[Run]) -> Run:
    if len(own) == 1:
        return own[0]
    names = {run.run_id: parts.name(run) for run in own}
    chosen = st.selectbox("Run", list(names), format_func=names.__getitem__, key=f"run for {title}", width=420)
    return next(run for run in own if run.run_id == chosen)
