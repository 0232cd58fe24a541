"""Numbers of results: Python floats, whatever they came as, and a failure where they are not finite."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ma2ml_env import AutoMLEnv, Decision, Pipeline, Result, SearchSpace, Trial
from ma2ml_env.reward import accuracy, flops_constrained
from ma2ml_env.trials import TrialStore, best

NUMBERS = ("accuracy", "flops", "params", "seconds")


@pytest.mark.parametrize(
    "of", [np.float32, np.float16, np.array, torch.tensor, lambda x: torch.tensor(x).half(), float]
)
def test_numbers_of_any_type_become_python_floats(of: Any) -> None:
    result = Result(of(0.5), of(8.0), of(4.0), of(0.25), curve=[of(0.125), of(0.5)])
    assert all(type(getattr(result, name)) is float for name in NUMBERS)
    assert [type(value) for value in result.curve] == [float, float]
    assert result == Result(0.5, 8.0, 4.0, 0.25, curve=(0.125, 0.5))
    assert json.dumps(result.curve) == "[0.125, 0.5]"
    assert pickle.loads(pickle.dumps(result)) == result


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_not_finite_makes_a_failed_result_that_names_it(name: str, number: float) -> None:
    result = Result(**{**dict.fromkeys(NUMBERS, 0.5), name: number})
    assert result.failed
    assert result.error is not None
    assert result.error.startswith(f"{name} is {number}, not a finite number")
    assert result.accuracy == 0.0
    assert all(math.isfinite(getattr(result, other)) for other in NUMBERS)


def test_a_cost_below_zero_is_a_failure_too() -> None:
    assert Result(0.5, -1, 1, 1).error == "flops is -1.0, not a finite number of at least 0"


def test_a_curve_ends_before_what_is_not_finite() -> None:
    result = Result(0.5, 1, 1, 1, curve=(0.1, math.nan, 0.5))
    assert (result.error, result.curve, result.accuracy) == (
        "accuracy is nan after epoch 2, not a finite number",
        (0.1,),
        0,
    )


def test_the_first_reason_of_a_failure_is_kept() -> None:
    assert Result(math.nan, math.nan, 1, 1, error="out of memory").error == "out of memory"


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_reward_that_is_not_finite_is_never_the_best(reward: float) -> None:
    pipeline = Pipeline({"a": (0,)}, {})
    trials = [Trial(n, 0, pipeline, Result(0.5, 1, 1, 1), r) for n, r in enumerate((reward, 0.1))]
    assert trials[0].result.error == f"the reward is {float(reward)}, not a finite number"
    assert (trials[0].reward, trials[0].state, type(trials[0].reward)) == (0.0, "failed", float)
    assert best(trials) is trials[1]


def environment(evaluator: Any, reward: Any, **options: Any) -> AutoMLEnv:
    return AutoMLEnv({"a": SearchSpace((Decision("x", (0, 1, 2)),), dict)}, evaluator, reward, **options)


@pytest.mark.parametrize("name", [*NUMBERS, "reward"])
def test_a_step_pays_nothing_for_nan_and_logs_why(name: str, tmp_path: Path) -> None:
    numbers = {**dict.fromkeys(NUMBERS, np.float32(0.5)), **({name: math.nan} if name in NUMBERS else {})}
    store = TrialStore(tmp_path / "trials.db")
    reward = accuracy if name in NUMBERS else lambda result: math.nan
    env = environment(lambda pipeline, *, seed: Result(**numbers), reward, record=store.append)
    for number in range(2):
        env.reset()
        _, rewards, _, _, infos = env.step({"a": [number]})
        assert rewards == {"a": 0.0}
        assert infos["a"]["failed"] == 1.0
    assert all(f"{name} is nan" in str(row["error"]) for row in store.rows())
    assert [row["state"] for row in store.rows()] == ["failed", "failed"]


def test_a_single_precision_result_is_paid_as_its_stored_numbers_are(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials.db")
    env = environment(
        lambda pipeline, *, seed: Result(np.float32(0.7), np.float32(1.1e6), np.float32(3.3), np.float32(0.1)),
        lambda result: flops_constrained(result, constraint=1e6),
        record=store.append,
    )
    env.reset()
    env.step({"a": [0]})
    (stored,) = store.load(env.decode)
    assert stored == Trial(0, 0, env.last_trial.pipeline, env.last_trial.result, env.reward(stored.result))


def test_an_infeasible_pipeline_is_called_too_large_and_a_game_without_a_network_names_no_cost() -> None:
    large = Result(0.0, 9e6, 10, 0.0, error="infeasible: 9.0 M multiply-accumulates, at most 1", infeasible=True)
    pipeline = Pipeline({"a": (0,)}, {})
    assert "too large, not evaluated: 9.0 M" in str(Trial(0, 0, pipeline, large, 0.0))
    assert str(Trial(0, 0, pipeline, Result(0.5, 0, 0, 0), 0.5)) == "pipeline 0: reward 0.5000, accuracy 50.00%\n"
