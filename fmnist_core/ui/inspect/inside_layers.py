"""Section Inside: each layer's histograms over the epochs, kernels as images, dead and saturated units."""

from __future__ import annotations

import numpy as np
import streamlit as st

from fmnist_core.charts import epoch_lines, images, unit_images
from fmnist_core.data.dataset import CLASSES
from fmnist_core.experiment import wording
from fmnist_core.experiment.activations import ACTIVATIONS
from fmnist_core.experiment.layer_names import OUTPUT, dense_layers, layer_heading, layer_title
from fmnist_core.findings import layer_measures as measures
from fmnist_core.store.run import Run
from fmnist_core.ui.inspect import run_at_epoch
from fmnist_core.ui.inspect.inspect_view import STATE, View
from fmnist_core.ui.inspect.run_at_epoch import At
from fmnist_core.ui.shared import chart_view, histogram_view
from fmnist_core.ui.shared.downloads import csv_file, foot, png_file
from fmnist_core.ui.shared.per_run import per_run

# Of each quantity: its name in a title, and what it is.
QUANTITIES = {
    "weight": ("weights", f"The weights into the layer, {histogram_view.SAMPLE}"),
    "bias": ("biases", "One bias for each unit; all start at 0."),
    "activation": ("activations", "The outputs of the layer's units."),
    "gradient": (
        "back-propagated gradients dCost/ds",
        "How the cost of each image changes with a unit's pre-activation s (cross-entropy, without L2 penalty).",
    ),
}
FEW = 64  # kernels shown at first
FOLLOWED, COLUMNS = 8, 11  # kernels shown over this many epochs


def show(at: At, view: View) -> None:
    """One of three parts."""
    STATE.draw("part")
    {"histograms": _histograms, "kernels": _kernels, "units": _units}[view.part](at, view)


# --- Histograms ------------------------------------------------------------------------------------------------------


def _histograms(at: At, view: View) -> None:
    names = dense_layers(at.run.experiment)
    layer = view.layer if view.layer in names else names[0]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        STATE.draw("quantity")
        STATE.select("layer", "Layer", names, layer, format_func=layer_heading, width=200)
        STATE.draw("kind")
    title, about = QUANTITIES[view.quantity]
    if view.quantity in ("weight", "bias"):
        tensor = f"{layer}/{'kernel' if view.quantity == 'weight' else 'bias'}"
        rows = histogram_view.of_weights(at.run, tensor)
    else:
        rows = run_at_epoch.over_epochs(at.run).spreads[view.quantity, layer]
        epochs = len(measures.thinned(at.run.epochs, run_at_epoch.MOST_EPOCHS))
        about += (
            f" Measured at {wording.counted(epochs, 'epoch')} on {run_at_epoch.BATCH} training images of each class;"
            " values that are exactly 0, and the outermost 1 % on either side, are not shown."
        )
    histogram_view.show(
        rows,
        view.kind,
        f"How the {title} of {layer_title(layer)} are spread, epoch by epoch",
        about,
        f"fashion-mnist-{at.run.run_id}-{layer}-{view.quantity}",
        view.quantity,
        at.epoch,
    )


# --- Kernels ---------------------------------------------------------------------------------------------------------


def _kernels(at: At, view: View) -> None:
    layer = dense_layers(at.run.experiment)[0]
    name = f"{layer}/kernel"
    order, largest = _order(at.run, name)
    few = order[:FEW]
    if len(order) > FEW and st.toggle(f"All {len(order):,} units", key="inspect all kernels"):
        few = order
    picture, width = _picture(at.run, at.epoch, name, len(few))
    title = (
        f"Weights from each pixel to {wording.counted(len(few), 'unit')} of {layer_title(layer)}"
        f" after epoch {at.epoch}, sorted by the norm of their weights at the end of training"
    )
    caption = "There is no hidden layer: each of the ten images is what the network looks for in one class."
    if at.run.experiment.hidden_widths:
        caption = (
            "A unit adds up the pixels with these weights: orange pixels raise its pre-activation, blue ones lower it."
        )
    st.markdown(f"**{title}**")
    st.html(_img(images.source(picture), title, width))
    st.html(unit_images.legend(largest))
    foot(caption, png_file(lambda: picture, f"{at.stem}-kernels.png"))
    epochs = measures.thinned(at.run.epochs, COLUMNS)
    if len(epochs) > 1:
        numbers = ", ".join(map(str, epochs))
        st.markdown(f"**The first {min(FOLLOWED, len(order))} of them over the epochs: {numbers}**")
        title = f"The same units, one per row, at epochs {numbers}"
        st.html(_img(_followed(at.run, name), title, len(epochs) * 60))


def _img(source: str, title: str, width: int) -> str:
    return f'<img src="{source}" alt="{title}" style="width:100%;max-width:{width}px;display:block">'


@per_run(max_entries=40, shared=True)
def _picture(run: Run, epoch: int, name: str, number: int) -> tuple[bytes, int]:
    """The weights of the first `number` units in their order, as a PNG file, and its width in pixels."""
    order, largest = _order(run, name)
    picture = unit_images.kernels(run.tensor(epoch, name), order[:number], largest)
    return images.png(picture), picture.width


@per_run(max_entries=50)
def _order(run: Run, name: str) -> tuple[list[int], float]:
    """Units by the length of their weights at the last finite epoch, and the weight of the full colour there."""
    for epoch in reversed(run.epochs):
        kernel = run.tensor(epoch, name)
        if np.isfinite(kernel).all():
            break
    if name.startswith(OUTPUT):
        return list(range(len(CLASSES))), unit_images.kernel_scale(kernel)
    return unit_images.kernel_order(kernel).tolist(), unit_images.kernel_scale(kernel)


@per_run(max_entries=20)
def _followed(run: Run, name: str) -> str:
    """The first FOLLOWED units, one a row, an epoch a column, as the source of an image."""
    order, largest = _order(run, name)
    shown = [run.tensor(epoch, name)[:, order[:FOLLOWED]] for epoch in measures.thinned(run.epochs, COLUMNS)]
    side_by_side = np.stack(shown, axis=2).reshape(shown[0].shape[0], -1)
    return images.source(unit_images.kernels(side_by_side, range(side_by_side.shape[1]), largest, columns=len(shown)))


# --- Dead and saturated units ----------------------------------------------------------------------------------------


def _units(at: At, view: View) -> None:
    table = run_at_epoch.over_epochs(at.run).table
    hidden = table[table["layer"] != OUTPUT]
    activation = ACTIVATIONS[at.run.experiment.activation]
    if hidden.empty:
        st.info("This network has no hidden layer, so it has no units that could die or saturate.")
        return
    named = hidden.assign(layer=hidden["layer"].map(layer_heading))
    left, right = st.columns(2, gap="medium")
    if activation.can_die or activation.can_saturate:
        column, word = ("dead", "Dead units") if activation.can_die else ("saturated", "Saturated values")
        about = "0 for every image measured" if activation.can_die else f"in the flat part of {activation.label}"
        rows = named[["epoch", "layer"]].assign(value=named[column])
        chart = epoch_lines.layers(rows, f"{word} in each layer", about, "share", at.epoch)
        with left:
            chart_view.show(chart, key="unit shares")
    else:
        name = activation.label[0].upper() + activation.label[1:]
        left.info(
            f"{name} is nearly flat for very negative pre-activations, but its values do not show it: they are"
            " near 0 there, and also around the pre-activation 0, where it is steep. So no share of saturated"
            " values is given."
            if activation.fades
            else f"{name} has no flat part that blocks the gradient: its units neither die nor saturate."
        )
    rows = named[["epoch", "layer"]].assign(value=named["gradient"].where(named["gradient"] > 0)).dropna()
    if not rows.empty:
        chart = epoch_lines.layers(
            rows,
            "Size of the gradient in each layer",
            "standard deviation of dCost/ds",
            "standard deviation (log)",
            at.epoch,
            log=True,
            form=".1e",
        )
        with right:
            chart_view.show(chart, key="gradient widths")
    epochs = table["epoch"].nunique()
    limitless = f" {activation.label} has no upper limit, so its units do not saturate." if activation.can_die else ""
    foot(
        f"Measured at {wording.counted(epochs, 'epoch')} on {run_at_epoch.BATCH} training images of each class. Dashed"
        f" line: the epoch of the slider.{limitless}",
        csv_file(hidden, f"fashion-mnist-{at.run.run_id}-layers.csv"),
    )
