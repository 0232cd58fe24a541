"""The end of `ma2ml train`: the winner, what is known of it, and a limit of time for all of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import ma2ml_env
from ma2ml_agents.commands import main
from ma2ml_agents.commands.finale import final_training
from ma2ml_agents.commands.finale.finale_options import duration_seconds
from ma2ml_agents.commands.finale.resumed import resumed_in_words, trials_of_run
from ma2ml_agents.commands.finale.time_split import MARGIN, Length, TimeSplit
from ma2ml_agents.runs import progress
from ma2ml_agents.runs.environment import env_of_run
from ma2ml_agents.search.finalists import FinalistPlan, finalist_seed
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace, Trial
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluator import Shortenable
from ma2ml_env.evaluators.train import TrainEvaluator
from ma2ml_env.trials import TrialStore

SURROGATE = ["train", "--env", "ma2ml/digits-surrogate-v0", "--algo", "ma2ml"]
SMALL = ["train", "--algo", "random_search", "--executor", "inline", "--set", "epochs=1", "retrain_epochs=2"]
SMALL += ["filters=2"]


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_the_winner_is_the_best_finalist_and_its_accuracy_is_that_of_other_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SURROGATE, "--budget", "40", "--finalists", "3", "--out", str(tmp_path)]) == 0
    result, env = result_of(tmp_path), ma2ml_env.make("ma2ml/digits-surrogate-v0")
    trials = TrialStore(tmp_path / "trials.db").load(env.decode)
    assert result["trials"] == len(trials) == 34
    means = {}
    for finalist in result["finalists"]:
        pipeline = trials[finalist["trial"]].pipeline
        again = [env.evaluate(pipeline, seed=finalist_seed(0, repeat)).accuracy for repeat in range(2)]
        assert finalist["accuracies"] == again
        means[finalist["trial"]] = np.mean(again)
    assert result["trial"] == max(means, key=lambda number: means[number])
    assert result["accuracy"] == trials[result["trial"]].result.accuracy
    assert result["interval"][0] <= result["expected_accuracy"] <= result["interval"][1]
    assert result["recommended"]["trial"] in range(34)
    said = capsys.readouterr().out
    assert "34 pipelines and 3 finalists of 2 evaluations each" in said
    assert f"winner: pipeline {result['trial']}, " in said
    assert "by 2 evaluations under other seeds" in said
    assert "expected to be best by the learner's critic" in said


def test_without_finalists_the_highest_observed_reward_wins_and_its_expectation_is_not_known(tmp_path: Path) -> None:
    assert main([*SURROGATE, "--budget", "40", "--finalists", "0", "--out", str(tmp_path)]) == 0
    result, env = result_of(tmp_path), ma2ml_env.make("ma2ml/digits-surrogate-v0")
    trials = TrialStore(tmp_path / "trials.db").load(env.decode)
    assert len(trials) == 40
    assert result["reward"] == max(trial.reward for trial in trials)
    assert (result["expected_accuracy"], result["interval"], result["finalists"]) == (None, None, [])


def test_finalists_and_budget_may_grow_when_a_run_is_resumed(tmp_path: Path) -> None:
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    for extent in (["--budget", "30", "--finalists", "2"], ["--budget", "50", "--finalists", "4"]):
        assert main([*SURROGATE, *extent, "--out", str(grown)]) == 0
    assert main([*SURROGATE, "--budget", "50", "--finalists", "4", "--out", str(whole)]) == 0
    assert result_of(grown) == result_of(whole)


def test_the_final_training_leaves_a_curve_and_no_checkpoint_and_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*SMALL, "--budget", "2", "--out", str(tmp_path)]
    assert main(command) == 0
    assert (tmp_path / "curve.csv").read_text().startswith("epoch,loss,training_accuracy\n1,")
    assert (tmp_path / "curve.png").exists()
    assert not (tmp_path / "checkpoint" / final_training.FINAL_CHECKPOINT).exists()
    first = result_of(tmp_path)
    assert first["epochs"] == 2
    assert "final training: 2/2 epochs, loss" in capsys.readouterr().out
    monkeypatch.setattr(TrainEvaluator, "retrain_observed", None)
    assert main(command) == 0
    assert result_of(tmp_path) == first
    said = capsys.readouterr().out
    assert "resumed: 2 of 2 pipelines and a trained model are there" in said
    assert f"the model of pipeline {first['trial']} is there already, and is kept" in said


def test_a_final_training_that_was_interrupted_goes_on_with_its_epochs_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*SMALL, "--budget", "2", "--out", str(tmp_path)]
    assert main(command) == 0
    env = env_of_run(tmp_path)
    trials = trials_of_run(env, tmp_path)
    winner = trials[result_of(tmp_path)["trial"]]
    file = tmp_path / "checkpoint" / final_training.FINAL_CHECKPOINT
    state = {"identity": {"pipeline": winner.pipeline.key, "epochs": 2}, "state": {"epoch": 1}}
    torch.save(state, file)
    assert resumed_in_words(trials, [], 3, tmp_path) == (
        "resumed: 2 of 3 pipelines, 1 of 2 epochs of a final training and a trained model are there"
    )
    split = TimeSplit(1000.0, env, FinalistPlan(0, 1), workers=1)
    final = final_training.FinalTraining(env, winner, trials, 0, tmp_path, split, Console())
    capsys.readouterr()
    for epochs, said in ((2, "the final training goes on from its checkpoint of 1 of 2 epochs"), (1, "begins anew")):
        final._say_begun(Length(epochs))
        assert said in capsys.readouterr().out
    torch.save(state | {"identity": {"pipeline": "another", "epochs": 2}}, file)
    final_training.FinalTraining(env, winner, trials, 0, tmp_path, split, Console())._say_begun(Length(2))
    assert "is of another pipeline, so the final training begins anew" in capsys.readouterr().out


def test_a_run_away_from_a_terminal_has_a_line_for_each_evaluation_and_no_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LONG", 0.0)
    assert main([*SMALL, "--budget", "3", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert [number for number in range(3) if f"pipeline {number} ({number + 1}/3): accuracy " in said] == [0, 1, 2]
    assert "(chance " in said
    assert not set(said) & set("\x1b\r\b")


def test_a_final_training_shortened_by_a_time_limit_is_made_up_for_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*SMALL, "--budget", "1", "--out", str(tmp_path)]
    with monkeypatch.context() as late:
        late.setattr(TimeSplit, "final_length", lambda *_: Length(1))
        assert main([*command, "--time-limit", "1h"]) == 0
    said = capsys.readouterr().out
    assert "time limit 1:00:00: search" in said
    assert "the time limit leaves 1 of 2 epochs for the final training" in said
    assert result_of(tmp_path)["epochs"] == 1
    assert main(command) == 0
    assert result_of(tmp_path)["epochs"] == 2


@dataclass
class Slow:
    """An evaluator whose final training takes four evaluations; it is never called."""

    retrain_epochs: int = 8

    def __call__(self, pipeline, *, seed):
        raise AssertionError

    def retrain_length(self):
        return 4.0

    def retrain_observed(self, pipeline, *, seed, epochs=None, checkpoint=None, on_epoch=None):
        raise AssertionError


def slow_trials(*seconds: float) -> tuple[AutoMLEnv, list[Trial]]:
    env = AutoMLEnv(
        {"a": SearchSpace((Decision("x", tuple(range(10))),), dict)}, Slow(), lambda result: result.accuracy
    )
    trials = [
        Trial(number, 0, env.decode({"a": (number,)}), Result(0.9 - number / 10, 1, 1, taken), 0.9 - number / 10)
        for number, taken in enumerate(seconds)
    ]
    return env, trials


def test_the_time_for_finalists_and_final_training_is_kept_by_what_evaluations_took() -> None:
    env, trials = slow_trials(500.0, 900.0, 10.0, 30.0, 20.0)
    split = TimeSplit(1000.0, env, FinalistPlan(3, 2), workers=2, fixed_finalists=True)
    assert split.finalist_seconds(trials) == pytest.approx(MARGIN * 3 * 20), "the first of each worker is not usual"
    assert split.final_seconds(trials) == pytest.approx(MARGIN * 4 * 30)
    assert split.after_search(trials) == pytest.approx(MARGIN * (60 + 120))
    assert split.after_search([]) == 0
    assert split.finalists_deadline(trials) == pytest.approx(split.started + 1000 - MARGIN * 120)
    short = replace(split, limit=100.0)
    assert (short.finalist_seconds(trials), short.final_seconds(trials)) == pytest.approx((15, 40)), "shares"


def test_a_final_training_that_does_not_fit_has_fewer_epochs() -> None:
    env, trials = slow_trials(500.0, 10.0, 30.0)
    split = TimeSplit(1000.0, env, FinalistPlan(2, 2), workers=1)
    evaluator = env.evaluator
    assert split.final_length(evaluator, trials[1], trials) == Length(8)
    late = replace(split, limit=20.0)
    assert late.final_length(evaluator, trials[1], trials) == Length(math.floor(8 * late.left / 40 / MARGIN))
    slow = math.floor(8 * late.left / 120 / MARGIN)
    assert late.final_length(evaluator, trials[0], trials) == Length(slow), "its first evaluation was slow"
    assert replace(split, limit=0.001).final_length(evaluator, trials[0], trials) == Length(1)
    assert replace(split, limit=None).final_length(evaluator, trials[0], trials) == Length(8)


@dataclass
class InPart(Slow):
    """An evaluator whose final training may have a part of the images; it is never called."""

    least: float = 0.01

    def least_share(self):
        return self.least


def test_a_final_training_of_which_hardly_an_epoch_fits_has_fewer_images_but_as_many_as_a_search() -> None:
    for passes, length in (
        (math.inf, Length(8)),
        (100.0, Length(8)),
        (5.5, Length(5)),
        (3.0, Length(3)),
        (1.5, Length(3, 0.5)),
        (0.3, Length(3, 0.1)),
        (0.02, Length(2, 0.01)),
        (0.0, Length(1, 0.01)),
        (-5.0, Length(1, 0.01)),
    ):
        found = Length.fitting(InPart(), passes)
        assert found == (length.epochs, pytest.approx(length.share))
    assert Length.fitting(InPart(retrain_epochs=2), 1.0) == Length(2, 0.5), "no more epochs than there are"
    assert Length.fitting(InPart(least=1.0), 0.3) == Length.fitting(Slow(), 0.3) == Length(1)
    assert not isinstance(Slow(), Shortenable)
    assert isinstance(InPart(), Shortenable)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1 d", 86400),
        (".5m", 30),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-3m", "3x", "m", "3m4", "3 m 2 m", "nan", "inf", "1e3", "0", "0s"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(MA2MLError, match="time_limit must be"):
        duration_seconds(text)
