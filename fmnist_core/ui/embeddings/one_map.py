"""The map of one layer at one epoch: while it is made, when it is there, and with another seed beside it."""

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
from fmnist_core.findings.map_request import SETTINGS, MapRequest
from fmnist_core.store.result_store import Result
from fmnist_core.store.run import Run
from fmnist_core.ui.components.scatter import scatter_map
from fmnist_core.ui.embeddings import map_trust, opened_image
from fmnist_core.ui.embeddings.embeddings_view import STATE, View
from fmnist_core.ui.embeddings.mapped_images import Shown, cloud, explained, first_look, shown
from fmnist_core.ui.shared import analysis_panel, estimate, server, session

HEIGHT, SMALL = 560, 460
LAYOUT = (3.2, 1)  # the map, and what is beside it


class Frame(NamedTuple):
    """One epoch of a finished map. corners: the box that all epochs of a film share."""

    points: NDArray[np.float32]
    corners: NDArray[np.float32]
    facts: dict[str, Any]
    request: MapRequest
    of_film: bool


def show(view: View, run: Run, epoch: int) -> None:
    """The map with what goes with it."""
    request = view.request(run, epoch)
    held = shown(run, request, epoch)
    st.markdown(_caption(view, run, request, epoch, held))
    frame = _frame(view, run, epoch, held)
    if frame is None:
        return
    if view.second:
        _side_by_side(view, run, epoch, held, frame)
    else:
        _map(view, run, epoch, held, frame)
    _below(view, run, epoch, frame)
    _second(view)
    _film(view, run, frame)
    map_trust.show(frame.facts, frame.request, held)
    map_trust.rules(frame.facts, frame.request)


def _caption(view: View, run: Run, request: MapRequest, epoch: int, held: Shown) -> str:
    """What is mapped, in a sentence."""
    when = "before training" if epoch == 0 else f"after epoch {epoch}"
    if request.layer == PIXELS:
        when = "(the same at every epoch: pixels do not change)"
    right = float((held.predicted == held.chosen.labels).mean())
    count = len(held.chosen.rows)
    return (
        f"{_made(request.layer)} {count:,} {request.split} images {when}, drawn by"
        f" **{METHODS[request.method].title}**. The network classifies {wording.percent(right, 1)} of them"
        " correctly."
    )


def _made(layer: str) -> str:
    return "The **pixels** of" if layer == PIXELS else f"The outputs of **{the_layer(layer)}** for"


def _frame(view: View, run: Run, epoch: int, held: Shown) -> Frame | None:
    """This epoch's map: of the film where there is one, else made alone; None while it is made."""
    film = view.request(run, *run.epochs)
    found = server.results().find(run.run_id, analyses.map_analysis(film).name) if len(film.epochs) > 1 else None
    if found is not None:
        return _framed(found, run.epochs.index(epoch), film, of_film=True)
    request = view.request(run, epoch)

    def draw(points: NDArray[np.float32] | None) -> None:
        begun = points is not None and len(points) == len(held.chosen.rows)
        seen = points if begun and points is not None else first_look(run, request, epoch)
        picture, beside = st.columns(LAYOUT, gap="medium")
        with picture:
            scatter_map.show(cloud(seen, held, view.colour), "map live", HEIGHT)
        beside.caption("The map so far." if begun else "For now: the first principal components (PCA).")

    alone = analysis_panel.result(analyses.map_analysis(request), draw=draw)
    return None if alone is None else _framed(alone, 0, request, of_film=False)


def _framed(found: Result[MapFacts], place: int, request: MapRequest, of_film: bool) -> Frame:
    points = found.arrays["points"]
    flat = points.reshape(-1, points.shape[-1])
    corners = np.stack([flat.min(axis=0), flat.max(axis=0)])
    facts = {
        **found.facts["frames"][place],
        **{name: found.facts.get(name) for name in ("seconds", "program", "versions")},
    }
    return Frame(points[place], corners, facts, request, of_film)


def _map(view: View, run: Run, epoch: int, held: Shown, frame: Frame) -> None:
    picture, beside = st.columns(LAYOUT, gap="medium")
    marked = _lasso(held)
    index = _index(held, view.image)
    with picture:
        scatter_map.show(
            cloud(frame.points, held, view.colour, frame.corners),
            "map",
            HEIGHT,
            picked=index,
            lasso=marked,
            on_change=lambda done: _done(done, held),
            file=f"fashion-mnist-{frame.request.layer}-{frame.request.method}-epoch-{epoch}",
        )
    with beside:
        if marked:
            opened_image.lasso(marked, held, clear=_clear)
        elif index is not None:
            opened_image.image(run, frame.request, epoch, held, index)
        else:
            st.markdown("**Look closer**")
            st.caption(
                "Point at a dot to see its image. Click it to open the image with its nearest neighbours in the"
                " layer. Select a group with the lasso (or Shift and drag) to see which classes are in it. Click"
                " a class in the legend to hide it."
            )


def _side_by_side(view: View, run: Run, epoch: int, held: Shown, frame: Frame) -> None:
    """The same request with the next seed, beside it."""
    other = view.request(run, epoch, seed=(view.seed + 1) % (int(SETTINGS["seed"].high) + 1))
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**Seed {view.seed}**")
        scatter_map.show(cloud(frame.points, held, view.colour, frame.corners), "map left", SMALL)
    with right:
        st.markdown(f"**Seed {other.seed}**")
        found = analysis_panel.result(analyses.map_analysis(other))
        if found is not None:
            second = _framed(found, 0, other, of_film=False)
            scatter_map.show(cloud(second.points, held, view.colour, second.corners), "map right", SMALL)
    if found is not None:
        st.markdown(map_trust.two_seeds(frame.points, second.points))


def _below(view: View, run: Run, epoch: int, frame: Frame) -> None:
    """What else there is to know of this map."""
    if METHODS[frame.request.method].components:
        shares = [wording.percent(float(share)) for share in explained(run, frame.request, epoch)]
        st.caption(
            f"The axes are the first {len(shares)} principal components; they explain {wording.listed(shares)} of the variance."
        )
    if frame.of_film and not view.second:
        st.caption("The film is ready: press Play, or move the epoch slider, and follow the same points.")


def _second(view: View) -> None:
    method = METHODS[view.method]
    if "seed" not in method.settings:
        st.caption(f"{method.title} involves no chance: another seed gives the same map.")
        return
    STATE.draw("second")


def _film(view: View, run: Run, frame: Frame) -> None:
    """The way to maps of all epochs in which the same points move."""
    request = view.request(run, *run.epochs)
    if frame.of_film or len(request.epochs) < 2 or view.second:
        return
    with st.container(border=True):
        st.markdown(
            "**Film.** Each epoch's map is computed separately, so its points jump. A film computes all"
            f" {len(run.epochs)} checkpointed epochs from the last to the first, each starting from its neighbour:"
            " the same points move, and Play shows how."
        )
        seconds = frame.facts["seconds"] * (1 + 0.6 * (len(run.epochs) - 1))
        told = f"About {estimate.words(seconds)} on this machine." if seconds > 1 else ""
        analysis_panel.result(analyses.map_analysis(request), at_once=False, start="Make the film", caption=told)


# --- What the reader opened or took with the lasso -------------------------------------------------------------------------


def _index(held: Shown, row: int | None) -> int | None:
    """Where an image stands in the map, if it does."""
    if row is None:
        return None
    place = int(np.searchsorted(held.chosen.rows, row))
    return place if place < len(held.chosen.rows) and held.chosen.rows[place] == row else None


def _lasso(held: Shown) -> tuple[int, ...]:
    """The images taken by the lasso, while the map shows the same ones."""
    rows, taken = session.LASSO.get()
    same = rows is not None and np.array_equal(rows, held.chosen.rows)
    return taken if same else ()


def _done(done: scatter_map.Picked, held: Shown) -> None:
    """The reader opened a point, or drew a lasso."""
    if done.lasso is not None:
        session.LASSO.set((held.chosen.rows, done.lasso))
    if done.point is not None:
        session.LASSO.pop()
        STATE.change(image=int(held.chosen.rows[done.point]))


def _clear() -> None:
    session.LASSO.pop()
