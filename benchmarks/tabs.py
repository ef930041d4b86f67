"""Browser tabs without a browser: Streamlit's own protocol, so that a hundred fit beside the app that they visit."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PATIENCE = 120  # seconds
LARGEST = 2**26  # bytes of a message


@dataclass
class Control:
    """A control as the app sent it."""

    kind: str
    message: Any


class Tab:
    """One tab of one person: shows a page, moves its controls, and looks again as often as the page asks it to."""

    def __init__(self, socket: ClientConnection) -> None:
        self.controls: dict[str, Control] = {}
        self.errors: list[str] = []  # texts of error boxes that were shown
        self.looks: list[float] = []  # seconds that each look of a live part took
        self.elements = 0  # received so far
        self.query = ""
        self.page = ""
        self._socket = socket
        self._states: dict[str, WidgetState] = {}
        self._drawn: dict[str, Control] = {}  # by the run of the whole page that is under way
        self._whole = False  # whether such a run is under way
        self._forward = True  # which way a slider is moved
        self._hashes: dict[str, ForwardMsg] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._looked = 0.0  # when the last look was asked for
        self._finished = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    # --- What a person does -------------------------------------------------------------------------------------------

    async def open(self, page: str = "", query: str = "") -> float:
        """Go to a page, named as in its address; returns the seconds until all of it is there."""
        self.page, self.query = page, query
        self._states, self.controls, self._drawn = {}, {}, {}
        self._stop_looking()
        return await self._rerun(navigated=True)

    async def again(self) -> float:
        """Draw the same page again."""
        return await self._rerun()

    async def move(self, label: str) -> float:
        """Move a slider by one step, to its end and back; returns the seconds until the page is drawn again."""
        control = self._control(label)
        slider, state = control.message, self._states[control.message.id]
        if slider.options:
            now, last = list(slider.options).index(state.string_array_value.data[0]), len(slider.options) - 1
            self._forward = now == 0 or (self._forward and now < last)
            state.string_array_value.data[0] = slider.options[now + (1 if self._forward else -1)]
        else:
            now, step = state.double_array_value.data[0], slider.step
            self._forward = now - step < slider.min or (self._forward and now + step <= slider.max)
            state.double_array_value.data[0] = now + (step if self._forward else -step)
        return await self._rerun()

    async def press(self, label: str) -> float:
        """Press a button; returns the seconds until the page is drawn again."""
        return await self._rerun(WidgetState(id=self._control(label).message.id, trigger_value=True))

    async def watch(self, patience: float) -> bool:
        """Look at what is under way until it ends, for at most `patience` seconds; returns whether it ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._timers:
                    self._finished.clear()
                    await self._finished.wait()
        return not self._timers

    def has(self, label: str) -> bool:
        """Whether a control with this label is on the page."""
        return any(control.message.label == label for control in self.controls.values())

    def _control(self, label: str) -> Control:
        return next(each for each in self.controls.values() if each.message.label == label)

    async def close(self) -> None:
        """Close the tab."""
        self._stop_looking()
        await self._socket.close()
        self._reader.cancel()

    # --- What the browser does ----------------------------------------------------------------------------------------

    async def _rerun(self, trigger: WidgetState | None = None, navigated: bool = False) -> float:
        self._finished.clear()
        begun = time.perf_counter()
        await self._send("", trigger, navigated)
        async with asyncio.timeout(PATIENCE):
            if not self._reader.done():
                await self._finished.wait()
        if self._reader.done():
            self._reader.result()
            raise RuntimeError("the app closed the connection")
        return time.perf_counter() - begun

    async def _send(self, fragment: str, trigger: WidgetState | None = None, navigated: bool = False) -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_name, state.fragment_id = self.query, self.page, fragment
        state.is_auto_rerun, state.is_history_navigation = bool(fragment), navigated
        state.context_info.timezone, state.context_info.locale = "Europe/Berlin", "en-GB"
        shown = list(self._states.values())
        state.widget_states.widgets.extend([*shown, trigger] if trigger else shown)
        state.cached_message_hashes.extend(self._hashes)
        await self._socket.send(message.SerializeToString())

    async def _read(self) -> None:
        try:
            async for payload in self._socket:
                message = ForwardMsg.FromString(payload)
                if message.metadata.cacheable:
                    self._hashes[message.hash] = message
                self._take(self._hashes.get(message.ref_hash, message))
        except ConnectionClosed:
            pass
        finally:
            asyncio.get_running_loop().call_soon(self._finished.set)

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "delta":
            self._show(message.delta)
        elif kind == "new_session" and not message.metadata.run.fragment_ids:
            self._drawn, self._whole = {}, True
            self._stop_looking()
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "auto_rerun":
            self._look(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._stop_looking(fragment)
        elif kind == "script_finished":
            self._end(message.script_finished)

    def _show(self, delta: Delta) -> None:
        if delta.WhichOneof("type") != "new_element":
            return
        self.elements += 1
        kind = delta.new_element.WhichOneof("type") or ""
        element: Any = getattr(delta.new_element, kind, None)
        if kind in ("slider", "button", "selectbox", "checkbox"):
            self._drawn[element.id] = Control(kind, element)
            if state := _state(kind, element):
                self._states.setdefault(element.id, state)
        elif kind == "exception" or (kind == "alert" and element.format == element.ERROR):
            self.errors.append(element.message if kind == "exception" else element.body)

    def _end(self, status: int) -> None:
        """A busy server may tell only of the look that came right after a run of the whole page."""
        look = status == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY
        if look and self._looked:
            self.looks.append(time.perf_counter() - self._looked)
            self._looked = 0.0
        if self._whole and (look or status == ForwardMsg.FINISHED_SUCCESSFULLY):
            self._whole, self.controls = False, self._drawn
            self._states = {name: state for name, state in self._states.items() if name in self.controls}
            self._finished.set()

    def _look(self, fragment: str, interval: float) -> None:
        """Rerun a live part at this interval from now on."""
        self._stop_looking(fragment)
        self._timers[fragment] = asyncio.create_task(self._looking(fragment, interval))

    async def _looking(self, fragment: str, interval: float) -> None:
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(interval)
                self._looked = self._looked or time.perf_counter()
                await self._send(fragment)

    def _stop_looking(self, fragment: str | None = None) -> None:
        for name in [fragment] if fragment is not None else list(self._timers):
            if timer := self._timers.pop(name, None):
                timer.cancel()


def _state(kind: str, element: Any) -> WidgetState | None:
    """What the browser reports of a control that nobody has moved."""
    state = WidgetState(id=element.id)
    if kind == "slider" and element.options:
        state.string_array_value.data.extend(element.options[int(index)] for index in element.default)
    elif kind == "slider":
        state.double_array_value.data.extend(element.default)
    elif kind == "selectbox" and element.options:
        state.string_value = element.options[element.default]
    elif kind == "checkbox":
        state.bool_value = element.default
    else:
        return None
    return state


def _cookie() -> str:
    """As Streamlit gives one to each browser, which tells the app who is who."""
    token, mask = secrets.token_bytes(16), secrets.token_bytes(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(token))
    return f"_streamlit_xsrf=2|{mask.hex()}|{masked.hex()}|{int(time.time())}"


@asynccontextmanager
async def tab(url: str, cookie: str = "") -> AsyncIterator[Tab]:
    """A tab of a new person, or of the one with this cookie."""
    address = url.replace("http", "ws", 1) + "/_stcore/stream"
    headers = {"Cookie": cookie or _cookie()}
    async with connect(
        address,
        additional_headers=headers,
        subprotocols=[Subprotocol("streamlit")],
        max_size=LARGEST,
        open_timeout=PATIENCE,
    ) as socket:
        shown = Tab(socket)
        try:
            yield shown
        finally:
            await shown.close()
