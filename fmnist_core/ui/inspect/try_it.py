"""Section Try it: draw or upload a picture, and see what the network predicts."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile

from fmnist_core.charts import gallery, images
from fmnist_core.charts.markup import element
from fmnist_core.data import uploaded_picture
from fmnist_core.data.dataset import CLASSES
from fmnist_core.errors import LabError
from fmnist_core.network import forward
from fmnist_core.ui.components.sketch import canvas
from fmnist_core.ui.inspect import one_image
from fmnist_core.ui.inspect.inspect_view import STATE, View
from fmnist_core.ui.inspect.run_at_epoch import At
from fmnist_core.ui.shared import markdown, session

SKETCH = "inspect sketch"
NEGATIVE = {"auto": "Automatic", "no": "Leave unchanged", "yes": "Exchange"}
UPLOAD = "inspect upload"
# Pictures of any shape stand in equal squares, so that the words below them start on one line.
TILE = "display:block;width:100%;max-width:160px;aspect-ratio:1;object-fit:contain"
Grey = NDArray[np.uint8]


class Upload(NamedTuple):
    """An uploaded picture, kept since its control forgets it when it leaves the screen; or why there is none.

    A picture takes a few hundred kilobytes, its file up to 25 MB: that is given back as soon as it is read.
    """

    picture: uploaded_picture.Picture | None
    problem: str = ""


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
        st.header(f"{CLASSES[int(values.argmax())]}")
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
        None,  # all: what cannot be read is named for what it is, and telephones have endings of their own
        key=UPLOAD,
        help=f"{uploaded_picture.ALLOWED}. It is kept in memory until the page is closed, and never stored.",
        on_change=_changed,
    )
    if file is not None:
        session.UPLOADED.set(_read(file))
    upload: Upload | None = session.UPLOADED.get()
    if upload is None:
        st.caption("Best: a single garment, seen from the front, on a uniform background.")
        return None
    if session.widget(UPLOAD) is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Your last upload is still here.")
            st.button("Remove it", on_click=_forget)
    if upload.picture is None:
        markdown.error(upload.problem)
        return None
    negative = st.segmented_control(
        "Light and dark",
        list(NEGATIVE),
        default="auto",
        required=True,
        format_func=NEGATIVE.__getitem__,
        key="inspect negative",
        persist_state="session",
    )
    seen = upload.picture.seen({"no": False, "yes": True}.get(negative))
    for step, column in zip(seen.steps, st.columns(len(seen.steps)), strict=True):
        picture = Image.fromarray(step.image)
        if step.image.shape == (28, 28):
            picture = images.enlarged(picture)
        shown = element("img", src=images.source(picture), alt=f"{step.title}: {step.text}", style=TILE)
        caption = element("figcaption", element("b", step.title), element("br"), step.text, style="font-size:0.85rem")
        column.html(element("figure", shown, caption, style="margin:0"))
    return seen.image


def _changed() -> None:
    """Another file, or none: the last one goes. One that was given back has not changed."""
    if not isinstance(session.widget(UPLOAD), DeletedFile):
        _forget()


def _forget() -> None:
    session.UPLOADED.pop()


def _read(file: UploadedFile) -> Upload:
    """The picture in a file, or the sentence on it; the file itself is given back."""
    try:
        return Upload(uploaded_picture.read(file.getvalue()))
    except LabError as error:
        return Upload(None, str(error))
    finally:
        context = get_script_run_ctx()
        if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
