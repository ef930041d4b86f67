"""What each change does, shown and measured on the runs of the page: a short explanation beside its picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from fmnist_core.data.dataset import Dataset
from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.experiment.hyperparameters import Experiment
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import batch_norm_explained, dropout_explained, l2_explained, steps_explained
from fmnist_core.ui.compare import explained_parts as parts
from fmnist_core.ui.shared import deleted_runs, markdown

Explainer = Callable[[Run, Sequence[Run], Dataset], None]
EXPLAINERS: dict[str, tuple[Callable[[Experiment], bool], Explainer]] = {
    "Dropout": (lambda e: bool(e.canonical().get("dropout")), dropout_explained.show),
    "Batch normalisation": (lambda e: bool(e.canonical().get("batch_norm")), batch_norm_explained.show),
    "L2 penalty": (lambda e: bool(e.canonical().get("l2")), l2_explained.show),
    "Learning-rate schedule": (lambda e: e.schedule != "constant", steps_explained.schedule),
    "Weight decay": (lambda e: bool(e.canonical().get("weight_decay")), steps_explained.weight_decay),
    "Label smoothing": (lambda e: bool(e.label_smoothing), steps_explained.smoothing),
    "Gradient clipping": (lambda e: bool(e.clip_norm), steps_explained.clipping),
}
NOTHING = (
    "None of these runs uses anything explained here: train a network with"
    f" {wording.listed([wording.inside(title) for title in EXPLAINERS], 'or')} to see what it does."
)


def show(runs: Sequence[Run], data: Dataset) -> None:
    """One explanation for each regulariser among the runs; where there is none, a sentence that says what to train."""
    users = {title: [run for run in runs if uses(run.experiment)] for title, (uses, _) in EXPLAINERS.items()}
    st.header("What each change does")
    if any(users.values()):
        _tabs({title: using for title, using in users.items() if using}, runs, data)
    else:
        st.info(NOTHING)


@st.fragment
def _tabs(users: dict[str, list[Run]], runs: Sequence[Run], data: Dataset) -> None:
    """Only the open tab is computed."""
    for tab, (title, using) in zip(st.tabs(list(users), on_change="rerun"), users.items(), strict=True):
        if tab.open:
            with tab:
                by_id = {run.run_id: run for run in using}
                chosen = using[0].run_id
                if len(using) > 1:
                    name = {run_id: parts.name(run) for run_id, run in by_id.items()}.__getitem__
                    chosen = st.selectbox("Run", list(by_id), format_func=name, key=f"run for {title}", width=420)
                try:
                    EXPLAINERS[title][1](by_id[chosen], runs, data)
                except LabError as error:
                    deleted_runs.error(error, markdown.warning)
