"""A study and a race in a real browser: results as they come in, leaving and coming back, files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from fmnist_core.experiment.study import Study
from tests.support.app_server import Server, downloaded, press, query

pytestmark = [pytest.mark.browser, pytest.mark.engine]
STUDY = Study.of(
    {
        "base": {"units": 32, "epochs": 3, "training_fraction": 0.1},
        "axes": [{"field": "dropout", "values": (0.0, 0.5)}],
        "seeds": 3,
    }
)


def test_a_study_from_one_press_to_its_files(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Compare?study={quote(STUDY.to_short_json())}")
    expect(page.get_by_text("6 runs to train")).to_be_visible()
    press(page, "Train all")
    expect(page.get_by_text(re.compile(r"[1-5] of 6 runs · "))).to_be_visible()
    expect(page.get_by_role("heading", name="Results")).to_be_visible()  # while others are still trained
    # Away and back: the study went on, and the menu leads to the same view.
    page.get_by_test_id("stSidebar").get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Runs so far")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Compare").click()
    expect(page.get_by_text(re.compile("Dropout 0.5 .* over 3 seeds"))).to_be_visible()
    expect(page.get_by_role("button", name="Train all", exact=True)).to_have_count(0)
    assert json.loads(query(page)["study"]) == json.loads(STUDY.to_short_json())
    expect(page.get_by_role("cell", name="Dropout 0.5", exact=True)).to_have_count(2)  # the figures; the differences
    lines = Path(downloaded(page, "Table (CSV)").path()).read_text().splitlines()
    assert lines[0].startswith("run_id,model,seed,dropout,test_loss") and len(lines) == 7
    definition = Path(downloaded(page, "Definition (JSON)").path())
    assert Study.from_json(definition.read_bytes()) == STUDY
    # The definition, loaded where another study is shown.
    page.goto(f"{server.url}/Compare")
    expect(page.get_by_text("5 networks × 3 seeds")).to_be_visible()
    page.get_by_text("Load a study").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "study.json", "mimeType": "application/json", "buffer": definition.read_bytes()}
    )
    expect(page.get_by_text(re.compile("Dropout 0.5 .* over 3 seeds"))).to_be_visible()


def test_a_race_is_watched_side_by_side(page: Page, server: Server) -> None:
    lanes = [{"units": "64", "epochs": "30"}, {"units": "64", "epochs": "30", "dropout": "0.3"}]
    page.goto(f"{server.url}/Compare?race={quote(json.dumps(lanes))}")
    press(page, "Start the race")
    epochs = page.get_by_text(re.compile(r"^[1-9]\d* of 30$"))
    expect(epochs).to_have_count(2)
    press(page, "Stop")
    expect(page.get_by_role("button", name="Race again", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Training curves")).to_be_visible()
