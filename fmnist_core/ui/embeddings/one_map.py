"""The map of one layer at one epoch: while it is computed, when it is there, and with another seed beside it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.embedding.map_methods import METHODS
from fmnist_core.engine import analyses
from fmnist_core.experiment import wording
from fmnist_core.experiment.analysis_facts import MapFacts
from fmnist_core.experiment.layer_names import PIXELS, the_layer
from fmnist_core.findings import evaluation
from fmnist_core.findings.map_request import SETTINGS, MapRequest
from fmnist_core.store.result_store import Result
from fmnist_core.store.run import Run
from fmnist_core.ui.components.scatter import scatter_map
from fmnist_core.ui.embeddings import map_gaps, map_trust, mapped_images
from fmnist_core.ui.embeddings.embeddings_view import STATE, View
from fmnist_core.ui.embeddings.mapped_images import Shown, cloud
from fmnist_core.ui.shared import analysis_panel, estimate, server, session

HEIGHT, SMALL = 560, 460
LAYOUT = (3.2, 1)  # the map, and what is beside it


class Frame(NamedTuple):
    """One epoch of a finished map. corners: the box that all epochs of a film share.

    gaps: names the epochs of a film that have no map, or "".
    """

    points: NDArray[np.float32]
    corners: NDArray[np.float32]
    facts: dict[str, Any]
    request: MapRequest
    of_film: bool
    gaps: str

    @property
    def gap(self) -> str:
        """Why this epoch has no map, or ""."""
        return str(self.facts.get("error", ""))


def show(view: View, run: Run, epoch: int) -> None:
    """The map with what goes with it."""
    request = view.request(run, epoch)
    mapped = mapped_images.shown(run, request, epoch)
    st.markdown(_caption(request, epoch, mapped))
    frame = _frame(view, run, epoch, mapped)
    if frame is None:
        return
    if frame.gap:
        with st.container(border=True, height=HEIGHT):  # so that a film that plays does not jump here
            st.markdown(f"**{_when(epoch).capitalize()}, {the_layer(request.layer)} has no map.** {frame.gap}")
        if not frame.of_film:
            _film(view, run, frame)
        return
    method = METHODS[request.method]
    if view.second:
        _side_by_side(view, run, epoch, mapped, frame)
    else:
        _map(view, run, epoch, mapped, frame)
    if method.components:
        shares = [
            wording.percent(float(share)) for share in mapped_images.components(run, frame.request, epoch).explained
        ]
        st.caption(
            f"The axes are the first {len(shares)} principal components; they explain {wording.listed(shares)}"
            " of the variance."
        )
    if frame.of_film and not view.second:
        st.caption(
            f"The film is ready: press Play, or move the epoch slider, and follow the same points. {frame.gaps}".strip()
        )
    if "seed" in method.settings:
        STATE.draw("second")
    else:
        st.caption(f"{method.title} involves no chance: another seed gives the same map.")
    if not frame.of_film and not view.second:
        _film(view, run, frame)
    map_trust.show(frame.facts, frame.request, len(mapped.chosen.rows))
    map_trust.rules(frame.facts, frame.request)


def _caption(request: MapRequest, epoch: int, mapped: Shown) -> str:
    """What is mapped, in a sentence."""
    when = _when(epoch)
    outputs = f"The outputs of **{the_layer(request.layer)}** for"
    if request.layer == PIXELS:
        when, outputs = "(the same at every epoch: pixels do not change)", "The **pixels** of"
    what = f"{outputs} {len(mapped.chosen.rows):,} {request.split} images {when}, drawn by"
    what = f"{what} **{METHODS[request.method].title}**."
    if not evaluation.all_finite(mapped.probabilities):
        return f"{what} After epoch {epoch} the outputs of this network are NaN: it diverged."
    correct = float((mapped.predicted == mapped.chosen.labels).mean())
    return f"{what} The network classifies {wording.percent(correct, 1)} of them correctly."


def _when(epoch: int) -> str:
    return "before training" if epoch == 0 else f"after epoch {epoch}"


def _frame(view: View, run: Run, epoch: int, mapped: Shown) -> Frame | None:
    """This epoch's map: of the film where there is one, else computed alone; None while it is computed."""
    film = view.request(run, *run.epochs)
    result = server.results().find(run.run_id, analyses.map_analysis(film).name) if len(film.epochs) > 1 else None
    if result is not None:
        return _of_result(result, run.epochs.index(epoch), film)
    request = view.request(run, epoch)

    def draw(points: NDArray[np.float32] | None) -> None:
        begun = points is not None and len(points) == len(mapped.chosen.rows)
        seen = points if begun and points is not None else mapped_images.components(run, request, epoch).points
        picture, beside = st.columns(LAYOUT, gap="medium")
        with picture:
            scatter_map.show(cloud(seen, mapped, view.colour), "map live", HEIGHT)
        beside.caption("The map so far." if begun else "For now: the first principal components (PCA).")

    alone = analysis_panel.result(analyses.map_analysis(request), draw=draw)
    return None if alone is None else _of_result(alone, 0, request)


def _of_result(result: Result[MapFacts], index: int, request: MapRequest) -> Frame:
    """An epoch of a map or film. index: of the epoch in the request."""
    points, frames = result.arrays["points"], result.facts["frames"]
    reasons = {
        f"epoch {epoch}": frame["error"]
        for epoch, frame in zip(request.epochs, frames, strict=True)
        if "error" in frame
    }
    flat = points[np.isfinite(points).all(axis=2)]
    corners = (
        np.stack([flat.min(axis=0), flat.max(axis=0)]) if len(flat) else np.zeros((2, points.shape[2]), np.float32)
    )
    shared = {name: result.facts.get(name) for name in ("seconds", "program", "versions")}
    facts = {**frames[index], **shared}
    of_film = len(request.epochs) > 1
    return Frame(points[index], corners, facts, request, of_film, map_gaps.told("No map", reasons))


def _map(view: View, run: Run, epoch: int, mapped: Shown, frame: Frame) -> None:
    rows = mapped.chosen.rows
    lasso_rows, taken = session.LASSO.get()
    marked = taken if np.array_equal(lasso_rows, rows) else ()  # while the map shows the same images
    index = next(iter(np.flatnonzero(rows == view.image).tolist()), None)

    def pick(picked: scatter_map.Picked) -> None:
        if picked.lasso is not None:
            session.LASSO.set((rows, picked.lasso))
        if picked.point is not None:
            session.LASSO.pop()
            STATE.change(image=int(rows[picked.point]))

    picture, beside = st.columns(LAYOUT, gap="medium")
    with picture:
        scatter_map.show(
            cloud(frame.points, mapped, view.colour, frame.corners),
            "map",
            HEIGHT,
            picked=index,
            lasso=marked,
            on_change=pick,
            file=f"fashion-mnist-{frame.request.layer}-{frame.request.method}-epoch-{epoch}",
        )
    with beside:
        if marked:
            mapped_images.lasso(marked, mapped, clear=lambda: session.LASSO.set((None, ())))
        elif index is not None:
            mapped_images.opened(run, frame.request, epoch, mapped, index)
        else:
            st.markdown("**Look closer**")
            st.caption(
                "Point at a dot to see its image. Click it to open the image with its nearest neighbours in the"
                " layer. Select a group with the lasso (or Shift and drag) to see which classes are in it. Click"
                " a class in the legend to hide it. On a touch screen, two fingers move and zoom the map."
            )


def _side_by_side(view: View, run: Run, epoch: int, mapped: Shown, frame: Frame) -> None:
    """The same request with the next seed, beside it."""
    other = view.request(run, epoch, seed=(view.seed + 1) % (int(SETTINGS["seed"].high) + 1))
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**Seed {view.seed}**")
        scatter_map.show(cloud(frame.points, mapped, view.colour, frame.corners), "map left", SMALL)
    with right:
        st.markdown(f"**Seed {other.seed}**")
        result = analysis_panel.result(analyses.map_analysis(other))
        second = None if result is None else _of_result(result, 0, other)
        if second and second.gap:
            st.markdown(f"This seed has no map. {second.gap}")
        elif second:
            scatter_map.show(cloud(second.points, mapped, view.colour, second.corners), "map right", SMALL)
    if second and not second.gap:
        st.markdown(map_trust.two_seeds(frame.points, second.points))


def _film(view: View, run: Run, frame: Frame) -> None:
    """The way to maps of all epochs in which the same points move."""
    request = view.request(run, *run.epochs)
    if len(request.epochs) < 2:
        return
    with st.container(border=True):
        st.markdown(
            "**Film.** Each epoch's map is computed separately, so its points jump. A film computes all"
            f" {len(run.epochs)} checkpointed epochs from the last to the first, each starting from its neighbour:"
            " the same points move, and Play shows how."
        )
        seconds = frame.facts["seconds"] * (1 + 0.6 * (len(run.epochs) - 1))
        caption = f"About {estimate.words(seconds)} on this machine." if seconds > 1 and not frame.gap else ""
        analysis_panel.result(analyses.map_analysis(request), at_once=False, start="Make the film", caption=caption)
