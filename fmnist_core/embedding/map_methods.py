"""The methods that draw a map, one row each, and their settings, each declared once. NumPy alone: screens read it, too.

A new method is a row of METHODS and its function in `maps.own_makers`; a setting that only it has is a field of
`MapSettings`. Requests, flags of the command line, addresses, controls and checks follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fmnist_core.embedding.neighbours import METRICS, Neighbours

Floats = NDArray[np.float32]
Watch = Callable[[float, str, Floats | None], None]
Stop = Callable[[], bool]
SEARCH = 0.1  # of the work of a map: finding the neighbours


class Frame(NamedTuple):
    """A map. points: float32 (n, dimensions). kl: t-SNE's Kullback-Leibler divergence in nats; nan for others.

    iterations: how many steps moved the points from where they started; 0 for a method without.
    """

    points: Floats
    kl: float = np.nan
    iterations: int = 0


class Gap(NamedTuple):
    """In place of a map that cannot be made. reason: one sentence, with the remedy."""

    reason: str


class Maker(Protocol):
    """A method's function.

    features: float32 (n, width). neighbours: as many of each point as the method says that it needs. initial: a map of
    the same points to start from. watch: called as (fraction done, text, points or None). Returns None when stopped.
    """

    def __call__(
        self,
        features: Floats,
        neighbours: Neighbours,
        settings: MapSettings,
        initial: Floats | None = None,
        watch: Watch = ...,
        should_stop: Stop = ...,
    ) -> Frame | None: ...


@dataclass(frozen=True)
class Method:
    """A way to draw a map.

    title: its name on the screen. about: one sentence on what it keeps. program: who wrote what draws it, and where it
    starts. packages: distributions that it takes parts from. settings: the fields of `MapSettings`, besides the
    dimensions, that change its map. distances: what distances between clusters say, after its title.
    dimensions: those it can draw. components: whether its axes are principal components.
    size: the setting that says how large a neighbourhood is kept, or "". needs: how many neighbours of each point that
    takes. most: the largest size that so many points allow. rule: a rule of reading and its text, with the settings'
    names in braces. tries: sizes worth a try.
    """

    title: str
    about: str
    program: str
    settings: tuple[str, ...]
    distances: str
    packages: tuple[str, ...] = ()
    dimensions: tuple[int, ...] = (2, 3)
    components: bool = False
    size: str = ""
    needs: Callable[[float], int] = lambda size: 0
    most: Callable[[int], float] = lambda points: np.inf
    rule: tuple[str, str] = ("", "")
    tries: tuple[int, ...] = ()

    def neighbours_needed(self, settings: MapSettings) -> int:
        """How many nearest neighbours of each point it looks at."""
        return self.needs(getattr(settings, self.size)) if self.size else 0


DISTORTS = "makes sparse regions denser and dense ones sparser, and uses only neighbours."
NEIGHBOURHOOD_OF_UMAP: dict[str, Any] = {
    "size": "n_neighbors",
    "needs": lambda n_neighbors: int(n_neighbors) - 1,
    "most": lambda points: points - 1,
    "rule": (
        "n_neighbors and min_dist change the picture",
        "This map was made with n_neighbors {n_neighbors} and min_dist {min_dist:g}: the first sets the size of"
        " the neighbourhood that is preserved, the second how tightly points are packed. Try:",
    ),
    "tries": (5, 15, 50),
}
METHODS = {
    "tsne": Method(
        "t-SNE",
        "t-SNE keeps close images close and spreads them out",
        "Fashion-MNIST Lab's own t-SNE with exact forces, started from the principal components, as scikit-learn and"
        " openTSNE do",
        ("perplexity", "metric", "seed"),
        DISTORTS,
        packages=("openTSNE",),
        dimensions=(2,),
        size="perplexity",
        needs=lambda perplexity: int(3 * perplexity),
        most=lambda points: (points - 1) / 3,
        rule=(
            "The perplexity changes the picture",
            "This map was made with perplexity {perplexity:g}: each image tries to stay close to about that many"
            " neighbours. Small values break classes into islands, large ones show the coarse structure; none is the"
            " correct one. Try:",
        ),
        tries=(5, 30, 100),
    ),
    "umap": Method(
        "UMAP",
        "so does UMAP, with tighter groups",
        "Fashion-MNIST Lab's own UMAP, started from the principal components (umap-learn starts from a spectral"
        " layout)",
        ("n_neighbors", "min_dist", "metric", "seed"),
        DISTORTS,
        packages=("scipy",),
        **NEIGHBOURHOOD_OF_UMAP,
    ),
    "pca": Method(
        "PCA",
        "PCA is a flat projection onto the directions in which the layer's outputs vary most",
        "Fashion-MNIST Lab's own PCA, by the eigenvectors of the covariance",
        (),
        "only drops directions, so large distances are preserved.",
        packages=("numpy",),
        components=True,
    ),
    "umap-learn": Method(
        "UMAP by umap-learn",
        "umap-learn is the reference: slower, and without a preview",
        "umap-learn itself, started from a spectral layout",
        ("n_neighbors", "min_dist", "metric", "seed"),
        DISTORTS,
        packages=("umap-learn",),
        **NEIGHBOURHOOD_OF_UMAP,
    ),
}


@dataclass(frozen=True)
class Setting:
    """What a setting may be. title, help: for people. low, high: bounds of a number. choices: the values, and what each
    is called. usual: the numbers that a slider stops at."""

    default: Any
    title: str
    low: float = 0
    high: float = 0
    choices: Mapping[Any, str] = field(default_factory=dict)
    usual: tuple[float, ...] = ()
    help: str = ""

    def problem(self, name: str, value: Any) -> str | None:
        """Why a value cannot be used, in a sentence; None where it can."""
        if self.choices:
            if value in self.choices:
                return None
            return f"{name} is {value!r}, but it must be one of {', '.join(map(str, self.choices))}."
        if self.low <= value <= self.high:
            return None
        return f"{name} is {value:,}, but it must be between {self.low:g} and {self.high:,g}."


def setting(default: Any, title: str, low: float = 0, high: float = 0, **kwargs: Any) -> Any:
    """A dataclass field with the `Setting` that it declares."""
    return field(default=default, metadata={"map setting": Setting(default, title, low, high, **kwargs)})


def settings_of(kind: type) -> dict[str, Setting]:
    """Each setting that a dataclass declares, by its name."""
    return {each.name: each.metadata["map setting"] for each in fields(kind) if each.metadata}


@dataclass(frozen=True)
class MapSettings:
    """How a map is made. Settings that are not the method's own change nothing."""

    method: str = setting("tsne", "Method", choices={name: row.title for name, row in METHODS.items()})
    dimensions: int = setting(2, "Dimensions", choices={2: "2-D", 3: "3-D"})
    perplexity: float = setting(
        30.0, "Perplexity", 2, 200, usual=(5, 10, 20, 30, 50, 100, 200),
        help="About how many neighbours each image tries to stay close to; at most a third of the images.",
    )  # fmt: skip
    n_neighbors: int = setting(
        15, "Neighbours (n_neighbors)", 2, 200, usual=(5, 10, 15, 30, 50, 100, 200),
        help="How many neighbours of each image the map tries to preserve: few show detail,"
        " many show the overall shape.",
    )  # fmt: skip
    min_dist: float = setting(
        0.1, "Minimum distance (min_dist)", 0.0, 0.99,
        help="The minimum distance between points in the map: it changes how tight groups look,"
        " not which images are in them.",
    )  # fmt: skip
    metric: str = setting(METRICS[0], "Distance", choices={name: name.capitalize() for name in METRICS})
    seed: int = setting(
        42, "Seed", 0, 9_999,
        help="Chance enters in the starting positions and in the order in which points move;"
        " the same seed gives the same map.",
    )  # fmt: skip


def problem(settings: MapSettings, points: int) -> str | None:
    """Why so many points have no such map, in a sentence; None where they have one."""
    for name, declared in settings_of(type(settings)).items():
        if sentence := declared.problem(name, getattr(settings, name)):
            return sentence
    method, dimensions = METHODS[settings.method], settings.dimensions
    if dimensions not in method.dimensions:
        *able, last = [row.title for row in METHODS.values() if dimensions in row.dimensions]
        allowed = " or ".join(map(str, method.dimensions))
        choices = f"choose {', '.join(able)} or {last} for {dimensions}"
        return f"dimensions is {dimensions}, but {method.title} maps have {allowed}; {choices}."
    if method.size and getattr(settings, method.size) > method.most(points):
        size, most = getattr(settings, method.size), max(int(method.most(points)), 0)
        return f"{method.size} is {size:g}, but {points:,} images allow at most {most:,}; lower it, or use more images."
    return None
