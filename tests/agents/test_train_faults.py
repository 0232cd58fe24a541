"""`ma2ml train` when learners have bugs, outputs fail, pipelines cost too much, or models cannot be saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ma2ml_env
from ma2ml_agents.commands import main
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluators.synthetic import SyntheticEvaluator
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.training.classifier import Classifier

QUICK = ["train", "--env", "ma2ml/synthetic-v0", "--algo", "random_search", "--budget", "12"]
ONE_TRAINING = ["train", "--algo", "random_search", "--budget", "1", "--executor", "inline", "--set", "epochs=1"]
ONE_TRAINING += ["retrain_epochs=1", "filters=2"]
MINE = """
from ma2ml_agents.learners.random_search import RandomSearch
class Mine(RandomSearch): ...
class Broken(RandomSearch):
    def update(self, batch): return {}["no such key"] if len(batch) > 1 else int("no number")
"""
SAFE_PATH = [sys.executable, "-P", "-m", "ma2ml_agents.commands"]
"""As the console script runs: without the working directory on the path of imports."""


def test_the_working_directory_is_on_the_path_of_the_console_script(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    command = [*SAFE_PATH, *QUICK, "--algo", "mine:Mine", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["run"]["learner"] == "mine:Mine"


def test_a_bug_in_a_learner_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    with pytest.raises(ValueError, match="invalid literal for int"):
        main([*QUICK, "--algo", "mine:Broken", "--out", str(tmp_path / "run")])


def test_an_output_that_takes_nothing_does_not_end_a_search(tmp_path: Path) -> None:
    with Path(__file__).open() as readable:  # writing to it fails as on a full disk
        command = [*SAFE_PATH, *QUICK, "--out", str(tmp_path)]
        done = subprocess.run(command, stdout=readable, stderr=readable, check=False)
    assert done.returncode == 0
    assert (tmp_path / "result.json").exists()


def test_a_closed_pipe_does_not_end_a_search(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [*SAFE_PATH, *QUICK, "--out", str(tmp_path)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "result.json").exists()


def test_an_ascii_terminal_and_a_folder_with_an_umlaut_go_together(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [*SAFE_PATH, *QUICK, "--out", str(tmp_path / "Läufe")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "L\\xe4ufe" in done.stdout
    assert (tmp_path / "Läufe" / "result.json").exists()


def test_a_search_in_which_nothing_succeeded_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ma2ml_agents.building_blocks.feasibility.REDRAWS", 0)  # proposes what is too large, too
    name = "ma2ml/digits-surrogate-v0"
    env = ma2ml_env.make(name)
    rng = np.random.default_rng(0)
    drawn = [env.decode({a: s.sample(rng) for a, s in env.search_spaces.items()}) for _ in range(50)]
    tight = min(env.cost(pipeline).params for pipeline in drawn)
    tightened = ["--env", name, "--max-params", str(tight), "--budget", "2"]
    assert main([*QUICK, *tightened, "--out", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().out
    assert "2 too large" in said
    assert "no pipeline succeeded in 2 trials: 2 too large" in said


def test_a_final_training_that_was_finished_is_not_lost_with_a_model_that_cannot_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file

    def refuse(self: Classifier, path: Path) -> None:
        raise ValueError("the task has no name")

    monkeypatch.setattr(Classifier, "save", refuse)
    assert main([*ONE_TRAINING, "--out", str(tmp_path)]) == 0
    assert "the model cannot be saved whole (the task has no name); its weights are" in capsys.readouterr().out
    assert len(load_file(tmp_path / "weights.safetensors")) > 0
    assert "test_accuracy" in json.loads((tmp_path / "result.json").read_text())


def test_a_model_that_cannot_be_saved_is_refused_before_the_first_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: TrainEvaluator) -> None:
        raise MA2MLError("the network has no name")

    monkeypatch.setattr(TrainEvaluator, "check_savable", refuse)
    assert main([*ONE_TRAINING, "--out", str(tmp_path / "run")]) == 2
    assert "the network has no name" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_failures_that_are_all_the_same_stop_the_search_and_are_tried_again_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: SyntheticEvaluator, pipeline: ma2ml_env.Pipeline, *, seed: int) -> ma2ml_env.Result:
        raise KeyError("no such layer")

    command = [*QUICK, "--out", str(tmp_path)]
    whole = SyntheticEvaluator.__call__
    monkeypatch.setattr(SyntheticEvaluator, "__call__", broken)
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "no such layer" in said
    assert Path(__file__).name in said, "the traceback names the file"
    assert main([*command, "--ignore-failures"]) == 1
    monkeypatch.setattr(SyntheticEvaluator, "__call__", whole)
    capsys.readouterr()
    assert main([*command, "--retry-failed"]) == 0
    said = capsys.readouterr().out
    assert "12/12 pipelines" in said
    assert "resumed" not in said, "all are evaluated again"


def test_figures_that_cannot_be_written_do_not_cost_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ma2ml_agents.search.outcome.draw_figures", full)
    assert main([*ONE_TRAINING, "--out", str(tmp_path)]) == 0
    assert "the figures cannot be written" in capsys.readouterr().out
    assert (tmp_path / "model.safetensors").exists()


def test_evaluators_that_cannot_be_retrained_have_no_model(tmp_path: Path) -> None:
    assert not hasattr(ma2ml_env.make("ma2ml/synthetic-v0").evaluator, "retrain")
    assert hasattr(TrainEvaluator, "retrain")
    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    assert not (tmp_path / "model.safetensors").exists()
