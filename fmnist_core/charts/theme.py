"""One look for all pictures: colours, and an Altair theme that reads well on a light and on a dark page."""

from __future__ import annotations

import altair as alt

# One colour for each class, in the order of `dataset.CLASSES`, told apart with any of the three colour-vision
# deficiencies and on both backgrounds (after Paul Tol's "muted" scheme, the dark ones lightened).
CLASS_COLOURS = (
    "#cc6677",
    "#5d50c6",
    "#c9b037",
    "#2e8b57",
    "#56b4e9",
    "#a3336b",
    "#44aa99",
    "#8c8c3a",
    "#c86fc9",
    "#8a94a0",
)
TRAIN, VALIDATION = "#0b82c4", "#e07b00"
TRAIN_NAME, VALIDATION_NAME = "training", "validation"
MUTED = "#8a94a0"
HEIGHT = 340


def split_colours() -> alt.Scale:
    """Training is always one hue, validation another."""
    return alt.Scale(domain=[TRAIN_NAME, VALIDATION_NAME], range=[TRAIN, VALIDATION])


def class_colours(classes: tuple[str, ...]) -> alt.Scale:
    """The classes' colours, whatever subset a chart shows. classes: all ten names, in their order."""
    return alt.Scale(domain=list(classes), range=list(CLASS_COLOURS))


def enable() -> None:
    """Make the theme the one in force; cheap, so every page calls it."""
    if alt.theme.active != "lab":
        alt.theme.register("lab", enable=True)(_lab)


def _lab() -> alt.theme.ThemeConfig:
    """Sizes and weights only: text, grid and background follow the page's light or dark theme."""
    return {
        "config": {
            "view": {"stroke": None},
            "axis": {"titleFontWeight": 500, "labelFontSize": 12, "titleFontSize": 12, "tickCount": 6},
            "axisX": {"grid": False},
            "title": {"anchor": "start", "fontSize": 14, "fontWeight": 600, "offset": 10},
            "legend": {"orient": "top", "title": None, "labelFontSize": 12, "symbolStrokeWidth": 3},
            "line": {"strokeWidth": 2},
            "bar": {"color": TRAIN},
        }
    }
