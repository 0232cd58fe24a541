"""When a training is stopped early."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.executors import ProcessExecutor
from ma2ml_agents.search.pruner import QuantilePruner, make_pruner
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.reward import accuracy

CURVES = [(0.1, 0.5, 0.9), (0.3, 0.4, 0.8), (0.2, 0.9, 0.9), (0.6, 0.6, 0.7)]


@pytest.mark.parametrize("quantile", [0.25, 0.5, 0.9])
def test_a_threshold_is_the_quantile_of_the_epoch_and_the_last_epoch_has_none(quantile: float) -> None:
    found = QuantilePruner(quantile, warmup_trials=4).thresholds(CURVES)
    assert found == pytest.approx([np.quantile([curve[epoch] for curve in CURVES], quantile) for epoch in (0, 1)])


def test_nothing_is_stopped_before_the_warmup_or_between_the_epochs_that_are_looked_at() -> None:
    assert QuantilePruner(warmup_trials=5).thresholds(CURVES) == ()
    first, second = QuantilePruner(warmup_trials=1, epochs=(2,)).thresholds(CURVES)
    assert math.isnan(first)
    assert second == np.median([curve[1] for curve in CURVES])
    halving = make_pruner("halving")
    assert halving is not None
    long = [tuple(x / 10 for x in range(9))] * 20
    looked_at = [
        epoch for epoch, threshold in enumerate(halving.thresholds(long), start=1) if not math.isnan(threshold)
    ]
    assert looked_at == [1, 2, 4, 8]


@pytest.mark.parametrize("wrong", [{"quantile": 1.0}, {"quantile": math.nan}, {"warmup_trials": 0}, {"epochs": (0,)}])
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        QuantilePruner(**wrong)


def test_an_unknown_pruner_is_answered_with_the_nearest() -> None:
    assert make_pruner("none") is None
    with pytest.raises(ValueError, match="did you mean 'median'"):
        make_pruner("medium")


class Curved:
    """A closed form with a curve of four epochs that can be stopped."""

    def __call__(self, pipeline, *, seed, stop_below=()):
        rng = np.random.default_rng(pipeline.random_seed(seed))
        final = sum(pipeline["a"].values()) / 15
        curve: list[float] = []
        for epoch in range(1, 5):
            curve.append(max(0.0, final * epoch / 4 + 0.02 * rng.standard_normal()))
            if len(stop_below) >= epoch and curve[-1] < stop_below[epoch - 1]:
                break
        return Result(min(curve[-1], 1.0), 1, 1, 0.0, curve=tuple(curve), pruned=len(curve) < 4)


def game() -> AutoMLEnv:
    space = SearchSpace(tuple(Decision(f"x{i}", (0, 1, 2, 3)) for i in range(5)), dict)
    return AutoMLEnv({"a": space}, Curved(), accuracy)


@pytest.mark.parametrize("window", [1, 6])
def test_what_is_stopped_is_the_same_for_any_number_of_workers_and_after_a_resume(window: int, tmp_path) -> None:
    pruner = QuantilePruner(warmup_trials=5)

    def search(budget: int = 60, **options):
        env = game()
        learner = make_learner("regularized_evolution", agent_specs(env), seed=2)
        return run_search(env, learner, budget, window=window, pruner=pruner, **options)

    trials = search()
    assert {trial.state for trial in trials} == {"complete", "pruned"}
    executor = ProcessExecutor(game().evaluate, workers=3)
    assert search(executor=executor) == trials
    executor.shutdown()
    search(23, out=tmp_path)
    assert search(out=tmp_path) == trials
    for trial in trials:
        known = [t.result.curve for t in trials[: max(0, trial.number - window + 1)] if t.state == "complete"]
        first = next(t for t in trials if t.pipeline == trial.pipeline)
        if trial is first:
            thresholds = pruner.thresholds(known)
            below = [x < t for x, t in zip(trial.result.curve, thresholds, strict=False)]
            assert any(below) == (trial.state == "pruned")


def test_a_pruner_needs_an_evaluator_that_can_be_stopped() -> None:
    env = ma2ml_env.make("ma2ml/synthetic-v0")
    learner = make_learner("random_search", agent_specs(env), seed=0)
    with pytest.raises(ValueError, match="does not support 'stop_below'"):
        run_search(env, learner, 3, pruner=QuantilePruner())
