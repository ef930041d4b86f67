"""Section Mistakes: the confusion matrix, and the images behind each of its cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import confusion_matrix, gallery
from fmnist_core.data.dataset import CLASSES
from fmnist_core.findings import evaluation, run_sentences
from fmnist_core.findings.evaluation import Rows
from fmnist_core.ui.inspect import run_at_epoch
from fmnist_core.ui.inspect.inspect_view import ORDERS, STATE, View
from fmnist_core.ui.inspect.run_at_epoch import At
from fmnist_core.ui.shared import chart_view, session
from fmnist_core.ui.shared.downloads import csv_file, foot, png_file

AT_ONCE = 24


def show(at: At, view: View) -> None:
    """The matrix, the largest confusion in a sentence, and images."""
    predictions = run_at_epoch.predictions(at)
    if predictions is None:
        return
    counts = evaluation.confusion(predictions, at.data.test_labels)
    table = confusion_matrix.rows(counts, CLASSES, view.figures == "shares")
    correct = int(counts.trace())
    st.markdown(
        f"After epoch {at.epoch}, **{correct:,} of {counts.sum():,}** test images are correct"
        f" ({100 * correct / counts.sum():.1f} %). {run_sentences.confusion(counts.tolist(), CLASSES)}"
    )
    STATE.draw("figures")
    cell = (CLASSES[view.cell[0]], CLASSES[view.cell[1]]) if view.cell else None
    chart_view.show(
        confusion_matrix.matrix(table, CLASSES, cell),
        key=session.MATRIX.key(),
        on_select=_clicked,
    )
    foot(
        "Rows: the true class. Columns: the predicted class, the most probable one.",
        csv_file(table[["true", "predicted", "images", "share"]], f"{at.stem}-confusion.csv"),
    )
    _images(at, view, predictions)


def _clicked() -> None:
    """A cell of the matrix was clicked; a second click on it changes nothing."""
    picked = session.MATRIX.get().selection.get(confusion_matrix.CELL) or []
    names = [picked[0].get(name) for name in ("true", "predicted")] if picked else []
    if names and all(name in CLASSES for name in names):
        STATE.change(cell=(CLASSES.index(names[0]), CLASSES.index(names[1])))


def _images(at: At, view: View, predictions: NDArray[np.float32]) -> None:
    st.header("The images behind it")
    _choose(view)
    labels = at.data.test_labels
    rows = behind(view, predictions, labels)
    if not len(rows):
        st.info("There is no such image at this epoch: choose another cell, or another epoch.")
        return
    group = (at.run.run_id, view.cell, view.order)
    last_group, last_number = session.MORE.get()
    number = last_number if group == last_group else AT_ONCE  # more only for the very images that more were asked for
    shown = rows[:number]
    items = [
        gallery.Item(f"Test image {row:,}", at.data.test_images[row], predictions[row], int(labels[row]))
        for row in shown
    ]
    st.html(gallery.html(items, CLASSES))
    if len(shown) < len(rows):
        more = f"Show {min(AT_ONCE, len(rows) - len(shown))} more"
        st.button(more, on_click=session.MORE.set, args=((group, number + AT_ONCE),))
    caption = f"{len(shown):,} of {len(rows):,} images, {ORDERS[view.order].lower()}. ✓ marks the true class."
    foot(
        caption,
        png_file(lambda: gallery.sheet(items, CLASSES, f"{title(view)}. {caption}"), f"{at.stem}-images.png"),
        csv_file(lambda: _table(rows, predictions[rows], labels[rows]), f"{at.stem}-images.csv"),
    )
    STATE.select(
        "follow",
        "Follow one of these through training",
        [int(row) for row in shown],
        None,
        take=_follow,
        format_func=lambda row: f"Test image {row:,}",
        placeholder="Choose an image",
        width=320,
    )


def behind(view: View, predictions: NDArray[np.float32], labels: NDArray[np.uint8]) -> Rows:
    """The images of the chosen cell, or all mistakes, in the chosen order. predictions: float32 (n, classes)."""
    doubtful = view.order == "doubtful"
    if view.cell:
        return evaluation.cell(predictions, labels, *view.cell, doubtful_first=doubtful)
    return evaluation.mistakes(predictions, labels, doubtful_first=doubtful)


def _choose(view: View) -> None:
    """What a click on the matrix chooses, also without a mouse."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        classes = range(len(CLASSES))
        options = {"take": _pick, "format_func": CLASSES.__getitem__, "placeholder": "any", "width": 190}
        for label, value in zip(("True class", "Predicted class"), view.cell or (None, None), strict=True):
            STATE.select(label, label, classes, value, **options)
        STATE.draw("order")
        st.button("All mistakes", on_click=STATE.change, kwargs={"cell": None}, disabled=view.cell is None)


def _pick(_: int | None) -> None:
    """A class was chosen; a cell has two, so nothing changes before both are."""
    true, predicted = (STATE.shown(label) for label in ("True class", "Predicted class"))
    STATE.change(cell=None if true is None or predicted is None else (true, predicted))


def title(view: View) -> str:
    """What the images are that `behind` gives."""
    return f"{CLASSES[view.cell[0]]} predicted as {CLASSES[view.cell[1]]}" if view.cell else "All mistakes"


def _follow(row: int | None) -> None:
    """From an image here to section One image."""
    if row is not None:
        STATE.change(section="image", image=row)


def _table(rows: Rows, predictions: NDArray[np.float32], labels: NDArray[np.uint8]) -> pd.DataFrame:
    """Images in the order shown, with all probabilities."""
    columns = {
        "test_image": rows,
        "true": [CLASSES[k] for k in labels],
        "predicted": [CLASSES[k] for k in evaluation.predictions(predictions)],
        "confidence": evaluation.confidences(predictions),
    }
    return pd.DataFrame({**columns, **dict(zip(CLASSES, predictions.T, strict=True))})
