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
from fmnist_core.ui.inspect.inspect_view import ADDRESS, View
from fmnist_core.ui.inspect.run_at_epoch import At
from fmnist_core.ui.shared.downloads import csv_file, foot

AT_ONCE = 24
FIGURES = {"counts": "Counts", "shares": "Percentage of the class"}
ORDERS = {"sure": "Most confident first", "doubtful": "Least confident first"}
MATRIX = "inspect matrix"


def show(at: At, view: View) -> None:
    """The matrix, the largest confusion in a sentence, and images."""
    found = run_at_epoch.answers(at)
    if found is None:
        return
    counts = evaluation.confusion(found, at.data.test_labels)
    table = confusion_matrix.rows(counts, CLASSES, view.figures == "shares")
    right = int(counts.trace())
    st.markdown(
        f"After epoch {at.epoch}, **{right:,} of {counts.sum():,}** test images are correct"
        f" ({100 * right / counts.sum():.1f} %). {run_sentences.confusion(counts.tolist(), CLASSES)}"
    )
    ADDRESS.segments("Figures", "figures", FIGURES, view.figures)
    st.altair_chart(
        confusion_matrix.matrix(table, CLASSES, tuple(CLASSES[k] for k in view.cell) if view.cell else None),  # type: ignore[arg-type]
        key=MATRIX,
        on_select=_clicked,
        selection_mode=confusion_matrix.CELL,
    )
    told = "Rows: the true class. Columns: the predicted class, the most probable one."
    foot(told, csv_file(table[["true", "predicted", "images", "share"]], f"{at.stem}-confusion.csv"))
    _images(at, view, found)


def _clicked() -> None:
    """A cell of the matrix was clicked; a second click on it changes nothing."""
    picked = st.session_state[MATRIX].selection.get(confusion_matrix.CELL) or []
    names = [picked[0].get(name) for name in ("true", "predicted")] if picked else []
    if names and all(name in CLASSES for name in names):
        ADDRESS.set(cell=(CLASSES.index(names[0]), CLASSES.index(names[1])))


def _images(at: At, view: View, found: NDArray[np.float32]) -> None:
    st.subheader("The images behind it")
    _choose(view)
    labels = at.data.test_labels
    rows = behind(view, found, labels)
    if not len(rows):
        st.info("There is no such image at this epoch: choose another cell, or another epoch.")
        return
    shown = rows[: _number(view, at)]
    items = [
        gallery.Item(f"Test image {row:,}", at.data.test_images[row], found[row], int(labels[row])) for row in shown
    ]
    st.html(gallery.html(items, CLASSES))
    if len(shown) < len(rows):
        st.button(f"Show {min(AT_ONCE, len(rows) - len(shown))} more", on_click=_more, args=(view, at))
    told = f"{len(shown):,} of {len(rows):,} images, {ORDERS[view.order].lower()}. ✓ marks the true class."
    foot(
        told,
        (
            "Picture (PNG)",
            lambda: gallery.sheet(items, CLASSES, f"{title(view)}. {told}"),
            f"{at.stem}-images.png",
            "image/png",
        ),
        csv_file(lambda: _listed(rows, found, at), f"{at.stem}-images.csv"),
    )
    _follow(shown)


def behind(view: View, found: NDArray[np.float32], labels: NDArray[np.uint8]) -> Rows:
    """The images of the chosen cell, or all mistakes, in the chosen order. found: probabilities (n, classes)."""
    doubtful = view.order == "doubtful"
    if view.cell:
        return evaluation.cell(found, labels, *view.cell, doubtful_first=doubtful)
    return evaluation.mistakes(found, labels, doubtful_first=doubtful)


def _choose(view: View) -> None:
    """What a click on the matrix chooses, also without a mouse."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        cell = view.cell or (None, None)
        for label, place in (("True class", 0), ("Predicted class", 1)):
            widget, start = ADDRESS.mounted(label, cell[place])
            st.selectbox(
                label,
                range(len(CLASSES)),
                start,
                format_func=CLASSES.__getitem__,
                placeholder="any",
                width=190,
                key=widget,
                on_change=_picked,
            )
        ADDRESS.segments("Order", "order", ORDERS, view.order, shown=True)
        st.button("All mistakes", on_click=ADDRESS.set, kwargs={"cell": None}, disabled=view.cell is None)


def _picked() -> None:
    """A class was chosen; a cell has two, so nothing changes before both are."""
    true, predicted = (st.session_state.get(ADDRESS.key(label)) for label in ("True class", "Predicted class"))
    if true is not None and predicted is not None:
        ADDRESS.change(cell=(true, predicted))
    elif ADDRESS.view().cell is not None:
        ADDRESS.set(cell=None)
    else:
        ADDRESS.stay()


def title(view: View) -> str:
    """What the images are that `behind` gives."""
    return f"{CLASSES[view.cell[0]]} predicted as {CLASSES[view.cell[1]]}" if view.cell else "All mistakes"


def _number(view: View, at: At) -> int:
    """How many images are shown: more only for the very view that more were asked for."""
    place, number = st.session_state.get("inspect more", (None, AT_ONCE))
    return number if place == (at.run.run_id, view.cell, view.order) else AT_ONCE


def _more(view: View, at: At) -> None:
    st.session_state["inspect more"] = ((at.run.run_id, view.cell, view.order), _number(view, at) + AT_ONCE)
    ADDRESS.stay()


def _follow(rows: Rows) -> None:
    """From an image here to section One image."""
    widget, start = ADDRESS.mounted("follow", None)
    st.selectbox(
        "Follow one of these through training",
        [int(row) for row in rows],
        start,
        format_func=lambda row: f"Test image {row:,}",
        placeholder="Choose an image",
        width=320,
        key=widget,
        on_change=_followed,
        args=(widget,),
    )


def _followed(widget: str) -> None:
    row = st.session_state[widget]
    # A slow browser may still tell of a control that has left the screen.
    if row is not None and widget == ADDRESS.key("follow"):
        ADDRESS.set(section="image", image=row)


def _listed(rows: Rows, found: NDArray[np.float32], at: At) -> pd.DataFrame:
    """The images in the order shown, with all probabilities."""
    table = pd.DataFrame(found[rows], columns=list(CLASSES))
    predicted = evaluation.predictions(found[rows])
    table.insert(0, "confidence", evaluation.confidences(found[rows]))
    table.insert(0, "predicted", [CLASSES[k] for k in predicted])
    table.insert(0, "true", [CLASSES[k] for k in at.data.test_labels[rows]])
    table.insert(0, "test_image", rows)
    return table
