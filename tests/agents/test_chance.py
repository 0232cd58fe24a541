"""Accuracy of guessing: its level, its error, and what is said of pipelines that are no better."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from picture_files import write_pictures
from scipy.stats import binom
from test_outcome import slow_trials

import ma2ml_env
from ma2ml_agents.commands.finale.outcome import winner_in_words
from ma2ml_agents.learner import agent_specs
from ma2ml_agents.learners import make_learner
from ma2ml_agents.search import SearchPlan
from ma2ml_agents.search.chance import ChanceLevel, chance_level
from ma2ml_agents.search.outcome import FinishedSearch
from ma2ml_env.tasks import image_folder


def test_chance_is_the_share_of_the_largest_class_or_of_one_class_where_accuracy_is_balanced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MA2ML_DATA", str(tmp_path / "cache"))
    image_folder._load.cache_clear()
    write_pictures(tmp_path / "rare", {"a": 40, "b": 20, "c": 20}, size=8)
    plain = chance_level(ma2ml_env.make_from_images(tmp_path / "rare", epochs=1, metric="accuracy").evaluator)
    balanced = chance_level(ma2ml_env.make_from_images(tmp_path / "rare", epochs=1).evaluator)
    assert (plain.accuracy, plain.deviation) == pytest.approx((8 / 16, math.sqrt(0.5 * 0.5 / 16)))
    third = 1 / 3 * 2 / 3  # variance of one guess; the mean of three independent shares of 8, 4 and 4 images
    expected = (1 / 3, math.sqrt(third * (1 / 8 + 1 / 4 + 1 / 4)) / 3)
    assert (balanced.accuracy, balanced.deviation) == pytest.approx(expected)
    assert (str(plain), str(balanced)) == ("chance 50%", "chance 33.3%")


def test_an_environment_that_trains_no_classifier_has_no_chance_level() -> None:
    assert chance_level(ma2ml_env.make("ma2ml/synthetic-v0").evaluator) is None


def test_the_best_of_several_guesses_is_expected_to_be_higher() -> None:
    chance = ChanceLevel(0.1, 400)
    exact = binom.isf(0.05, 400, 0.1) / 400
    assert chance.explains(exact - 0.002)
    assert not chance.explains(exact + 0.005)
    assert chance.explains(exact + 0.005, compared=20)
    assert not chance.explains(0.2, compared=1000)


def finished(*rewards: float) -> FinishedSearch:
    env, trials = slow_trials(*([1.0] * len(rewards)))
    learner = make_learner("random_search", agent_specs(env), seed=0)
    pairs = zip(trials, rewards, strict=True)
    rewarded = [replace(t, result=replace(t.result, accuracy=reward), reward=reward) for t, reward in pairs]
    return FinishedSearch(SearchPlan(env, learner, 10), rewarded)


def test_a_winner_is_named_with_the_chance_level_beside_its_accuracy() -> None:
    search = finished(0.3, 0.5)
    said = winner_in_words(search, search.trials[1], ChanceLevel(0.1, 900))
    assert said.startswith("winner: pipeline 1, reward 0.5000, accuracy 50.00% (chance 10%)")


def test_a_pipeline_that_is_no_better_than_guessing_is_no_winner() -> None:
    search = finished(0.11, 0.12)
    said = winner_in_words(search, search.trials[1], ChanceLevel(0.1, 400))
    assert "winner" not in said
    assert said.startswith("best so far: pipeline 1, ")
    assert "this is no better than guessing (chance 10%)" in said
    assert "--seconds-per-pipeline" in said


def test_a_single_pipeline_is_no_winner() -> None:
    search = finished(0.9)
    said = winner_in_words(search, search.trials[0], ChanceLevel(0.1, 400))
    assert "winner" not in said
    assert "only one pipeline was evaluated, so it was compared with none: allow more time" in said


def test_a_single_success_among_failures_is_no_winner_and_not_said_to_be_all_that_was_evaluated() -> None:
    search = finished(0.9, 0.0, 0.0)
    failed = [replace(trial, result=replace(trial.result, error="it broke")) for trial in search.trials[1:]]
    said = winner_in_words(replace(search, trials=[search.trials[0], *failed]), search.trials[0])
    assert "only one pipeline succeeded, so it was compared with none" in said
