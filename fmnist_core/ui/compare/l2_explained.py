"""The L2 penalty explained: how a layer's weights are spread, with it and without."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from fmnist_core.charts import theme, value_spread
from fmnist_core.data.dataset import Dataset
from fmnist_core.experiment import wording
from fmnist_core.experiment.layer_names import dense_layers
from fmnist_core.experiment.optimisers import OPTIMISERS
from fmnist_core.store.run import Run
from fmnist_core.ui.compare import explained_parts as parts
from fmnist_core.ui.shared import chart_view
from fmnist_core.ui.shared.markdown import escaped
from fmnist_core.ui.shared.per_run import per_run

STAGES = {"before training": theme.MUTED, "half-way": "#5fb3dc", "at the end": "#0b6fa4"}
NEAR = f"within ±{value_spread.NEAR:g}"
LOSHCHILOV = "https://arxiv.org/abs/1711.05101"
KROGH = "https://papers.nips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html"

ADAPTIVE = (
    " {optimiser}, however, divides this push, too, by the usual size of the weight's gradient: a large weight whose"
    " gradients are large is not pulled harder. The optimiser AdamW mends that."
    f" ([Loshchilov & Hutter 2019]({LOSHCHILOV}))"
)


def show(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    """A layer's weights as training went on, beside those of the run most alike among `runs` without the penalty."""
    other, factor = _without_l2(run, runs), run.experiment.l2
    optimiser = OPTIMISERS[run.experiment.optimiser]
    text, picture = parts.explanation(
        f"**L2 penalty {factor:g}.** The loss is the cross-entropy $C$ plus $\\lambda = {factor:g}$ times the"
        " sum of all squared hidden weights. The gradient of this penalty, $2 \\lambda w$, pushes each weight"
        " towards 0, a large one harder than a small one. A weight stays large only where it lowers $C$ by"
        f" more than it costs. ([Krogh & Hertz 1991]({KROGH}))"
        + (ADAPTIVE.format(optimiser=optimiser.label) if optimiser.adaptive else ""),
        r"L = C + \lambda \sum_i w_i^2",
    )
    with text:
        numbers = range(1, len(run.experiment.hidden_widths) + 1)
        layer = st.selectbox("Hidden layer", numbers, key=f"l2 layer {run.run_id}", width=160)
        rows, facts = _kernels(run, other, layer)
        st.markdown(_effect(facts, layer))
    with picture:
        st.html(value_spread.key(STAGES))
        for name, panel in rows.groupby("panel", sort=False):
            chart = value_spread.distributions(panel, STAGES, "weight", str(name), f"weights of hidden layer {layer}")
            chart_view.show(chart, key=f"regulariser {name}")
    parts.table(facts, ("%.3f", parts.PERCENT, "%.2f"))
    compared = f"; the run without a penalty is “{escaped(parts.name(other))}”" if other else ""
    st.caption(f"{parts.measured_on(run)}{compared}. Each curve is scaled to its own peak: compare the widths.")


def _without_l2(run: Run, runs: Sequence[Run]) -> Run | None:
    """Of the runs without the penalty and with the same layers the one that differs in the fewest settings."""
    settings = run.experiment.canonical()

    def differences(other: Run) -> int:
        others = other.experiment.canonical()
        return sum(settings.get(name) != others.get(name) for name in settings | others)

    same = [r for r in runs if not r.experiment.l2 and r.experiment.hidden_widths == run.experiment.hidden_widths]
    return min(same, key=differences, default=None)


def _effect(facts: pd.DataFrame, layer: int) -> str:
    """What became of a layer's weights, with the penalty and without."""
    first, last = facts.iloc[0], facts[facts["run"] == facts["run"].iloc[0]].iloc[-1]
    text = (
        f"In hidden layer {layer} the standard deviation of the weights went from {first['deviation']:.3f} to"
        f" {last['deviation']:.3f}, and the share {NEAR} from {wording.percent(first[NEAR])} to"
        f" {wording.percent(last[NEAR])}."
    )
    if facts["run"].nunique() > 1:
        other = facts.iloc[-1]
        text += f" Without the penalty they end at {other['deviation']:.3f} and {wording.percent(other[NEAR])}."
    return (
        f"{text} At the end the penalty adds {last['penalty']:.2f} to the loss, so do not compare this loss with that"
        " of a network without a penalty."
    )


@per_run(max_entries=100, spinner="Counting weights")
def _kernels(run: Run, other: Run | None, layer: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Histograms of a layer's weights, and their table, at the first, the middle and the last stored epoch."""
    values, facts = {}, []
    before, half, end = STAGES
    for each in filter(None, (run, other)):
        factor, epochs = each.experiment.l2, each.epochs
        panel = f"L2 penalty {factor:g}" if factor else "No L2 penalty"
        # With few epochs stored, the later entries replace the earlier ones.
        stages = {epochs[len(epochs) // 2]: half, epochs[-1]: end, epochs[0]: before}
        for epoch, stage in sorted(stages.items()):
            weights = parts.weights(each, epoch)
            kernels = [weights[f"{name}/kernel"] for name in dense_layers(each.experiment)[:-1]]
            values[panel, stage] = kernels[layer - 1]
            deviation, near = value_spread.weight_facts(kernels[layer - 1])
            facts.append((panel, parts.when(epoch), deviation, round(near, 2), value_spread.penalty(kernels, factor)))
    return value_spread.shares(values), pd.DataFrame(facts, columns=["run", "when", "deviation", NEAR, "penalty"])
