"""What holds for the whole house: a module's name says which one is meant."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fmnist_core.ui.shared.pages import Page

PRODUCT = Path(__file__).parents[1] / "fmnist_core"


def test_no_two_modules_have_one_name() -> None:
    """Packages included, but for a page's folder: that has the name of its page."""
    pages = [PRODUCT / "ui" / page.name.lower() for page in Page]
    modules = [path for path in PRODUCT.rglob("*.py") if path.stem != "__main__"]
    names = [
        path.parent.name if path.stem == "__init__" else path.stem
        for path in modules
        if not (path.stem == "__init__" and path.parent in pages)
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []
