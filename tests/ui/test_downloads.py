"""Files that pages offer."""

from __future__ import annotations

import csv
import io
import re

import pandas as pd
import pytest

from fmnist_core.ui.shared import downloads

FORMULAS = (
    *("=1+2", '=HYPERLINK("http://127.0.0.1:9","x")', "+1+2", "-1+2", "@SUM(A1)"),
    *("\t=1", "\r=1", "\n=1", " =1", "-", "\uff1d1"),
)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_begins_as_a_formula_is_a_text(text: str) -> None:
    rows = pd.DataFrame({"model": [text, "plain, with comma"], text: ["a", "b"]})
    heads, first, second = csv.reader(io.StringIO(downloads.csv(rows).decode(), newline=""))
    assert heads == ["model", "'" + re.sub(r"[\t\r\n]", " ", text)]
    assert first == [heads[1], "a"] and second == ["plain, with comma", "b"]


def test_numbers_stay_numbers() -> None:
    rows = pd.DataFrame({"loss": [-0.5, float("nan")], "seed": [-1, 2], "on": [True, False], "mixed": [-1.5, "-2e-3"]})
    assert downloads.csv(rows).decode() == rows.to_csv(index=False)


def test_every_csv_file_is_made_there() -> None:
    label, content, name, kind = downloads.csv_file(lambda: pd.DataFrame({"model": ["=1"]}), "table.csv")
    assert (label, content(), name, kind) == ("Table (CSV)", b"model\n'=1\n", "table.csv", "text/csv")
