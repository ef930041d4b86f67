"""How far to trust a map: measures beside it, each with its reading, and rules of reading shown on this very map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from fmnist_core.charts import trust_table
from fmnist_core.embedding.map_methods import METHODS
from fmnist_core.embedding.maps import align, displacement
from fmnist_core.embedding.neighbours import K, nearest_to
from fmnist_core.experiment import wording
from fmnist_core.experiment.layer_names import the_layer
from fmnist_core.findings.map_request import MapRequest
from fmnist_core.ui.embeddings.embeddings_view import STATE
from fmnist_core.ui.shared import expander

COMPARED = 500  # points whose neighbours in two maps are compared


def show(facts: Mapping[str, Any], request: MapRequest, images: int) -> None:
    """The measures of a map of so many images, each with its reading."""
    st.header("How far to trust this map")
    st.html(trust_table.table({name: value for name, value in facts.items() if isinstance(value, float)}))
    kl = f" KL divergence {facts['kl']:.3f}." if facts.get("kl") is not None else ""
    st.caption(
        f"Measured on the map's {images:,} images with {K} neighbours; trustworthiness and"
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
    """Three rules of reading, each with this map's own numbers, behind a click."""
    label = "How to read such a map: three rules, shown on this map"
    expander.show(label, "how to read a map", lambda: _rules(facts, request))


def _rules(facts: Mapping[str, Any], request: MapRequest) -> None:
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
        name, current = method.size, getattr(request, method.size)
        with st.container(horizontal=True):
            for value in method.tries:
                if value != current and value <= method.most(request.points):
                    kwargs = {name: type(current)(value)}
                    st.button(f"{name} {value}", on_click=STATE.change, kwargs=kwargs, key=f"try {name} {value}")
    st.caption(
        "After Wattenberg, Viégas & Johnson (2016), How to Use t-SNE Effectively, doi.org/10.23915/distill.00002."
        " The numbers are Spearman's rank correlations over the ten classes, and over their 45 pairs."
    )


def _correlation(rank: float | None, what: str, request: MapRequest) -> str:
    """A rank correlation in words; the bounds are ours."""
    if rank is None:
        return "Too few classes here to judge."
    if rank >= 0.4:
        agreement = "agree" if rank >= 0.8 else "partly agree"
    else:
        agreement = "barely agree" if rank > -0.4 else "disagree (reversed order)"
    return (
        f"Here the map and {the_layer(request.layer)} **{agreement}** on which {what}: rank correlation **{rank:.2f}**"
        f" (1: the same order, 0: none). {METHODS[request.method].title} {METHODS[request.method].distances}"
    )


def two_seeds(first: NDArray[np.float32], second: NDArray[np.float32]) -> str:
    """What two seeds have in common, in numbers: neighbours kept, and how far points lie apart once turned to match."""
    sample = np.linspace(0, len(first) - 1, min(COMPARED, len(first))).astype(int)
    near, other = (nearest_to(points[sample], points, K + 1, "euclidean").indices for points in (first, second))
    shared = [len(np.intersect1d(a, b)) - (i in a and i in b) for i, a, b in zip(sample, near, other, strict=True)]
    moved = displacement(first, align(second, first, scale=True))
    return (
        f"Of each image's {K} neighbours in one map, **{wording.percent(float(np.mean(shared)) / K)}** are its"
        f" neighbours in the other (over {len(sample)} images); after rotating one map to match, a point lies on"
        f" average **{wording.percent(moved)}** of the map's radius away from its position in the other. What both maps"
        " show comes from the layer; what only one shows is chance."
    )
