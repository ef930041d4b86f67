"""A study's head: what it will cost, its start and stop, its progress, and what broke."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import streamlit as st

from fmnist_core.data.dataset import Dataset
from fmnist_core.engine.service import StudySnapshot
from fmnist_core.experiment import wording
from fmnist_core.experiment.cost import training_images
from fmnist_core.experiment.hyperparameters import Experiment, run_id
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.experiment.study import Study, Variant
from fmnist_core.findings import run_tables
from fmnist_core.findings.run_tables import Trained
from fmnist_core.ui.shared import estimate, markdown, pages, progress, server, store_notices
from fmnist_core.ui.shared.markdown import escaped
from fmnist_core.ui.shared.pages import Page

PERIOD = 1.0  # seconds between two looks
MOST_NAMED = 8
Planned = dict[str, tuple[Variant, Experiment]]  # by the id of the run


def show(study: Study, data: Dataset, watch: Callable[[Study], None] | None = None) -> list[Trained]:
    """The head; returns the runs that are there. watch: on page Compare, how that page shows another study."""
    trained = run_tables.of_study(study, data.name, server.stored)
    variants = len(study.variants())
    st.markdown(
        f"**{escaped(study.title)}**: {wording.counted(variants, 'network')} × {wording.counted(study.seeds, 'seed')}"
    )
    if refusal := server.refusal():
        markdown.error(refusal)

    planned = {run_id(experiment, data.name): (variant, experiment) for variant, experiment in study.experiments()}
    snapshot = server.study(study.digest)

    def running() -> StudySnapshot | None:
        """None also when a further run has ended, so that the page is drawn again with its result."""
        now = server.study(study.digest)
        return now if now and snapshot and now.state == "running" and now.done == snapshot.done else None

    if snapshot and snapshot.state == "running":
        progress.watch(running, lambda now: _progress(study, data.name, planned, now), PERIOD, study.digest)
    else:
        _start(study, data.name, trained, watch)
    if snapshot:
        _failures(planned, snapshot)
    return trained


def _seconds(experiments: Iterable[Experiment], data_name: str) -> float:
    """Estimated time to train them one after the other."""
    return sum(estimate.seconds(each, training_images(each, data_name)) for each in experiments)


def _start(study: Study, data_name: str, trained: list[Trained], watch: Callable[[Study], None] | None) -> None:
    stored = {result.run.run_id for result in trained}
    todo = [experiment for _, experiment in study.experiments() if run_id(experiment, data_name) not in stored]
    if not todo:
        return
    if not trained:
        _list(study)
    button, text = st.columns([1, 3], vertical_alignment="center")
    other = server.my_study()
    button.button(
        "Continue" if trained else "Train all",
        type="primary",
        icon=":material/play_arrow:",
        on_click=server.submit_study,
        args=(study,),
        disabled=other is not None,
        width="stretch",
    )
    are = "is" if len(trained) == 1 else "are"
    done = f"**{len(trained)}** of {len(trained) + len(todo)} runs {are} trained · " if trained else ""
    left = f"**{len(todo)}** {'run' if len(todo) == 1 else 'runs'} to train"
    text.markdown(
        f"{done}{left} · about **{estimate.words(_seconds(todo, data_name))}** on this"
        " machine. Stored runs are reused; the study continues when you leave the page, and single trainings go"
        " first."
    )
    store_notices.room([experiment for _, experiment in study.experiments()], data_name)
    if other is None:
        return
    text, link = st.columns([3, 1], vertical_alignment="center")
    text.info(f"Your study is running: {escaped(other.title)}.")
    if watch is None:
        with link:
            pages.link(Page.COMPARE, "Watch it", {"study": other.to_short_json()}, "visibility")
    else:  # a link to the page that is open would leave the browser's address as it is
        link.button("Watch it", icon=":material/visibility:", on_click=watch, args=(other,))


def _list(study: Study) -> None:
    """The networks to come, so that nobody presses the button blindly."""
    names = []
    for variant in study.variants():
        about = f": {PRESETS[variant.values['preset']].description}" if "preset" in variant.values else ""
        names.append(f"- {escaped(variant.name)}{about}")
    st.markdown("\n".join(names[:MOST_NAMED]))
    if len(names) > MOST_NAMED:
        st.caption(f"And {len(names) - MOST_NAMED} more.")
    st.caption(
        "Their curves, a table and the differences beyond the noise appear here as soon as the first runs are finished."
    )


def _progress(study: Study, data_name: str, planned: Planned, snapshot: StudySnapshot) -> None:
    total, ended = len(snapshot.names), len(snapshot.done) + len(snapshot.failed)
    fraction = (ended + sum(map(progress.share, snapshot.current))) / total
    now = "waiting for a worker: single trainings go first"
    if snapshot.current:
        begun = {*snapshot.done, *snapshot.failed, *(training.run_id for training in snapshot.current)}
        left = _seconds((experiment for name, (_, experiment) in planned.items() if name not in begun), data_name)
        left += sum(training.seconds_left or 0.0 for training in snapshot.current)
        current = []
        for training in snapshot.current:
            variant, experiment = planned[training.run_id]
            state = f", epoch {training.epoch} of {experiment.epochs}" if training.epoch else f" ({training.state})"
            current.append(f"{escaped(variant.name)}, seed {experiment.seed}{state}")
        now = f"{wording.listed(current)} · about {estimate.words(left)} left"
    progress.bar(fraction, f"{ended} of {total} runs · {now}", server.stop_study, study.digest)


def _failures(planned: Planned, snapshot: StudySnapshot) -> None:
    """What broke, without hiding what did not."""
    failed: dict[str, list[str]] = {}
    for name, reason in snapshot.failed.items():
        failed.setdefault(reason, []).append(wording.name(planned[name][1]) if name in planned else name)
    for reason, runs in failed.items():
        listed = "; ".join(runs[:3]) + (" …" if len(runs) > 3 else "")
        markdown.error(f"{wording.counted(len(runs), 'run')} failed ({listed}): {reason}")
    if snapshot.state == "stopped":
        st.caption("The study was stopped; press Continue for the rest.")
