"""The command line's contract: JSON fields, exit codes, one line for what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from fmnist_core import __version__
from fmnist_core.cli import commands, train_commands
from fmnist_core.cli.interrupts import INTERRUPTED
from fmnist_core.data import dataset
from fmnist_core.experiment.hyperparameters import FIELDS, Experiment
from fmnist_core.experiment.presets import PRESETS
from fmnist_core.store.run_store import RunStore
from tests.support.engine_waits import until


def lab(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fmnist_core", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | env, timeout=240)


def test_train_prints_one_json_object_and_stores_the_run(tmp_path: Path) -> None:
    flags = [
        "--preset",
        "dropout",
        "--units",
        "16",
        "--epochs",
        "2",
        "--batch-size",
        "500",
        "--data",
        "sample",
        "--json",
        "-",
    ]
    done = lab("train", *flags, FMNIST_RUNS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {
        "digest", "experiment", "test_loss", "test_accuracy", "seconds", "history", "versions", "data",
    }  # fmt: skip
    expected = Experiment(dropout=0.3, units=16, epochs=2, batch_size=500)
    assert result["digest"] == expected.digest and result["experiment"] == expected.canonical()
    assert [row["epoch"] for row in result["history"]] == [1, 2]
    assert set(result["history"][0]) == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
    (run,) = RunStore(tmp_path, 10**9).runs()
    assert run.metrics["test_accuracy"] == result["test_accuracy"]
    assert (run.path / "model.keras").is_file() and list((run.path / "tensorboard").iterdir())
    again = lab("train", *flags, FMNIST_RUNS=str(tmp_path), FMNIST_COMPUTE_BUDGET="1")  # nothing is to be computed
    assert again.returncode == 0 and json.loads(again.stdout) == result
    assert again.stderr == f"Run {run.run_id} is stored already; --again trains it anew.\n"
    anew = lab("train", *flags, "--again", FMNIST_RUNS=str(tmp_path), FMNIST_COMPUTE_BUDGET="1")
    assert anew.returncode == 2 and "FMNIST_COMPUTE_BUDGET" in anew.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--dropout", "1.5"], ["dropout", "1.5", "from 0 to 0.9"]),
        (["--units", "many"], ["units", "'many'", "8 to 2048"]),
        (["--activation", "step"], ["activation", "'step'", "relu"]),
        (["--preset", "best"], ["preset", "'best'", "base"]),
        (["--nonsense", "1"], ["--nonsense"]),
        (["--data", "mine"], ["mine", "full"]),
    ],
)
def test_a_bad_value_is_one_line_and_exit_2(flags: list[str], words: list[str]) -> None:
    done = lab("train", *flags)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in words)


def test_damaged_data_is_one_line_with_the_file_and_exit_3(tmp_path: Path) -> None:
    for name in dataset.FILES.values():
        (tmp_path / f"{name}.gz").write_bytes(b"\x1f\x8b not really")
    done = lab("train", FMNIST_DATA=str(tmp_path))
    assert done.returncode == 3 and done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(tmp_path / "train-images-idx3-ubyte") in done.stderr


def test_a_run_store_that_cannot_be_written_is_a_bad_value(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = lab("train", "--epochs", "1", "--data", "sample", FMNIST_RUNS=str(tmp_path / "file" / "runs"))
    assert done.returncode == 2 and "FMNIST_RUNS" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_training_over_the_budget_is_refused_with_its_cost() -> None:
    done = lab("train", "--layers", "20", "--units", "2048", "--epochs", "200")
    assert done.returncode == 2 and "FMNIST_COMPUTE_BUDGET" in done.stderr


@pytest.mark.engine
def test_ctrl_c_ends_a_study_at_once(tmp_path: Path) -> None:
    flags = ["--units", "16", "--epochs", "200", "--seeds", "30", "--data", "sample"]
    command = [sys.executable, "-m", "fmnist_core", "study", *flags]
    environment = os.environ | {"FMNIST_RUNS": str(tmp_path), "FMNIST_RUNS_BUDGET": "20 GB"}
    # In the background of a shell, programs are told to ignore Ctrl-C.
    hear = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=hear) as process:
        try:
            snapshots = ".staging/*/snapshots/*.npz"
            until(lambda: process.poll() is not None or any(tmp_path.glob(snapshots)), "the first training")
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == INTERRUPTED
            assert process.stderr and process.stderr.read().endswith("Stopped.\n")
        finally:
            process.kill()
    assert RunStore(tmp_path, 10**9).runs() == [] and not list(tmp_path.glob(".staging/*"))


def test_presets_lists_every_name() -> None:
    done = lab("presets")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(PRESETS)


def test_embed_maps_a_layer_of_a_stored_run(tmp_path: Path) -> None:
    flags = ["--units", "16", "--epochs", "2", "--batch-size", "500", "--data", "sample", "--json", "-"]
    digest = json.loads(lab("train", *flags, FMNIST_RUNS=str(tmp_path)).stdout)["digest"]
    asked = ["--run", digest, "--layer", "hidden_1", "--epoch", "1", "--method", "tsne", "--points", "200"]
    done = lab("embed", *asked, "--perplexity", "10", "--json", "-", FMNIST_RUNS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    measures = {"points", "seconds", "kl_divergence", "trustworthiness", "knn_accuracy"}
    assert set(result) == measures | {"program", "iterations", "versions"}
    assert "own t-SNE" in result["program"] and set(result["versions"]) == {"fmnist_core", "openTSNE"}
    assert result["points"] == 200 and result["kl_divergence"] > 0 and 0.5 < result["trustworthiness"] <= 1
    assert all(0 < result["knn_accuracy"][where] <= 1 for where in ("layer", "map"))
    flat = lab("embed", "--run", digest, "--method", "pca", "--json", "-", FMNIST_RUNS=str(tmp_path))
    assert json.loads(flat.stdout)["kl_divergence"] is None  # only t-SNE has one
    for changed, words in (
        (["--layer", "hidden_9"], ["hidden_9", "pixels, hidden_1, hidden_2, output"]),
        (["--epoch", "7"], ["epoch is 7", "0, 1, 2"]),
        (["--points", "ten"], ["points is 'ten'", "a whole number"]),
        (["--run", "0" * 16], ["0" * 16, "train it first"]),
        (["--perplexity", "100"], ["perplexity is 100", "at most 66"]),
    ):
        wrong = lab("embed", *asked, *changed, FMNIST_RUNS=str(tmp_path))
        assert wrong.returncode == 2 and wrong.stdout == ""
        assert all(word in wrong.stderr for word in words), wrong.stderr
        assert len(wrong.stderr.strip().splitlines()) == 1


@pytest.mark.engine
def test_doctor_trains_and_stores_and_says_all_is_well(tmp_path: Path) -> None:
    # As another project may have left it: a worker must train all the same.
    done = lab("doctor", FMNIST_RUNS=str(tmp_path), KERAS_BACKEND="torch", TF_CPP_MIN_LOG_LEVEL="3")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "trained on its CPU and wrote to the store" in done.stdout
    assert not [path for path in tmp_path.rglob("*") if path.name not in (".lock", ".staging")]
    for word in (
        "tensorflow 2",
        "Data: ",
        "training and",
        "Engine: ",
        "UMAP maps: drawn by Fashion-MNIST Lab's own UMAP",
    ):
        assert word in done.stdout


def test_every_hyperparameter_is_a_flag() -> None:
    every = Experiment(layers=1, dropout=0.1, batch_norm=True, staircase=True, widths=(8, 9), seed=7)
    flags = [part for name, text in every.query().items() for part in (f"--{name.replace('_', '-')}", text)]
    chosen = commands.parser().parse_args(["train", *flags])
    assert train_commands.experiment_of(chosen) == every
    assert all(hasattr(chosen, name) for name in FIELDS)


@pytest.mark.parametrize("arguments", [["--version"], *([name, "--version"] for name in commands.COMMANDS)])
def test_every_command_tells_the_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        commands.main(arguments)
    assert end.value.code == 0 and capsys.readouterr().out == f"Fashion-MNIST Lab {__version__}\n"


def test_an_alias_is_the_same_command() -> None:
    init, initialisers = (commands.parser().parse_args([name]) for name in ("init", "initialisers"))
    assert init.run_command is initialisers.run_command


def test_batches_of_one_with_batch_normalisation_are_named_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")  # in the place of the run store: the command ends before it trains
    flags = ("--batch-norm", "true", "--batch-size", "49", "--training-fraction", "0.01", "--data", "sample")
    done = lab("train", *flags, FMNIST_RUNS=str(tmp_path / "file" / "runs"))
    assert "With 50 training images, the last batch of 49 has one image only" in done.stderr
    assert "Choose --batch-size 32." in done.stderr
