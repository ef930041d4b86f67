"""How often live views look: as often as planned while few watch, less often where many do."""

from __future__ import annotations

import threading
import time

LOOKS = 30.0  # a second that the app affords, all tabs together: a third of a core
GONE = 20.0  # seconds after its last look from which a tab is no watcher


class Watchers:
    """The tabs that look at something live."""

    def __init__(self, looks: float = LOOKS) -> None:
        self._looks = looks
        self._seen: dict[str, float] = {}  # by tab: when it looked last
        self._lock = threading.Lock()

    def interval(self, tab: str, period: float) -> float:
        """Seconds until a tab's next look: `period`, doubled until all tabs together make at most `looks` a second."""
        now = time.monotonic()
        with self._lock:
            self._seen[tab] = now
            self._seen = {name: seen for name, seen in self._seen.items() if now - seen < GONE}
            watching = len(self._seen)
        while watching / period > self._looks:
            period *= 2
        return period
