"""Section Classes and calibration: each class's precision, recall and F1, and how far confidence can be believed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from fmnist_core.charts import confusion_matrix, reliability_diagram
from fmnist_core.data.dataset import CLASSES
from fmnist_core.findings import evaluation
from fmnist_core.findings.evaluation import Reliability, Scores
from fmnist_core.ui.inspect import run_at_epoch
from fmnist_core.ui.inspect.inspect_view import View
from fmnist_core.ui.inspect.run_at_epoch import At
from fmnist_core.ui.shared import chart_view, expander
from fmnist_core.ui.shared.downloads import csv_file, foot


def show(at: At, view: View) -> None:
    """Two parts, each with its table to take away."""
    predictions = run_at_epoch.predictions(at)
    if predictions is None:
        return
    labels = at.data.test_labels
    _scores(evaluation.scores(evaluation.confusion(predictions, labels)), at)
    _calibration(evaluation.reliability(predictions, labels), at)


def _scores(scores: Scores, at: At) -> None:
    st.header("Class by class")
    left, right = st.columns([3, 2], gap="large")
    with left:
        rows = confusion_matrix.score_rows(scores, CLASSES)
        chart_view.show(confusion_matrix.score_dots(rows, CLASSES), key="scores")
    with right:
        st.markdown("**Means over the ten classes**")
        st.markdown(
            f"precision **{scores.macro_precision:.3f}**, recall **{scores.macro_recall:.3f}**,"
            f" F1 **{scores.macro_f1:.3f}**"
        )
        st.caption(
            "Precision: of the images predicted as the class, the share that belongs to it. Recall: of the"
            " images of the class, the share predicted as it. F1: the harmonic mean of the two, which is not a"
            " share and so has no interval of this kind."
        )
    expander.show("The numbers", "class scores", lambda: _numbers(_table(scores), at))


def _numbers(table: pd.DataFrame, at: At) -> None:
    shares = {name: st.column_config.NumberColumn(format="%.3f") for name in ("precision", "recall", "F1")}
    numbers = {name: st.column_config.NumberColumn(format="localized") for name in ("images", "predicted")}
    st.dataframe(table, hide_index=True, column_config=shares | numbers, height="content", placeholder="none")
    file = csv_file(table, f"{at.stem}-classes.csv")
    foot("none: there was no such image; it counts as 0 in the mean.", file)


def _table(scores: Scores) -> pd.DataFrame:
    """A row a class, and their means."""
    table = pd.DataFrame(
        {
            "class": CLASSES,
            "precision": scores.precision,
            "recall": scores.recall,
            "F1": scores.f1,
            "images": scores.support,
            "predicted": scores.predicted,
        }
    )
    means = [scores.macro_precision, scores.macro_recall, scores.macro_f1]
    last = ["mean", *means, int(scores.support.sum()), int(scores.predicted.sum())]
    return pd.concat([table, pd.DataFrame([last], columns=table.columns)], ignore_index=True)


def _calibration(reliability: Reliability, at: At) -> None:
    st.header("Is it as accurate as it is confident?")
    left, right = st.columns([3, 2], gap="large")
    table = reliability_diagram.rows(reliability)
    with left.container(gap=None):
        chart_view.show(reliability_diagram.diagram(table), key="reliability")
        chart_view.show(reliability_diagram.counts(table), key="reliability counts")
    with right:
        st.metric("Expected calibration error", f"{reliability.error:.3f}")
        st.markdown(believed(reliability))
        st.caption(
            f"Images are sorted into {len(reliability.images)} bins by the probability of the network's prediction. The"
            " error is the mean distance between confidence and accuracy, each bin weighted by its number of"
            " images (Guo et al. 2017, arXiv 1706.04599, equation 3). Bars: accuracy. Lines: 95 % interval"
            " (Wilson)."
        )
        foot("", csv_file(table, f"{at.stem}-calibration.csv"))


def believed(reliability: Reliability) -> str:
    """Whether the network is overconfident, in a sentence with the numbers."""
    confidence, accuracy = 100 * reliability.mean_confidence, 100 * reliability.mean_accuracy
    inside = (reliability.low <= reliability.confidence) & (reliability.confidence <= reliability.high)
    verdict = f"it is {'overconfident' if confidence > accuracy else 'underconfident'}"
    if np.all(inside[reliability.images > 0]):
        verdict = "in no bin do the two differ beyond the noise"
    return f"Its mean confidence is {confidence:.1f} %, and {accuracy:.1f} % of its predictions are correct: {verdict}."
