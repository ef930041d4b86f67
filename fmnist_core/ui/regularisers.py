"""What each regulariser does, shown and measured on the runs of the page: a short explanation beside its picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from fmnist_core import dataset, forward, wording
from fmnist_core.charts import images, network, regularisers, theme
from fmnist_core.dataset import CLASSES, Dataset
from fmnist_core.experiment import Experiment
from fmnist_core.recording import Weights
from fmnist_core.runs.run import Run
from fmnist_core.schedule import learning_rates
from fmnist_core.settings import LabError

BATCH = 128
CANDIDATES = 200  # Training images that are shown, the one that the network is least sure of first.
LAST = 10  # Steps whose masks are compared.
NOTHING = (
    "None of these runs has a regulariser: train a network with dropout, batch normalisation, an L2 penalty or a"
    " learning-rate schedule to see here what it does."
)
SIDES = {"before": network.COLOURS["Dense"], "after, with γ and β": network.COLOURS["BatchNormalization"]}
STAGES = {"before training": theme.MUTED, "half-way": "#5fb3dc", "at the end": "#0b6fa4"}
FORMULAS = {
    "exponential": r"\eta_t = \eta_0\, r^{%s}",
    "inverse_time": r"\eta_t = \frac{\eta_0}{1 + r\,%s}",
    "cosine": r"\eta_t = \eta_0\, \frac{1 + \cos(\pi\, t / T)}{2}",
}
NEAR = f"within ±{regularisers.NEAR:g}"
KROGH = "https://papers.nips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html"


def show(runs: Sequence[Run], data: Dataset) -> None:
    """One explanation for each regulariser among the runs; where there is none, a sentence that says what to train."""
    found = {title: [run for run in runs if uses(run.experiment)] for title, (uses, _) in EXPLAINERS.items()}
    found = {title: own for title, own in found.items() if own}
    st.header("What each regulariser does")
    if found:
        _tabs(found, runs, data)
    else:
        st.info(NOTHING)


@st.fragment
def _tabs(found: dict[str, list[Run]], runs: Sequence[Run], data: Dataset) -> None:
    """Only the open tab is computed."""
    for tab, (title, own) in zip(st.tabs(list(found), on_change="rerun"), found.items(), strict=True):
        if not tab.open:
            continue
        with tab:
            run = _chosen(title, own)
            try:
                EXPLAINERS[title][1](run, runs, data)
            except LabError as error:
                st.warning(str(error))


def _chosen(title: str, own: list[Run]) -> Run:
    if len(own) == 1:
        return own[0]
    names = {run.run_id: _name(run) for run in own}
    chosen = st.selectbox("Run", list(names), format_func=names.__getitem__, key=f"run for {title}", width=420)
    return next(run for run in own if run.run_id == chosen)


def _name(run: Run) -> str:
    return run.name or wording.name(run.experiment)


def _key(run: Run | None) -> str:
    """Tells a run in a cache; a run that is trained again keeps its id."""
    return f"{run.run_id} {run.created.isoformat()}" if run else ""


def _when(epoch: int) -> str:
    return f"after epoch {epoch}" if epoch else "before training"


def _weights(run: Run, epoch: int) -> Weights:
    weights = run.weights(epoch)
    _check(run, epoch, *weights.values())
    return weights


def _check(run: Run, epoch: int, *arrays: NDArray[np.float32]) -> None:
    """Raises: LabError where a value is not a number."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise LabError(f"“{_name(run)}” left the range of numbers ({_when(epoch)}): there is nothing to show.")


def _training_rows(run: Run, data: Dataset) -> NDArray[np.int32]:
    return _rows(data.name, run.experiment.validation_fraction, run.experiment.training_fraction, data)


@st.cache_data(show_spinner=False, max_entries=20)
def _rows(data_name: str, validation_fraction: float, training_fraction: float, _data: Dataset) -> NDArray[np.int32]:
    return dataset.split(_data.train_labels, validation_fraction, training_fraction).train


def _generator(run: Run, step: int) -> np.random.Generator:
    return np.random.default_rng([run.experiment.seed, step])


def _columns() -> Any:
    """The text's column and the picture's."""
    return st.columns([2, 3], gap="large")


def _table(rows: pd.DataFrame, formats: Iterable[str]) -> None:
    """formats: of the columns after the two that name the row."""
    columns = {n: st.column_config.NumberColumn(n, format=f) for n, f in zip(rows.columns[2:], formats, strict=True)}
    st.dataframe(rows, hide_index=True, column_config=columns)


# --- Dropout ----------------------------------------------------------------------------------------------------------


class Masks(NamedTuple):
    """One image under several masks. values, kept: of the first hidden layer under the newest, (units,). highest: what
    a unit hands on at most. probabilities: of the image's class, by step. full: with all units on."""

    values: NDArray[np.float32]
    kept: NDArray[np.bool_]
    highest: float
    probabilities: dict[int, float]
    full: float


def _dropout(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    state, rate = st.session_state, run.experiment.dropout
    step = state.setdefault(f"dropout step {run.run_id}", LAST)
    rows = _least_sure(_key(run), data.name, run, data)
    row = int(rows[state.setdefault(f"dropout image {run.run_id}", 0) % len(rows)])
    found, name = _masks(_key(run), data.name, row, step, run, data), CLASSES[data.train_labels[row]]
    text, picture = _columns()
    with text:
        st.markdown(
            f"**Dropout {rate:g}.** In each training step each hidden unit is switched off with probability {rate:g},"
            f" for each image anew. Those left on are divided by {1 - rate:g}, so that sums stay as large on average."
            " No unit can rely on another to be there, so each must be of use by itself. When the network is tested,"
            " all units are on. ([Srivastava et al. 2014](https://jmlr.org/papers/v15/srivastava14a.html))"
        )
        st.html(_image(np.asarray(data.train_images[row]), f"Training image {row:,}: {name}"))
        with st.container(horizontal=True):
            st.button("New step", icon=":material/skip_next:", on_click=_next, args=(f"dropout step {run.run_id}",))
            st.button("Next image", icon=":material/image:", on_click=_next, args=(f"dropout image {run.run_id}",))
    with picture:
        off, units = int((~found.kept).sum()), len(found.kept)
        told = f"Step {step}: {off:,} of {units:,} units of the first hidden layer are off ({off / units:.0%})"
        st.markdown(f"**{told}**")
        st.html(regularisers.unit_grid(found.values, found.kept, found.highest, told))
        st.altair_chart(regularisers.masks(found.probabilities, found.full, name), key="regulariser masks")
    batch = f" Each passes in a batch of {BATCH}, for batch normalisation." if run.experiment.batch_norm else ""
    st.caption(
        f"Measured on “{_name(run)}” {_when(run.epochs[-1])}. Its weights stay as they are: only the masks change from step"
        f" to step. The images are the first {len(rows)} it was trained on, those with a probability nearest 0.5 first.{batch}"
    )


def _image(image: NDArray[np.uint8], told: str) -> str:
    source = images.source(images.enlarged(Image.fromarray(image), 8))
    return f'<img src="{source}" alt="{told}" style="width:112px;display:block"><small>{told}</small>'


def _next(name: str) -> None:
    st.session_state[name] += 1


@st.cache_data(show_spinner=False, max_entries=200)
def _least_sure(key: str, data_name: str, _run: Run, _data: Dataset) -> NDArray[np.int32]:
    """The first CANDIDATES training images by how near to 0.5 their class's probability is: there the masks show most."""
    rows, weights = _training_rows(_run, _data)[:CANDIDATES], _weights(_run, _run.epochs[-1])
    given = forward.probabilities(_run.experiment, weights, _data.train_images[rows])
    return rows[np.abs(given[np.arange(len(rows)), _data.train_labels[rows]] - 0.5).argsort(kind="stable")]


@st.cache_data(show_spinner=False, max_entries=200)
def _masks(key: str, data_name: str, row: int, step: int, _run: Run, _data: Dataset) -> Masks:
    experiment, epoch, label = _run.experiment, _run.epochs[-1], int(_data.train_labels[row])
    weights = _weights(_run, epoch)
    # Batch normalisation needs a batch: the image passes with other training images.
    others = _training_rows(_run, _data)[: BATCH - 1] if experiment.batch_norm else ()
    pixels = _data.train_images[[row, *others]]
    full = float(forward.probabilities(experiment, weights, pixels[:1])[0, label])
    probabilities: dict[int, float] = {}
    for number in range(step - LAST + 1, step + 1):
        found = dict(forward.layers(experiment, weights, pixels, _generator(_run, number), training=True))
        probabilities[number] = float(found["output"][0, label])
    _check(_run, epoch, np.array([full, *probabilities.values()], np.float32))
    kept = forward.kept(_generator(_run, step), experiment.dropout, found["dropout_1"].shape)[0]
    highest = float(np.abs(found["activation_1"][0]).max()) / (1 - experiment.dropout)
    return Masks(found["dropout_1"][0], kept, highest, probabilities, full)


# --- Batch normalisation ----------------------------------------------------------------------------------------------


def _batch_norm(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    rows, facts = _sums(_key(run), data.name, run, data)
    count = len(rows)
    text, picture = _columns()
    with text:
        st.markdown(
            "**Batch normalisation** takes a unit's weighted sums $z$ for all images of the batch, subtracts their mean"
            " $\\mu$ and divides by their standard deviation $\\sigma$. Then it stretches them by $\\gamma$ and shifts"
            " them by $\\beta$; the unit learns both, starting from 1 and 0. So what follows meets sums of a steady size,"
            " however the weights before it change. ([Ioffe & Szegedy 2015](https://arxiv.org/abs/1502.03167))"
        )
        st.latex(r"\hat z = \gamma\,\frac{z - \mu}{\sqrt{\sigma^2 + 0.001}} + \beta")
        st.markdown(_steadiness(facts))
    with picture:
        st.html(regularisers.key(SIDES))
        # All of up to three layers, else the first, the middle and the last.
        for number in range(1, count + 1) if count <= 3 else (1, (count + 1) // 2, count):
            for column, (when, one) in zip(st.columns(2), rows[number].groupby("panel", sort=False), strict=False):
                chart = regularisers.distributions(one, SIDES, "weighted sum", f"Hidden layer {number}", str(when))
                column.altair_chart(chart, key=f"regulariser sums {number} {when}")
    _table(facts, ("%.2f",) * 4)
    st.caption(
        f"Measured on “{_name(run)}” with {BATCH} training images as one batch, all units of a layer together. Each curve is"
        " scaled to its own peak. When the network is tested there is no batch: running averages from training take the"
        " place of $\\mu$ and $\\sigma$."
    )


def _steadiness(facts: pd.DataFrame) -> str:
    """How far the sums' deviation moved in the first hidden layer, before and after the normalisation."""
    own = facts[facts["layer"] == 1]
    first, last = own.iloc[0], own.iloc[-1]
    return (
        f"In hidden layer 1 the standard deviation of the sums was {first['deviation before']:.2f} {first['when']} and"
        f" {last['deviation before']:.2f} {last['when']}; after the normalisation it was {first['deviation after']:.2f}"
        f" and {last['deviation after']:.2f}."
    )


@st.cache_data(show_spinner="Counting sums", max_entries=100)
def _sums(key: str, data_name: str, _run: Run, _data: Dataset) -> tuple[dict[int, pd.DataFrame], pd.DataFrame]:
    """Per hidden layer its histograms; and the table of means and deviations. As in training: dropout is on, too."""
    pixels = _data.train_images[_training_rows(_run, _data)[:BATCH]]
    parts: dict[int, dict[tuple[str, str], NDArray[np.float32]]] = defaultdict(dict)
    facts = []
    for epoch in sorted({_run.epochs[0], _run.epochs[-1]}):
        found = dict(forward.layers(_run.experiment, _weights(_run, epoch), pixels, _generator(_run, 1), training=True))
        for number in range(1, len(_run.experiment.hidden_widths) + 1):
            pair = found[f"hidden_{number}"], found[f"batch_norm_{number}"]
            _check(_run, epoch, *pair)
            parts[number] |= {(_when(epoch), side): values for side, values in zip(SIDES, pair, strict=True)}
            facts.append((number, _when(epoch), *regularisers.sum_facts(*pair)))
    columns = ["layer", "when", "mean before", "deviation before", "mean after", "deviation after"]
    table = pd.DataFrame(facts, columns=columns).sort_values("layer", kind="stable")
    return {number: regularisers.shares(part) for number, part in parts.items()}, table


# --- L2 penalty -------------------------------------------------------------------------------------------------------


def _l2(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    other, factor = _without_l2(run, runs), run.experiment.l2
    text, picture = _columns()
    with text:
        st.markdown(
            f"**L2 penalty {factor:g}.** The loss is the cross-entropy $C$ plus $\\lambda = {factor:g}$ times the sum of all"
            " squared hidden weights. The slope of this penalty, $2 \\lambda w$, pushes each weight towards 0, a large one"
            " harder than a small one. A weight stays large only where that lowers $C$ by more than it costs."
            f" ([Krogh & Hertz 1991]({KROGH}))"
        )
        st.latex(r"L = C + \lambda \sum_i w_i^2")
        numbers = range(1, len(run.experiment.hidden_widths) + 1)
        layer = st.selectbox("Hidden layer", numbers, key=f"l2 layer {run.run_id}", width=160)
        rows, facts = _kernels(_key(run), _key(other), layer, run, other)
        st.markdown(_push(facts, layer))
    with picture:
        st.html(regularisers.key(STAGES))
        for panel, one in rows.groupby("panel", sort=False):
            chart = regularisers.distributions(one, STAGES, "weight", str(panel), f"weights of hidden layer {layer}")
            st.altair_chart(chart, key=f"regulariser {panel}")
    _table(facts, ("%.3f", "percent", "%.2f"))
    compared = f"; the run without a penalty is “{_name(other)}”" if other else ""
    st.caption(f"Measured on “{_name(run)}”{compared}. Each curve is scaled to its own peak: compare the widths.")


def _without_l2(run: Run, runs: Sequence[Run]) -> Run | None:
    """Of the runs without the penalty and with the same layers the one that differs in the fewest settings."""
    own = run.experiment.canonical()

    def differences(other: Run) -> int:
        theirs = other.experiment.canonical()
        return sum(own.get(name) != theirs.get(name) for name in own | theirs)

    same = [r for r in runs if not r.experiment.l2 and r.experiment.hidden_widths == run.experiment.hidden_widths]
    return min(same, key=differences, default=None)


def _push(facts: pd.DataFrame, layer: int) -> str:
    """What became of a layer's weights, with the penalty and without."""
    first, last = facts.iloc[0], facts[facts["run"] == facts["run"].iloc[0]].iloc[-1]
    text = (
        f"In hidden layer {layer} the standard deviation of the weights went from {first['deviation']:.3f} to"
        f" {last['deviation']:.3f}, and the share {NEAR} from {first[NEAR]:.0%} to"
        f" {last[NEAR]:.0%}."
    )
    if facts["run"].nunique() > 1:
        other = facts.iloc[-1]
        text += f" Without the penalty they end at {other['deviation']:.3f} and {other[NEAR]:.0%}."
    return f"{text} At the end the penalty adds {last['penalty']:.2f} to the loss, so do not compare it with the loss of a network without one."


@st.cache_data(show_spinner="Counting weights", max_entries=100)
def _kernels(key: str, other_key: str, layer: int, _run: Run, _other: Run | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Histograms of a layer's weights, and their table, at the first, the middle and the last stored epoch."""
    parts, facts = {}, []
    before, half, end = STAGES
    for run in (_run, *([_other] if _other else [])):
        factor, epochs = run.experiment.l2, run.epochs
        panel = f"L2 penalty {factor:g}" if factor else "No L2 penalty"
        # With few epochs stored, the later entries replace the earlier ones.
        stages = {epochs[len(epochs) // 2]: half, epochs[-1]: end, epochs[0]: before}
        for epoch, stage in sorted(stages.items()):
            weights = _weights(run, epoch)
            kernels = [weights[f"hidden_{n}/kernel"] for n in range(1, len(run.experiment.hidden_widths) + 1)]
            parts[panel, stage] = kernels[layer - 1]
            deviation, near = regularisers.weight_facts(kernels[layer - 1])
            facts.append((panel, _when(epoch), deviation, round(near, 2), regularisers.penalty(kernels, factor)))
    return regularisers.shares(parts), pd.DataFrame(facts, columns=["run", "when", "deviation", NEAR, "penalty"])


# --- Learning-rate schedule -------------------------------------------------------------------------------------------


def _schedule(run: Run, runs: Sequence[Run], data: Dataset) -> None:
    per_epoch, losses, experiment = run.metrics["steps_per_epoch"], run.step_losses, run.experiment
    if not len(losses):
        raise LabError(f"“{_name(run)}” was stopped before its first step: there is nothing to show.")
    rows = regularisers.step_rows(losses, learning_rates(experiment, per_epoch)[: len(losses)], per_epoch)
    text, picture = _columns()
    with text:
        st.markdown(
            f"**{wording.choice(experiment.schedule).capitalize()} schedule.** The optimiser makes one step for each"
            " batch, and the schedule gives it the learning rate $\\eta_t$ of step $t$. So a schedule belongs to the"
            " optimiser, and it counts steps, not epochs."
        )
        times = r"\lfloor t / d \rfloor" if experiment.staircase else "t / d"
        st.latex(FORMULAS[experiment.schedule].replace("%s", times))
        st.caption(_symbols(experiment, per_epoch))
        st.markdown(_counted(rows, per_epoch, len(losses)))
    picture.html(regularisers.key(regularisers.RATES))
    picture.altair_chart(regularisers.rate_by_step(rows, per_epoch), key="regulariser rates")
    picture.altair_chart(regularisers.loss_by_step(rows, per_epoch), key="regulariser losses")
    st.caption(f"Measured on “{_name(run)}”; rate and loss are drawn at {len(rows):,} of its steps.")


def _symbols(experiment: Experiment, per_epoch: int) -> str:
    """The formula's letters in this run's numbers."""
    rest = experiment.epochs * per_epoch - experiment.warmup_steps
    decay = f"$d$ = {experiment.decay_steps:,} steps, $r$ = {experiment.decay_rate:g}"
    own = f"$T$ = {rest:,} steps" if experiment.schedule == "cosine" else decay
    warmup = experiment.warmup_steps
    late = f"; $t$ counts from the end of {warmup:,} warm-up steps" if warmup else ""
    return f"$\\eta_0$ = {experiment.learning_rate:g}, {own}{late}."


def _counted(rows: pd.DataFrame, per_epoch: int, steps: int) -> str:
    """The run's steps and rates, and what counting epochs would have made of them."""
    first, last, epochs, most = rows.iloc[0], rows.iloc[-1], int(rows["epoch"].max()), rows["rate"].max()
    climb = f" up to {most:.2g} and then" if most > 1.01 * first["rate"] else ""
    level = ", as good as constant" if rows["misread"].min() > 0.99 * rows["misread"].max() else ""
    return (
        f"Here an epoch has {per_epoch:,} steps. Over {steps:,} steps ({epochs} epoch{'s' * (epochs > 1)}) the rate went"
        f" from {first['rate']:.2g}{climb} to {last['rate']:.2g}. Had the formula been given the number of the epoch (from"
        f" 0) for $t$, it would have ended at {last['misread']:.2g}{level}."
    )


Explainer = Callable[[Run, Sequence[Run], Dataset], None]
EXPLAINERS: dict[str, tuple[Callable[[Experiment], bool], Explainer]] = {
    "Dropout": (lambda e: bool(e.canonical().get("dropout")), _dropout),
    "Batch normalisation": (lambda e: bool(e.canonical().get("batch_norm")), _batch_norm),
    "L2 penalty": (lambda e: bool(e.canonical().get("l2")), _l2),
    "Learning-rate schedule": (lambda e: e.schedule != "constant", _schedule),
}
