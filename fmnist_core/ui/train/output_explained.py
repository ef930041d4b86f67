"""What the output layer, the loss and the metric mean: the formulas, and how to read them."""

from __future__ import annotations

import streamlit as st

from fmnist_core.experiment.hyperparameters import Experiment

WIDTH = 245  # pixels: three beside each other on a wide page, two on a narrow one
SOFTMAX = (
    "Ten units, one for each class. The softmax turns their pre-activations $z_k$ into ten probabilities that"
    " add up to 1; the class with the largest is the network's prediction."
)
LOSS = (
    "Categorical cross-entropy: the mean over the images of the negative logarithm of the probability of the"
    " correct class. A confident correct prediction costs nearly 0, a random guess among ten classes $\\ln 10 ="
    " 2.30$, a confident wrong prediction more."
)
ACCURACY = (
    "The share of images whose most probable class is correct; guessing gives 0.10. Training minimises the loss,"
    " not the accuracy, which changes in jumps and has no gradient to follow."
)


def reading_aid(experiment: Experiment) -> None:
    """Three short explanations side by side, as far as there is room; their formulas are as high as each other."""
    smoothing = experiment.label_smoothing
    more = f" The L2 penalty adds ${experiment.l2:g} \\sum w^2$ over the hidden weights." if experiment.l2 else ""
    if smoothing:
        more += f" With label smoothing, the correct class has the target $y_k = {1 - 0.9 * smoothing:g}$ and each other class {smoothing / 10:g}: to be quite sure costs, too."
    loss = r"L = -\sum_{k=1}^{10} y_k \ln p_k" if smoothing else r"L = -\ln p_{\text{correct class}}"
    with st.container(horizontal=True, gap="medium"):
        _part("Output layer: softmax", r"p_k = \frac{e^{z_k}}{\sum_{j=1}^{10} e^{z_j}}", SOFTMAX)
        _part("Loss: cross-entropy", loss, LOSS + more)
        _part("Metric: accuracy", r"A = \frac{n_{\text{correct}}}{n}", ACCURACY)


def _part(name: str, formula: str, text: str) -> None:
    with st.container(width=WIDTH):
        st.markdown(f"**{name}**")
        with st.container(height=90, border=False, vertical_alignment="center"):
            st.latex(formula)
        st.markdown(text)
