"""Times on the screen are those of the reader's clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
import streamlit as st

from fmnist_core.ui.shared import reader_time

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


class Clock:
    """What a browser tells of its clock."""

    def __init__(self, timezone: str | None, timezone_offset: int | None = None) -> None:
        self.timezone, self.timezone_offset = timezone, timezone_offset


@pytest.mark.parametrize(
    ("clock", "shown"),
    [
        (Clock("Asia/Kolkata", -330), "01 Jul 2026, 17:30"),
        (Clock("Europe/Berlin", -60), "01 Jul 2026, 14:00"),  # in summer, though the offset is that of today
        (Clock("Nowhere/None", 240), "01 Jul 2026, 08:00"),
        (Clock("../../etc/passwd"), "01 Jul 2026, 12:00 UTC"),
        (Clock("", None), "01 Jul 2026, 12:00 UTC"),
        (Clock(None, None), "01 Jul 2026, 12:00 UTC"),
    ],
)
def test_times_are_in_the_zone_of_the_reader(clock: Any, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "context", clock)
    assert reader_time.words(NOON) == shown
    assert f"{reader_time.local(NOON):%d %b %Y, %H:%M}" == re.sub(" UTC$", "", shown)
    assert reader_time.label("Trained") == ("Trained (UTC)" if shown.endswith("UTC") else "Trained")
