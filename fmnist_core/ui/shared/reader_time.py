"""Times as the reader's clock has them: the browser tells its zone. Files keep UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import streamlit as st


def zone() -> tzinfo:
    """The reader's time zone; UTC where the browser tells none."""
    name, behind = st.context.timezone, st.context.timezone_offset
    try:
        return ZoneInfo(name) if name else UTC
    except (OSError, ValueError, KeyError):  # no such zone, or a system without the table of zones
        return timezone(timedelta(minutes=-behind)) if behind is not None else UTC


def label(heading: str) -> str:
    """A heading over times, with UTC where it is not the reader's own."""
    return f"{heading} (UTC)" if zone() is UTC else heading


def local(time: datetime) -> datetime:
    """A time in the reader's zone, without the zone, for a table."""
    return time.astimezone(zone()).replace(tzinfo=None)


def words(time: datetime) -> str:
    """A time in the reader's zone: "25 Nov 2026, 20:33"; with UTC where it is not the reader's own."""
    return f"{local(time):%d %b %Y, %H:%M}{' UTC' if zone() is UTC else ''}"
