"""How far to trust a map: measures beside it, each with its reading, and rules of reading shown on this very map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import trust_table
from fmnist_core.embedding.align import align, displacement
from fmnist_core.embedding.map_methods import METHODS
from fmnist_core.embedding.neighbours import K, nearest_to
from fmnist_core.experiment import wording
from fmnist_core.experiment.layer_names import the_layer
from fmnist_core.findings.map_request import MapRequest
from fmnist_core.ui.embeddings.embeddings_view import STATE
from fmnist_core.ui.embeddings.mapped_images import Shown

ASKED = 500  # points whose neighbours in two maps are compared


def show(facts: Mapping[str, Any], request: MapRequest, held: Shown) -> None:
    """The measures of a map, each with its reading."""
    st.subheader("How far to trust this map")
    st.html(trust_table.table({name: value for name, value in facts.items() if isinstance(value, float)}))
    kl = f" KL divergence {facts['kl']:.3f}." if facts.get("kl") is not None else ""
    st.caption(
        f"Measured on the map's {len(held.chosen.rows):,} images with {K} neighbours; trustworthiness and"
        f" continuity after Venna & Kaski (2001), silhouette after Rousseeuw (1987).{kl} Computed in"
        f" {facts['seconds']:.1f} s."
    )
    st.caption(program(facts, request))


def program(facts: Mapping[str, Any], request: MapRequest) -> str:
    """Which program drew a map, for a report's section on methods. Results of earlier versions say less."""
    method = METHODS[request.method]
    steps = f", {facts['iterations']:,} iterations" if facts.get("iterations") else ""
    film = "" if method.components else " In a film, each map starts from that of the epoch after it."
    versions = ", ".join(f"{name} {version}" for name, version in (facts.get("versions") or {}).items())
    named = f" Versions: {versions}." if versions else ""
    return f"Drawn by {facts.get('program') or method.program}{steps}.{film}{named}"


def rules(facts: Mapping[str, Any], request: MapRequest) -> None:
    """Three rules of reading, each with this map's own numbers."""
    with st.expander("How to read such a map: three rules, shown on this map"):
        size, distance = st.columns(2, gap="large")
        with size:
            st.markdown("**The size of a cluster says little**")
            st.markdown(_correlation(facts.get("spread_rank"), "classes spread widely", request))
        with distance:
            st.markdown("**Distances between clusters say little**")
            st.markdown(_correlation(facts.get("distance_rank"), "class centres are far apart", request))
        method = METHODS[request.method]
        if method.tries:
            heading, text = method.rule
            st.markdown(f"**{heading}**")
            st.markdown(text.format(**asdict(request)))
            _try(
                method.size,
                [
                    size
                    for size in method.tries
                    if size != getattr(request, method.size) and size <= method.most(request.points)
                ],
            )
        st.caption(
            "After Wattenberg, Viégas & Johnson (2016), How to Use t-SNE Effectively, doi.org/10.23915/distill.00002."
            " The numbers are Spearman's rank correlations over the ten classes, and over their 45 pairs."
        )


def _try(name: str, values: list[int]) -> None:
    with st.container(horizontal=True):
        for value in values:
            kwargs = {name: type(getattr(STATE.view, name))(value)}
            st.button(f"{name} {value}", on_click=STATE.change, kwargs=kwargs, key=f"try {name} {value}")


def _correlation(rank: float | None, what: str, request: MapRequest) -> str:
    """A rank correlation in words; the bounds are ours."""
    if rank is None:
        return "Too few classes here to judge."
    strong = (
        "agree"
        if rank >= 0.8
        else "partly agree"
        if rank >= 0.4
        else "barely agree"
        if rank > -0.4
        else "disagree (reversed order)"
    )
    return (
        f"Here the map and {the_layer(request.layer)} **{strong}** on which {what}: rank correlation **{rank:.2f}**"
        f" (1: the same order, 0: none). {METHODS[request.method].title} {METHODS[request.method].distances}"
    )


def two_seeds(first: NDArray[np.float32], second: NDArray[np.float32]) -> str:
    """What two seeds have in common, in numbers: neighbours kept, and how far points lie apart once turned to match."""
    asked = np.linspace(0, len(first) - 1, min(ASKED, len(first))).astype(int)
    one, other = (nearest_to(points[asked], points, K + 1, "euclidean").indices for points in (first, second))
    kept = (
        np.mean([len(np.intersect1d(a, b)) - (i in a and i in b) for i, a, b in zip(asked, one, other, strict=True)])
        / K
    )
    moved = displacement(first, align(second, first, scale=True))
    return (
        f"Of each image's {K} neighbours in one map, **{wording.percent(float(kept))}** are its neighbours in the"
        f" other (over {len(asked)} images); after rotating one map to match, a point lies on average"
        f" **{wording.percent(moved)}** of the map's radius away from its position in the other. What both maps"
        " show comes from the layer; what only one shows is chance."
    )
