"""Beside the map: one image with its neighbours in the layer, or a group that the lasso took."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import gallery, images, theme
from fmnist_core.data.dataset import CLASSES
from fmnist_core.experiment import wording
from fmnist_core.experiment.layer_names import the_layer
from fmnist_core.findings.map_request import MapRequest
from fmnist_core.store.run import Run
from fmnist_core.ui.embeddings.embeddings_view import STATE
from fmnist_core.ui.embeddings.mapped_images import Shown, neighbours_of

NEIGHBOURS, GROUP = 8, 24


def image(run: Run, request: MapRequest, epoch: int, held: Shown, index: int) -> None:
    """The image that is opened, and those nearest to it in the layer itself, not in the map."""
    st.markdown("**The image you opened**")
    st.html(gallery.html([_item(held, index)], CLASSES, 190))
    near = neighbours_of(run, request, epoch, index, NEIGHBOURS)
    same = int((held.chosen.labels[near] == held.chosen.labels[index]).sum())
    st.markdown(f"**Nearest in {the_layer(request.layer)}**")
    st.caption(
        f"Among the {len(held.chosen.rows):,} images of the map, by distance in the layer, not in the picture:"
        f" {same} of {len(near)} are of the same class."
    )
    st.html(gallery.html([_item(held, int(one), short=True) for one in near], CLASSES, 52))
    st.button("Close", icon=":material/close:", on_click=STATE.change, kwargs={"image": None}, key="embeddings close")


def lasso(taken: Sequence[int], held: Shown, clear: Callable[[], None]) -> None:
    """The group, its class mix, its first images, and its list."""
    chosen = np.asarray(taken)
    labels = held.chosen.labels[chosen]
    wrong = int((held.predicted[chosen] != labels).sum())
    st.markdown(f"**{wording.counted(len(chosen), 'image')} in the lasso**")
    st.html(_mix(labels))
    st.caption(f"The network predicts {len(chosen) - wrong} of them correctly and {wrong} wrongly.")
    st.html(gallery.html([_item(held, int(one), short=True) for one in chosen[:GROUP]], CLASSES, 52))
    if len(chosen) > GROUP:
        st.caption(f"The first {GROUP} are shown.")
    table = pd.DataFrame(
        {
            "image": held.chosen.rows[chosen],
            "true": [CLASSES[label] for label in labels],
            "predicted": [CLASSES[label] for label in held.predicted[chosen]],
            "confidence": held.probabilities[chosen].max(axis=1).round(4),
        }
    )
    st.download_button(
        "List (CSV)", table.to_csv(index=False).encode(), "fashion-mnist-lasso.csv", "text/csv", on_click="ignore"
    )
    st.button("Clear", icon=":material/close:", on_click=clear, key="embeddings clear")


def _mix(labels: NDArray[np.uint8]) -> str:
    """The classes of a group, the most frequent first, as lines of a narrow column."""
    counts = np.bincount(labels, minlength=len(CLASSES))
    lines = [
        f"<div>{images.mark(theme.CLASS_COLOURS[label])}{CLASSES[label]}: <b>{counts[label]:,}</b>"
        f" ({wording.percent(counts[label] / len(labels))})</div>"
        for label in np.argsort(-counts, kind="stable")
        if counts[label]
    ]
    return f'<div style="line-height:1.7">{"".join(lines)}</div>'


def _item(held: Shown, index: int, short: bool = False) -> gallery.Item:
    label = int(held.chosen.labels[index])
    title = CLASSES[label] if short else f"Image {held.chosen.rows[index]:,}"
    probabilities = None if short else held.probabilities[index]
    return gallery.Item(title, held.chosen.images[index], probabilities, label)
