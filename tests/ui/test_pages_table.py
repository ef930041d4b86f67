"""The table of the pages is the one place that names them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fmnist_core.ui.shared.pages import Page

ROOT = Path(__file__).parents[2]
PRODUCT = [*(ROOT / "fmnist_core").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "app.py"]


@pytest.mark.parametrize("page", Page)
def test_each_page_is_a_folder_and_a_script_that_only_shows_it(page: Page) -> None:
    name = page.name.lower()
    assert (ROOT / f"fmnist_core/ui/{name}/{name}_page.py").exists()
    code = (ROOT / page.path).read_text().split('"""')[2]
    assert code.split() == f"from fmnist_core.ui.{name} import {name}_page {name}_page.show()".split()


def test_every_script_is_in_the_table() -> None:
    own = {Path(page.path).name for page in Page} - {"app.py"}
    small = {f"0_{name.lower()}" for name in own}  # of addresses in small letters
    assert {path.name for path in (ROOT / "pages").glob("*.py")} == own | small


def test_no_page_is_named_anywhere_else() -> None:
    named = re.compile(r"""["']pages/|st\.page_link|st\.switch_page""")
    found = [path.name for path in PRODUCT if named.search(path.read_text())]
    assert found == ["pages.py"]
