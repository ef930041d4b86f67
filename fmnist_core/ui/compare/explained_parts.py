"""What the regularisers' explanations share: a run's name, weights and images, and the layout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.data import dataset
from fmnist_core.data.dataset import Dataset
from fmnist_core.errors import LabError
from fmnist_core.experiment import wording
from fmnist_core.experiment.recording import Weights
from fmnist_core.store.run import Run
from fmnist_core.ui.shared.markdown import escaped

PERCENT = "%.0f %%"  # a table's cell as the texts have it, "95 %"
BATCH = 128  # Training images that pass together.


def name(run: Run) -> str:
    """The name that its owner gave it, or its settings in words."""
    return run.name or wording.name(run.experiment)


def measured_on(run: Run) -> str:
    """How a caption begins."""
    return f"Measured on “{escaped(name(run))}”"


def when(epoch: int) -> str:
    """In words, to stand inside a sentence."""
    return f"after epoch {epoch}" if epoch else "before training"


def weights(run: Run, epoch: int) -> Weights:
    """Raises: LabError where one is not a number."""
    weights = run.weights(epoch)
    check(run, epoch, *weights.values())
    return weights


def check(run: Run, epoch: int, *arrays: NDArray[np.float32]) -> None:
    """Raises: LabError where a value is not a number."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise LabError(f"“{name(run)}” diverged ({when(epoch)}): there is nothing to show.")


def training_rows(run: Run, data: Dataset) -> NDArray[np.int32]:
    """Rows of the data set's training images that the run was trained on, (n,)."""
    return dataset.split_of(data.name, run.experiment.validation_fraction, run.experiment.training_fraction).train


def generator(run: Run, step: int) -> np.random.Generator:
    """The same numbers each time for the same run and step."""
    return np.random.default_rng([run.experiment.seed, step])


def explanation(text: str, formula: str = "") -> Any:
    """Text and formula in a column of their own. Returns it, for what follows there, and the column for the picture."""
    left, picture = st.columns([2, 3], gap="large")
    left.markdown(text)
    if formula:
        left.latex(formula)
    return left, picture


def table(rows: pd.DataFrame, formats: Iterable[str]) -> None:
    """formats: of the columns after the two that name the row; PERCENT for a share."""
    by_name = dict(zip(rows.columns[2:], formats, strict=True))
    shown = rows.assign(**{name: 100 * rows[name] for name, form in by_name.items() if form == PERCENT})
    config = {name: st.column_config.NumberColumn(name, format=form) for name, form in by_name.items()}
    st.dataframe(shown, hide_index=True, column_config=config)
