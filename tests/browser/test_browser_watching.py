"""How often a tab looks at a live view, by the messages between browser and server."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, WebSocket, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from fmnist_core.ui.shared.progress import HIDDEN
from fmnist_core.ui.train.live_training import PERIOD
from tests.support.app_server import Server, press

pytestmark = [pytest.mark.browser, pytest.mark.engine]
IN_FRONT = "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
BEHIND = "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});" + IN_FRONT.split("; ")[1]


def _intervals(page: Page) -> list[float]:
    """Seconds between two looks, as the server asks for them; grows while the page is open."""
    found: list[float] = []

    def note(payload: str | bytes) -> None:
        message = ForwardMsg.FromString(payload if isinstance(payload, bytes) else payload.encode())
        if message.WhichOneof("type") == "auto_rerun":
            found.append(message.auto_rerun.interval)

    def listen(socket: WebSocket) -> None:
        if socket.url.endswith("/_stcore/stream"):
            socket.on("framereceived", note)

    page.on("websocket", listen)
    return found


def test_a_tab_in_the_background_looks_less_often(page: Page, server: Server) -> None:
    intervals = _intervals(page)
    page.goto(f"{server.url}/Train?widths=256-256&epochs=200&seed=77")
    press(page, "Train")
    expect(page.get_by_text("Training accuracy")).to_be_visible()

    def told(interval: float) -> None:
        while not intervals or intervals[-1] != interval:
            page.wait_for_timeout(50)

    told(PERIOD)
    page.evaluate(BEHIND)
    told(HIDDEN)
    page.evaluate(IN_FRONT)
    told(PERIOD)
    press(page, "Stop")
    expect(page.get_by_text("This run was stopped")).to_be_visible()
