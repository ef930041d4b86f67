"""What came after Glorot & Bengio (2010): a paragraph for each later initialisation, and a live look at it."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from fmnist_core.experiment import table1_plan
from fmnist_core.ui.initialisation.initialisation_view import View, view_button

ICON = ":material/show_chart:"


@dataclass(frozen=True)
class Later:
    """One later initialisation. formula: LaTeX, or "". look: the live view that shows it, if any; label: its button."""

    name: str
    formula: str
    text: str
    reference: str
    look: View | None = None
    label: str = ""


def _view(activation: str, *initialisers: str, layers: int = 10, units: int = 300) -> View:
    return View(part="live", activation=activation, initialisers=initialisers, layers=layers, units=units)


LATER = (
    Later(
        "LeCun (1998, before Glorot)",
        r"\mathrm{Var}[W] = \frac{1}{n_i}",
        "Considers the forward pass only: with inputs of mean 0 and variance 1, each pre-activation has variance"
        " 1. It preserves the signal (eq. 10); the gradient depends on the widths. Self-normalising networks"
        " (SELU, Klambauer et al. 2017) need exactly this one.",
        "Y. LeCun, L. Bottou, G. Orr, K.-R. Müller: *Efficient BackProp*, in: Neural Networks: Tricks of the Trade,"
        " 1998, [doi 10.1007/3-540-49430-8_2](https://doi.org/10.1007/3-540-49430-8_2); SELU:"
        " [arXiv 1706.02515](https://arxiv.org/abs/1706.02515)",
        _view("selu", "lecun_normal", "glorot_uniform"),
        "LeCun and Glorot through ten SELU layers",
    ),
    Later(
        "He (2015)",
        r"\mathrm{Var}[W] = \frac{2}{n_i}",
        "ReLU sets half of its inputs to 0 and so halves the signal's second moment at each layer, which"
        " Glorot's derivation with $f' = 1$ does not foresee. Twice the variance compensates for this. With it,"
        " networks of 30 ReLU layers learned that did not with Glorot's.",
        "K. He, X. Zhang, S. Ren, J. Sun: *Delving Deep into Rectifiers*, ICCV 2015,"
        " [arXiv 1502.01852](https://arxiv.org/abs/1502.01852), eqs. 10 and 14",
        _view("relu", "he_normal", "glorot_normal", layers=20),
        "He and Glorot through twenty ReLU layers",
    ),
    Later(
        "Orthogonal (2014)",
        r"W^\top W = I",
        "Random, but with orthonormal columns (or rows, if there are fewer of them): a square layer rotates its"
        " input and stretches no direction. All singular values are 1, not just their mean: in deep linear"
        " networks, learning then takes a number of steps that does not grow with depth.",
        "A. Saxe, J. McClelland, S. Ganguli: *Exact solutions to the nonlinear dynamics of learning in deep linear"
        " neural networks*, ICLR 2014, [arXiv 1312.6120](https://arxiv.org/abs/1312.6120)",
        _view("linear", "orthogonal", "glorot_normal"),
        "Orthogonal and Glorot: look at the singular values",
    ),
    Later(
        "LSUV (2016): layer-sequential unit variance",
        r"W \leftarrow \frac{W}{\sqrt{\mathrm{Var}[s]}} \ \text{ until }\ \left|\mathrm{Var}[s] - 1\right| < 0.02",
        "Uses the data instead of a formula: draw orthogonal weights, pass a batch through the first layer, divide its"
        " weights by the standard deviation of its pre-activations, repeat until the variance is 1, and continue with"
        " the next layer. So it works with any activation. (Margin and at most 20 rounds as in the authors' script.)",
        "D. Mishkin, J. Matas: *All you need is a good init*, ICLR 2016,"
        " [arXiv 1511.06422](https://arxiv.org/abs/1511.06422)",
        _view("relu", "lsuv", "he_normal"),
        "Watch LSUV layer by layer",
    ),
    Later(
        "Discriminant learning (2022)",
        "",
        "Also uses the labels: the first weights are found by discriminant learning on the training images, so"
        " that the classes separate before any training. **Not in this app**: only the paper's abstract was at"
        " hand when it was built, and a method rebuilt from an abstract would not be the authors'.",
        "K. Chumachenko, A. Iosifidis, M. Gabbouj: *Feedforward neural networks initialization based on discriminant"
        " learning*, Neural Networks 146, 2022,"
        " [doi 10.1016/j.neunet.2021.11.020](https://doi.org/10.1016/j.neunet.2021.11.020),"
        " [open copy](https://zenodo.org/record/5776561)",
    ),
)
REFUSED = View(part="live", initialisers=("zeros", table1_plan.NORMALISED), layers=3, units=100)


def show() -> None:
    """The whole part."""
    st.markdown(
        "Glorot and Bengio asked that a layer preserve the size of signals. Later authors asked the same for"
        " other activations, for every direction, or on the data itself."
    )
    for later in LATER:
        with st.container(border=True):
            st.header(later.name)
            if later.formula:
                st.latex(later.formula)
            st.markdown(later.text)
            st.caption(later.reference)
            if later.look:
                view_button(later.label, ICON, later.look)
    with st.container(border=True):
        st.header("And why not zeros?")
        st.markdown(
            "Biases may start at 0, weights may not: units with equal weights stay equal forever. See it happen."
        )
        view_button("All units equal: zeros beside Glorot", ICON, REFUSED)
