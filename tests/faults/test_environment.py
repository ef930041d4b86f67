"""What is wrong with the environment is one sentence, or has no effect: settings, and what other projects have set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from fmnist_core.cli import commands, doctor
from fmnist_core.cli.exit_codes import BAD_DATA, BAD_VALUE, FAILED
from fmnist_core.settings import GIB, SettingError, check_runs_folder, misspelt, settings
from fmnist_core.ui.shared.pages import Page
from tests.support.screens import ROOT, opened, plain

PAGES = ["app.py", *sorted(f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py"))]
# What is set, and what the sentence about it must hold.
WRONG = [
    ({"FMNIST_WORKERS": "many"}, ["FMNIST_WORKERS is 'many'", "from 1 to 256"]),
    ({"FMNIST_WORKERS": "0"}, ["FMNIST_WORKERS is '0'"]),
    ({"FMNIST_WORKERS": "1.5"}, ["a whole number"]),
    ({"FMNIST_WORKERS": "9" * 4500}, ["FMNIST_WORKERS is '999", "…"]),
    ({"FMNIST_RUNS_BUDGET": "much"}, ["a number of bytes", "20 GB"]),
    ({"FMNIST_RUNS_BUDGET": "5 parsecs"}, ["'5 parsecs'"]),
    ({"FMNIST_RUNS_BUDGET": "1e400 GB"}, ["'1e400 GB'"]),
    ({"FMNIST_WORKER_MEMORY": "2"}, ["FMNIST_WORKER_MEMORY", "at least 1,000,000,000"]),
    ({"FMNIST_COMPUTE_BUDGET": "nan"}, ["'nan'", "1e15"]),
    ({"FMNIST_COMPUTE_BUDGET": "inf"}, ["'inf'"]),
    ({"FMNIST_COMPUTE_BUDGET": "-1"}, ["'-1'"]),
    ({"FMNIST_GPU": "perhaps"}, ["0 or 1"]),
    ({"FMNIST_MIRROR": "mirror.example/data"}, ["https://"]),
    ({"FMNIST_RUNS": __file__}, ["that is a file", "name a folder"]),
    ({"FMNIST_CACHE": __file__}, ["that is a file", "name a folder"]),
    ({"FMNIST_DATA": "~nobody-has-this-name/data"}, ["home folder"]),
]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FMNIST_")]:
        monkeypatch.delenv(name)


def say(app: AppTest) -> list[str]:
    """All errors and warnings of a page."""
    return [plain(part.value) for part in (*app.error, *app.warning)]


# --- Settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("environment", "words"), WRONG)
def test_a_wrong_setting_is_one_sentence_and_exit_2(
    environment: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert commands.main(["presets"]) == BAD_VALUE
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and len(said.err) < 300
    assert all(word in said.err for word in [*environment, *words])


@pytest.mark.usefixtures("no_workers")
@pytest.mark.parametrize("page", PAGES)
def test_a_wrong_setting_is_one_sentence_on_every_page(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_WORKERS", "many")
    app = opened(page)
    assert len(say(app)) == 1 and "FMNIST_WORKERS is 'many'" in say(app)[0]
    assert len(app.get("page_link")) >= len(Page) or page == "app.py"


@pytest.mark.usefixtures("no_workers")
@pytest.mark.parametrize(("environment", "words"), WRONG[-6:])
def test_any_wrong_setting_is_one_sentence_on_a_page(
    environment: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    [sentence] = say(opened("pages/Data.py"))
    assert all(word in sentence for word in words)


@pytest.mark.usefixtures("no_workers")
def test_a_page_names_a_misspelt_setting_a_store_that_cannot_be_written_and_wrong_data_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMNIST_WORKER", "2")
    assert say(opened("pages/Train.py")) == ["There is no setting FMNIST_WORKER; FMNIST_WORKERS may be meant."]
    monkeypatch.delenv("FMNIST_WORKER")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "file" / "runs"))
    [sentence] = say(opened("pages/Data.py"))
    assert "No run can be stored in" in sentence and "FMNIST_RUNS" in sentence
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("FMNIST_DATA", str(tmp_path / "nowhere"))
    [sentence] = say(opened("pages/Data.py"))
    assert "nowhere" in sentence and "FMNIST_DATA" in sentence


def test_misspelt_settings_are_told_with_the_near_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FMNIST_WORKER", "FMINST_RUNS", "fmnist_data", "FMNIST_COLOUR"):
        monkeypatch.setenv(name, "1")
    assert misspelt() == (
        "There is no setting FMINST_RUNS; FMNIST_RUNS may be meant.",
        "There is no setting FMNIST_COLOUR; the README lists those that there are.",
        "There is no setting FMNIST_WORKER; FMNIST_WORKERS may be meant.",
        "There is no setting fmnist_data; FMNIST_DATA may be meant.",
    )


@pytest.mark.parametrize(
    ("text", "size"), [("20e9", 20 * 10**9), ("20 GB", 20 * 10**9), ("20gib", 20 * GIB), ("0.5T", 5 * 10**11)]
)
def test_bytes_are_written_with_or_without_a_unit(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_RUNS_BUDGET", text)
    assert settings().runs_budget == size


def test_every_setting_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"| `FMNIST_{name.upper()}` |" in readme for name in vars(settings()))


def test_without_a_home_two_folders_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)  # what it does for a user that the machine does not know
    for name in ("HOME", "XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FMNIST_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SettingError, match=r"no home folder; set FMNIST_RUNS"):
        settings()
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "runs"))
    check_runs_folder()
    from fmnist_core.data import dataset

    assert dataset.keras_folder() is None and len(dataset.load("sample").train_images) == 6000
    assert dataset.sources()[-1].name in ("full", "sample")


# --- doctor -----------------------------------------------------------------------------------------------------------


def test_doctor_tells_all_that_is_wrong_and_the_first_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(doctor.CHECKS, "Engine")  # it starts workers: the test of the command has it
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FMNIST_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "file" / "runs"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert commands.main(["doctor"]) == BAD_DATA
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in said] == ["Data", "Runs", "Temporary files"]
    for line, word in zip(said, ("FMNIST_DATA", "FMNIST_RUNS", "TMPDIR"), strict=True):
        assert word in line and line.endswith(".")
    monkeypatch.delenv("FMNIST_DATA")
    assert commands.main(["doctor"]) == BAD_VALUE
    monkeypatch.setenv("FMNIST_RUNS", str(tmp_path / "runs"))
    assert commands.main(["doctor"]) == FAILED
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert commands.main(["doctor"]) == 0


# --- What other projects have set -------------------------------------------------------------------------------------

FOREIGN = {
    "KERAS_BACKEND": "torch",
    "XLA_FLAGS": "--no_such_option",
    "TF_XLA_FLAGS": "--no_such_option",
    "KERAS_MAX_EPOCHS": "many",
    "TF_CPP_MIN_LOG_LEVEL": "1",
    "CUDA_VISIBLE_DEVICES": "0",
}
ASK = """
import json, os
from fmnist_core.data import dataset
from fmnist_core import learning
import keras
config = keras.config
print(json.dumps([config.backend(), config.floatx(), config.epsilon(), config.image_data_format(), learning.devices(),
                  os.environ["CUDA_VISIBLE_DEVICES"], str(dataset.keras_folder())]))
"""


def test_keras_trains_as_we_say_whatever_other_projects_have_set(tmp_path: Path) -> None:
    file = {"floatx": "int8", "epsilon": 1e-3, "backend": "jax", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(file))
    environment = os.environ | FOREIGN | {"KERAS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    folder = str(tmp_path / "datasets" / "fashion-mnist")
    assert json.loads(done.stdout) == ["tensorflow", "float32", 1e-7, "channels_last", ["CPU"], "-1", folder]
    assert json.loads((tmp_path / "keras.json").read_text()) == file


@pytest.mark.parametrize("gpu", [False, True])
def test_a_gpu_is_used_by_its_setting_alone(gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from fmnist_core import learning

    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    learning.prepare(gpu)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ("0" if gpu else "-1")
    assert ("XLA_FLAGS" in os.environ) == gpu  # who uses a GPU may need options of their own
    assert os.environ["KERAS_BACKEND"] == "tensorflow" and "KERAS_MAX_EPOCHS" not in os.environ
