"""`ma2ml train --data`: own images, from the command line to the model, and again after an interruption."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from picture_files import write_pictures

import ma2ml_env
from ma2ml_agents.commands import main
from ma2ml_agents.runs.environment import env_of_run
from ma2ml_env.tasks import fashion_mnist, image_folder
from ma2ml_env.trials import TrialStore

QUICK = ("--algo", "random_search", "--executor", "inline", "--set", "epochs=1", "retrain_epochs=1")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MA2ML_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    image_folder._load.cache_clear()
    write_pictures(tmp_path / "pets", {"cat": 12, "dog": 12}, size=8)
    return tmp_path / "pets"


def train(*words: str) -> int:
    return main(["train", *words])


def test_a_folder_becomes_a_trained_model_and_the_run_knows_its_environment(place, tmp_path, capsys) -> None:
    assert train("--data", "pets", "--budget", "2", *QUICK) == 0
    said = capsys.readouterr().out
    for line in (
        f"images: 16 to train on, 4 to validate, 4 to test, from {place}",
        "classes: 2 (cat, dog)",
        "form: 8x8 pixels, in color",
        "metric: accuracy",
        "training: 1 epoch in the search, 1 at the end, on cpu",
    ):
        assert line in said
    run = tmp_path / "runs" / "pets-random_search-seed0"
    assert ma2ml_env.load_model(run / "model.safetensors").classes == ("cat", "dog")
    env = env_of_run(run)
    assert (env.name, env.evaluator.task.classes, env.evaluator.epochs) == ("images/pets-v0", ("cat", "dog"), 1)
    first = TrialStore(run / "trials.db", env.definition).load(env.decode)[0]
    assert first.pipeline.action == {agent: space.default for agent, space in env.search_spaces.items()}


def test_a_run_is_resumed_with_what_was_chosen_and_only_the_rest_is_evaluated(place, tmp_path, capsys) -> None:
    run = tmp_path / "runs" / "pets-random_search-seed0"

    def rows() -> list[tuple[object, ...]]:
        with sqlite3.connect(run / "trials.db") as connection:
            return connection.execute("SELECT number, action, accuracy, finished FROM trials").fetchall()

    assert train("--data", "pets", "--budget", "2", *QUICK) == 0
    before, config = rows(), json.loads((run / "config.json").read_text())["run"]
    (tmp_path / "cache" / "decoded").rename(tmp_path / "cache" / "away")
    image_folder._load.cache_clear()
    assert train("--data", str(place), "--strict", "--budget", "3", *QUICK) == 0
    assert rows()[:2] == before
    assert len(rows()) == 3
    assert json.loads((run / "config.json").read_text())["run"] == config
    capsys.readouterr()
    assert train("--data", "pets", "--seconds-per-pipeline", "5", "--budget", "3", *QUICK) == 2
    assert "seconds_per_pipeline is 20.0 there, 5.0 here" in capsys.readouterr().err
    assert train("--data", "pets", "--image-size", "9", "--budget", "3", *QUICK) == 2
    assert "image_size is 8 there, 9 here" in capsys.readouterr().err


def test_a_changed_folder_is_refused_in_one_line(place, capsys) -> None:
    assert train("--data", "pets", "--budget", "1", *QUICK) == 0
    (place / "cat" / "0_000.png").unlink()
    capsys.readouterr()
    assert train("--data", "pets", "--budget", "2", *QUICK) == 2
    said = capsys.readouterr()
    assert said.err == (
        f"ma2ml train: the pictures in {place} have changed: there are 23 now, of other names, sizes or content than "
        "those that this task was made of; restore them, or choose another --out than runs/pets-random_search-seed0\n"
    )
    assert "Traceback" not in said.out


def test_a_corrupt_picture_is_named_and_left_out_or_refused(place, capsys) -> None:
    (place / "cat" / "0_005.png").write_bytes((place / "cat" / "0_005.png").read_bytes()[:40])
    assert train("--data", "pets", "--strict", "--budget", "1", *QUICK) == 2
    assert capsys.readouterr().err.startswith("ma2ml train: 1 picture cannot be read: ")
    assert not Path("runs").exists()
    assert train("--data", "pets", "--budget", "1", *QUICK) == 0
    assert f"left out: 1 picture cannot be read: {place / 'cat' / '0_005.png'}" in capsys.readouterr().out


def test_options_that_exclude_each_other_are_refused(place, capsys) -> None:
    for words, message in (
        (("--data", "pets", "--env", "ma2ml/synthetic-v0"), "--data and --env exclude each other"),
        (("--strict",), "--strict requires --data"),
        (("--data", "pets", "--download"), "--data and --download exclude each other"),
        (("--env", "ma2ml/digits-v0", "--download"), "the images of ma2ml/digits-v0 cannot be downloaded here"),
        (("--seconds-per-pipeline", "3"), "--seconds-per-pipeline requires --data"),
        (("--data", "pets", "--seconds-per-pipeline", "0"), "seconds_per_pipeline must be in"),
        (("--data", "pets", "--set", "epoch=3"), "has no setting 'epoch'; did you mean 'epochs'?"),
        (("--data", "none"), "there is no folder"),
    ):
        assert train(*words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not Path("runs").exists()


def test_a_folder_of_another_run_is_refused(place, capsys) -> None:
    assert train("--env", "ma2ml/synthetic-v0", "--algo", "random_search", "--budget", "1", "--out", "run") == 0
    assert train("--data", "pets", "--out", "run", *QUICK) == 2
    assert "run contains another run, of ma2ml/synthetic-v0; choose another --out" in capsys.readouterr().err


def test_missing_images_are_downloaded_before_the_search(place, monkeypatch, capsys) -> None:
    asked = []
    monkeypatch.setattr(fashion_mnist, "downloaded_fashion_mnist", asked.append)
    assert train("--env", "ma2ml/fashion-mnist-v0", "--download", *QUICK) == 2
    assert asked == [place.parent / "cache"]
    assert "Fashion-MNIST is not complete" in capsys.readouterr().err
    assert not Path("runs").exists()
