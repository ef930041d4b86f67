"""What the output layer, the loss and the metric mean: the formulas, and how to read them."""

from __future__ import annotations

import streamlit as st

from fmnist_core.experiment.hyperparameters import Experiment

WIDTH = 245  # pixels: three beside each other on a wide page, two on a narrow one
SOFTMAX = (
    "Ten units, one for each class. The softmax turns their weighted sums $z_k$ into ten probabilities that add up"
    " to 1; the class with the largest is the network's answer."
)
LOSS = (
    "Categorical cross-entropy: the mean over the images of minus the logarithm of the probability given to the right class. Sure and right"
    " costs nearly 0, a blind guess among ten classes costs $\\ln 10 = 2.30$, sure and wrong costs more."
)
ACCURACY = (
    "The share of images whose most probable class is the right one; guessing gives 0.10. Training follows the loss,"
    " not the accuracy, which moves in jumps and has no slope to follow."
)


def reading_aid(experiment: Experiment) -> None:
    """Three short explanations side by side, as far as there is room; their formulas are as high as each other."""
    penalty = f" The L2 penalty adds ${experiment.l2:g} \\sum w^2$ over the hidden weights." if experiment.l2 else ""
    with st.container(horizontal=True, gap="medium"):
        _part("Output layer: softmax", r"p_k = \frac{e^{z_k}}{\sum_{j=1}^{10} e^{z_j}}", SOFTMAX)
        _part("Loss: cross-entropy", r"L = -\ln p_{\text{right class}}", LOSS + penalty)
        _part("Metric: accuracy", r"A = \frac{n_{\text{right}}}{n}", ACCURACY)


def _part(name: str, formula: str, text: str) -> None:
    with st.container(width=WIDTH):
        st.markdown(f"**{name}**")
        with st.container(height=90, border=False, vertical_alignment="center"):
            st.latex(formula)
        st.markdown(text)
