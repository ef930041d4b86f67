"""HTML elements: text is escaped unless it is an element itself."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Html(str):
    """HTML as it stands."""


def element(tag: str, *children: str, **attributes: object) -> Html:
    """An element, such as `element("b", "a < b", aria_label="smaller")`: underscores of attributes become hyphens."""
    start = "".join(f' {name.replace("_", "-")}="{escape(str(value))}"' for name, value in attributes.items())
    return Html(f"<{tag}{start}>" + ("" if tag in ("br", "img") else f"{joined(children)}</{tag}>"))


def joined(parts: Iterable[str]) -> Html:
    """Texts and elements, one after the other."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))
