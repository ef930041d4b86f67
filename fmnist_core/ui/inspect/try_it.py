"""Section Try it: draw or upload a picture, and see what the network predicts."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from fmnist_core.charts import gallery, images
from fmnist_core.data import uploaded_picture
from fmnist_core.data.dataset import CLASSES
from fmnist_core.data.uploaded_picture import Seen
from fmnist_core.errors import LabError
from fmnist_core.network import forward
from fmnist_core.ui.components.sketch import canvas
from fmnist_core.ui.inspect import one_image
from fmnist_core.ui.inspect.inspect_view import STATE, View
from fmnist_core.ui.inspect.run_at_epoch import At
from fmnist_core.ui.shared import markdown, session

SKETCH = "inspect sketch"
NEGATIVE = {"auto": "Automatic", "no": "Leave unchanged", "yes": "Exchange"}
KINDS = ["png", "jpg", "jpeg", "webp"]
UPLOAD = "inspect upload"
# Pictures of any shape stand in equal squares, so that the words below them start on one line.
TILE = "display:block;width:100%;max-width:160px;aspect-ratio:1;object-fit:contain"
Grey = NDArray[np.uint8]


class Upload(NamedTuple):
    """An uploaded file, kept here since the control forgets it when it leaves the screen."""

    id: str
    content: bytes


def show(at: At, view: View) -> None:
    """The picture on the left, the answer on the right, then what it does inside."""
    STATE.draw("source")
    left, right = st.columns([1, 1], gap="large")
    with left:
        image = _draw(at, view) if view.source == "draw" else _upload()
    if image is None:
        return
    values = forward.probabilities(at.run.experiment, at.run.weights(at.epoch), image[None])[0]
    if not np.isfinite(values).all():
        right.info(f"After epoch {at.epoch} the outputs of this network are NaN: it diverged.")
        return
    with right:
        st.markdown(f"After epoch {at.epoch}, the network predicts")
        st.markdown(f"### {CLASSES[int(values.argmax())]}")
        st.html(f'<div style="max-width:26rem">{gallery.bars(values, CLASSES, None, number=len(CLASSES))}</div>')
        st.caption(
            "The ten probabilities always add up to 100 %: a network that knows only clothes classifies anything as"
            " a piece of clothing, often with high confidence."
        )
    one_image.layers(at, image, f"{at.stem}-picture")
    one_image.neighbours(at, image, hashlib.sha256(image.tobytes()).hexdigest(), None)


# --- Drawing ---------------------------------------------------------------------------------------------------------


def _draw(at: At, view: View) -> Grey | None:
    drawn = canvas.show(SKETCH, session.SKETCH.get(), session.SKETCHES.get())
    session.SKETCH.set(drawn)
    row = min(view.image, len(at.data.test_images) - 1)
    st.button(
        f"Start from test image {row:,}",
        help="Puts the image of section One image on the canvas, to change it and see when the prediction changes.",
        on_click=_start,
        args=(np.array(at.data.test_images[row]),),
    )
    if drawn is None:
        st.caption("Draw a piece of clothing: large, filled, light on black, like the images of the data set.")
        return None
    return uploaded_picture.drawn(drawn)


def _start(image: Grey) -> None:
    session.SKETCH.set(image)
    session.SKETCHES.set(session.SKETCHES.get() + 1)


# --- A picture of one's own ------------------------------------------------------------------------------------------


def _upload() -> Grey | None:
    file = st.file_uploader(
        "A picture of one piece of clothing",
        KINDS,
        key=UPLOAD,
        help="PNG, JPEG or WebP, up to 5 MB and 25 million pixels (WebP 10 million). It is kept in memory until the"
        " page is closed, and never stored.",
        on_change=_forget,
    )
    if file is not None:
        session.UPLOADED.set(Upload(file.file_id, file.getvalue()))
    upload: Upload | None = session.UPLOADED.get()
    if upload is None:
        st.caption("Best: a single garment, seen from the front, on a uniform background.")
        return None
    if file is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Your last upload is still here.")
            st.button("Remove it", on_click=_forget)
    negative = st.segmented_control(
        "Light and dark",
        list(NEGATIVE),
        default="auto",
        required=True,
        format_func=NEGATIVE.__getitem__,
        key="inspect negative",
        persist_state="session",
    )
    try:
        seen = _seen(upload, {"no": False, "yes": True}.get(negative))
    except LabError as error:
        markdown.error(error)
        return None
    for step, column in zip(seen.steps, st.columns(len(seen.steps)), strict=True):
        picture = Image.fromarray(step.image)
        if step.image.shape == (28, 28):
            picture = images.enlarged(picture)
        source, words = images.source(picture), f"{step.title}: {step.text}"
        column.html(
            f'<figure style="margin:0"><img src="{source}" alt="{words}" style="{TILE}">'
            f'<figcaption style="font-size:0.85rem"><b>{step.title}</b><br>{step.text}</figcaption></figure>'
        )
    return seen.image


def _forget() -> None:
    """Another file, or none: the last one goes."""
    session.UPLOADED.pop()


def _seen(upload: Upload, negative: bool | None) -> Seen:
    """The picture as the network sees it; kept for this session while it is the one uploaded."""
    prepared: tuple[tuple[str, bool | None], Seen] | None = session.PREPARED.get()
    if prepared is None or prepared[0] != (upload.id, negative):
        prepared = ((upload.id, negative), uploaded_picture.read(upload.content, negative))
        session.PREPARED.set(prepared)
    return prepared[1]
