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
from fmnist_core.ui.shared import session
from fmnist_core.ui.shared.downloads import csv_file, foot

AT_ONCE = 24


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
    STATE.draw("figures")
    st.altair_chart(
        confusion_matrix.matrix(table, CLASSES, tuple(CLASSES[k] for k in view.cell) if view.cell else None),  # type: ignore[arg-type]
        key=session.MATRIX.key(),
        on_select=_clicked,
        selection_mode=confusion_matrix.CELL,
    )
    told = "Rows: the true class. Columns: the predicted class, the most probable one."
    foot(told, csv_file(table[["true", "predicted", "images", "share"]], f"{at.stem}-confusion.csv"))
    _images(at, view, found)


def _clicked() -> None:
    """A cell of the matrix was clicked; a second click on it changes nothing."""
    picked = session.MATRIX.get().selection.get(confusion_matrix.CELL) or []
    names = [picked[0].get(name) for name in ("true", "predicted")] if picked else []
    if names and all(name in CLASSES for name in names):
        STATE.change(cell=(CLASSES.index(names[0]), CLASSES.index(names[1])))


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
            start, rest = STATE.control(label, cell[place], lambda _: _picked())
            st.selectbox(
                label,
                range(len(CLASSES)),
                start,
                format_func=CLASSES.__getitem__,
                placeholder="any",
                width=190,
                **rest,
            )
        STATE.draw("order")
        st.button("All mistakes", on_click=STATE.change, kwargs={"cell": None}, disabled=view.cell is None)


def _picked() -> None:
    """A class was chosen; a cell has two, so nothing changes before both are."""
    true, predicted = (STATE.shown(label) for label in ("True class", "Predicted class"))
    STATE.change(cell=None if true is None or predicted is None else (true, predicted))


def title(view: View) -> str:
    """What the images are that `behind` gives."""
    return f"{CLASSES[view.cell[0]]} predicted as {CLASSES[view.cell[1]]}" if view.cell else "All mistakes"


def _number(view: View, at: At) -> int:
    """How many images are shown: more only for the very view that more were asked for."""
    place, number = session.MORE.get()
    return number if place == (at.run.run_id, view.cell, view.order) else AT_ONCE


def _more(view: View, at: At) -> None:
    session.MORE.set(((at.run.run_id, view.cell, view.order), _number(view, at) + AT_ONCE))


def _follow(rows: Rows) -> None:
    """From an image here to section One image."""
    start, rest = STATE.control("follow", None, _followed)
    st.selectbox(
        "Follow one of these through training",
        [int(row) for row in rows],
        start,
        format_func=lambda row: f"Test image {row:,}",
        placeholder="Choose an image",
        width=320,
        **rest,
    )


def _followed(row: int | None) -> None:
    if row is not None:
        STATE.change(section="image", image=row)


def _listed(rows: Rows, found: NDArray[np.float32], at: At) -> pd.DataFrame:
    """The images in the order shown, with all probabilities."""
    table = pd.DataFrame(found[rows], columns=list(CLASSES))
    predicted = evaluation.predictions(found[rows])
    table.insert(0, "confidence", evaluation.confidences(found[rows]))
    table.insert(0, "predicted", [CLASSES[k] for k in predicted])
    table.insert(0, "true", [CLASSES[k] for k in at.data.test_labels[rows]])
    table.insert(0, "test_image", rows)
    return table
