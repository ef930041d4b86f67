"""Why the start matters: the problem, the hypothesis and the method of Glorot & Bengio (2010), and a signal to try."""

from __future__ import annotations

import streamlit as st

from fmnist_core.charts import signal_through_layers as signal
from fmnist_core.experiment import table1_plan, wording
from fmnist_core.experiment.cost import INPUTS, OUTPUTS
from fmnist_core.network import theory
from fmnist_core.ui.initialisation.initialisation_view import CARD, STANDARD_FACTOR, STATE, View
from fmnist_core.ui.shared import chart_view, markdown

REFERENCE = (
    "X. Glorot, Y. Bengio: *Understanding the difficulty of training deep feedforward neural networks*, AISTATS 2010,"
    " [PMLR 9:249–256](https://proceedings.mlr.press/v9/glorot10a.html). Equation numbers on this page are the paper's."
)
PROBLEM = (
    "Until about 2006, networks with many hidden layers learned worse than shallow ones. Before training, weights were"
    " usually drawn from a small uniform distribution, the *standard* initialisation (eq. 1 below). Glorot and Bengio"
    " looked inside such networks and saw two things: with sigmoid, the last hidden layer saturates early in training"
    " and stays saturated for a long time; with tanh, the signal shrinks from layer to layer on its way forward, and"
    " the gradient shrinks from layer to layer on its way back, so that the first layers barely learn."
)
HYPOTHESIS = (
    "A layer multiplies whatever passes through it. If it makes signals a little smaller, ten layers make them"
    " much smaller; if it makes them a little larger, ten layers make them much larger. So a deep network should"
    " train better when, at the start, **each layer preserves the size of signals and gradients**."
)
SYMBOLS = (
    "Symbols: $z^i$ is what enters layer $i$ ($z^0 = x$, the pixels); $n_i$ the number of its values; $W^i$ and"
    " $b^i$ the layer's weights and biases; $s^i = z^i W^i + b^i$ its pre-activations; $z^{i+1} = f(s^i)$ its"
    " activations, with the activation function $f$; $d$ the number of layers; Cost the loss; Var the variance,"
    " over units and images."
)
# Formula, and what it says. Equation numbers: see the paper.
STEPS = (
    (
        r"W \sim U\left[-\frac{1}{\sqrt{n}},\ \frac{1}{\sqrt{n}}\right] \qquad (1)",
        "**Standard.** Uniform between plus and minus $1/\\sqrt n$, $n$ the layer's inputs. A uniform distribution on"
        " $[-a, a]$ has the variance $a^2/3$, so $n\\,\\mathrm{Var}[W] = 1/3$ (eq. 15).",
    ),
    (
        r"\mathrm{Var}[z^i] = \mathrm{Var}[x] \prod_{i'=0}^{i-1} n_{i'} \mathrm{Var}[W^{i'}] \qquad (5)",
        "**Forward.** Around 0 an activation such as tanh is close to a straight line ($f'(s) \\approx 1$, eq. 4). Then"
        " each layer multiplies the variance by $n_{i'} \\mathrm{Var}[W^{i'}]$, a sum of $n_{i'}$ independent"
        " products.",
    ),
    (
        r"\mathrm{Var}\!\left[\tfrac{\partial \mathrm{Cost}}{\partial s^i}\right] ="
        r" \mathrm{Var}\!\left[\tfrac{\partial \mathrm{Cost}}{\partial s^d}\right]"
        r" \prod_{i'=i}^{d} n_{i'+1} \mathrm{Var}[W^{i'}] \qquad (6)",
        "**Back.** The gradient passes through the same weights in the other direction. So the number of a"
        " layer's *outputs* counts: each layer multiplies by $n_{i'+1} \\mathrm{Var}[W^{i'}]$.",
    ),
    (
        r"n_i \mathrm{Var}[W^i] = 1 \qquad (10)",
        "**Preserve the signal.** Its variance stays the same in all layers (eq. 8) when each factor is 1.",
    ),
    (
        r"n_{i+1} \mathrm{Var}[W^i] = 1 \qquad (11)",
        "**Preserve the gradient.** Its variance stays the same (eq. 9) when each of the other factors is 1."
        " Both hold together only where a layer has as many outputs as inputs.",
    ),
    (
        r"\mathrm{Var}[W^i] = \frac{2}{n_i + n_{i+1}} \qquad (12)",
        "**A compromise** between the two, for layers of any widths.",
    ),
    (
        r"W \sim U\left[-\frac{\sqrt 6}{\sqrt{n_j + n_{j+1}}},\ \frac{\sqrt 6}{\sqrt{n_j + n_{j+1}}}\right]"
        r" \qquad (16)",
        "**Normalised.** The uniform distribution with this variance ($j$ counts layers as $i$ does): the"
        " *normalised initialisation*, today's `glorot_uniform` and Keras' default.",
    ),
)
WHAT_TO_LOOK_FOR = (
    "- **Figures 6 and 7**: at the start, the spread of activations and of back-propagated gradients, layer by layer."
    " With the standard initialisation both shrink; with the normalised one the layers nearly coincide.\n- **Figure"
    " 8**: the gradients of the *weights* have about the same variance in all layers with either one. They are products"
    " of a shrinking signal and a shrinking gradient, and the two factors multiply to the same value for every layer"
    " (eqs. 7 and 14). Looking only at them hides the problem.\n- **Singular values** of a layer's Jacobian $\\partial"
    " z^{i+1} / \\partial z^i$: how much the layer stretches a small change. The paper reports means of about 0.8"
    " (normalised) and 0.5 (standard).\n- **Limits**: the derivation assumes inputs with mean 0 and $f'(s) \\approx 1$."
    " Pixels from 0 to 1 have a mean above 0, tanh compresses signals, ReLU cuts off half of them: He et al. (2015)"
    " compensate for the last with a factor of 2."
)
INITIALISERS = (table1_plan.STANDARD, table1_plan.NORMALISED)


def show(view: View) -> None:
    """The whole part."""
    st.header("The problem")
    st.markdown(PROBLEM)
    st.header("The hypothesis")
    st.markdown(HYPOTHESIS)
    STATE.draw("factor")
    rows = signal.passed(1 / 3 if view.factor == STANDARD_FACTOR else view.factor)
    with st.container(horizontal=True, gap="medium"):
        for name, draw in (("strips", signal.strips), ("signal", signal.variances)):
            with st.container(width=CARD):
                chart_view.show(draw(rows), key=f"initialisation {name}")
    st.markdown(effect(view.factor))
    st.header("The method")
    st.markdown(SYMBOLS)
    for formula, text in STEPS:
        with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
            st.container(width=CARD).latex(formula)
            st.container(width=CARD).markdown(text)
    _factors(view)
    st.header("What to look for")
    st.markdown(WHAT_TO_LOOK_FOR)
    st.caption(REFERENCE)


def effect(factor: float) -> str:
    """What the chosen factor does to a signal, and to a gradient on its way back."""
    value, name, power = factor, f"{factor:g}", f"{factor:g}"
    if factor == STANDARD_FACTOR:
        value, name, power = 1 / 3, "1/3", "(1/3)"
    remaining = value**signal.LAYERS
    if remaining < 0.1:
        result = "**vanishes**. On the way back the gradient shrinks in the same way: the first layers barely learn."
    elif remaining > 10:
        result = (
            "**explodes**. On the way back the gradient grows in the same way: units saturate, or training diverges."
        )
    else:
        result = "**keeps its size**, and so does the gradient on its way back: all layers can learn."
    standard = " This is the standard initialisation (eq. 15)." if factor == STANDARD_FACTOR else ""
    return (
        f"With $n\\,\\mathrm{{Var}}[W] = {name}$, {signal.LAYERS} layers multiply the variance by"
        f" ${power}^{{{signal.LAYERS}}} \\approx {_latex(remaining)}$. The signal {result}{standard}"
    )


def _latex(value: float) -> str:
    """Two significant digits, powers of ten where they read better."""
    if 0.01 <= value < 1000:
        return f"{value:.2g}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits} \\cdot 10^{{{int(power)}}}"


def _factors(view: View) -> None:
    """Both factors of each layer of a real network, for both initialisations."""
    fans = (INPUTS, *(view.units,) * view.layers, OUTPUTS)
    st.subheader("The factors of a real network")
    st.markdown(
        f"A network with {wording.counted(view.layers, 'hidden layer')} of {view.units:,} units has the factors"
        " below; 1 preserves the size. Part *At the start, live* sets its layers and units."
    )
    between = "2" if view.layers == 2 else f"2 to {view.layers}"  # layers of equal width have equal factors
    names = {0: "1", **({1: between} if view.layers > 1 else {}), view.layers: "output"}
    rows = []
    for index, name in names.items():
        inputs, outputs = fans[index : index + 2]
        variances = [theory.weight_variance(start, inputs, outputs) for start in INITIALISERS]
        factors = [f"{count * variance:.3g}" for variance in variances for count in (inputs, outputs)]
        rows.append((name, f"{inputs} → {outputs}", *factors))
    heads = ("Layer", "Inputs → outputs", "Standard: forward", "back", "Normalised: forward", "back")
    markdown.table(heads, rows)
    st.caption(
        "Forward: the factor of eq. 5, inputs times variance. Back: the factor of eq. 6, outputs times variance."
    )
