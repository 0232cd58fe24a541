"""The native form of the environment, and how it is assembled."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

import ma2ml_env
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.reward import accuracy, flops_constrained

INSTANT = "ma2ml/synthetic-v0"


def small(evaluator=lambda pipeline, *, seed: Result(0.5, 3, 2, 0.1)) -> AutoMLEnv:
    spaces = {
        "a": SearchSpace((Decision("x", (10, 20)),), dict),
        "b": SearchSpace((Decision("y", ("p", "q", "r")), Decision("z", (0.1, 0.2))), dict),
    }
    return AutoMLEnv(spaces, evaluator, accuracy)


def test_pettingzoos_own_tests_pass() -> None:
    parallel_api_test(ma2ml_env.make(INSTANT), num_cycles=20)
    parallel_seed_test(lambda: ma2ml_env.make(INSTANT))


def test_pettingzoos_own_tests_pass_where_networks_are_trained() -> None:
    parallel_api_test(ma2ml_env.make("ma2ml/digits-v0", epochs=1), num_cycles=1)
    parallel_seed_test(lambda: ma2ml_env.make("ma2ml/digits-v0", epochs=1))


def test_one_pipeline_is_one_episode_with_one_shared_reward() -> None:
    env = small()
    observations, infos = env.reset(seed=3)
    assert list(observations) == env.agents == ["a", "b"]
    assert all(env.observation_space(agent).contains(observations[agent]) for agent in env.agents)
    assert env.state_space.contains(env.state())
    _, rewards, terminations, truncations, infos_after = env.step({"a": 1, "b": [2, 0]})
    assert rewards == {"a": 0.5, "b": 0.5}
    assert all(terminations.values())
    assert not any(truncations.values())
    assert env.agents == []
    assert set(infos["a"]) == set(infos_after["a"]) == {"accuracy", "flops", "params", "failed"}
    assert all(isinstance(value, float) for value in infos_after["b"].values())
    assert env.last_trial.pipeline["b"] == {"y": "r", "z": 0.1}
    with pytest.raises(RuntimeError, match="reset"):
        env.step({"a": 0, "b": [0, 0]})


@pytest.mark.parametrize("one", [1, np.int8(1), np.array(1), np.array([1], dtype=np.uint16), [1], (1,)])
def test_any_integer_form_of_an_action_is_the_same_action(one: object) -> None:
    assert small().decode({"a": one, "b": [0, 1]}).action == {"a": (1,), "b": (0, 1)}


@pytest.mark.parametrize(
    ("actions", "says"),
    [
        ({"a": 0}, r"missing: \['b'\]"),
        ({"a": 0, "b": [0, 0], "c": 0}, r"unknown: \['c'\]"),
        ({"a": 2, "b": [0, 0]}, r"agent 'a', decision 'x': 2 is not in 0\.\.1"),
        ({"a": 0, "b": [0, -1]}, r"agent 'b', decision 'z': -1 is not in 0\.\.1"),
        ({"a": 0, "b": [0]}, r"agent 'b': an action has 2 whole numbers.*not 1"),
        ({"a": 0.0, "b": [0, 0]}, "agent 'a': an action is 1 whole numbers"),
        ({"a": "x", "b": [0, 0]}, "agent 'a'"),
        ({"a": [[0]], "b": [0, 0]}, "agent 'a'"),
        ([0, 0], "dict"),
    ],
)
def test_a_bad_action_is_refused_with_agent_decision_and_range(actions: object, says: str) -> None:
    env = small()
    env.reset()
    with pytest.raises(ValueError, match=says):
        env.step(actions)
    assert env.agents == ["a", "b"], "the episode goes on"


def test_the_seed_is_the_last_one_given_and_a_step_does_not_advance_it() -> None:
    seen: list[int] = []

    def evaluate(pipeline, *, seed):
        seen.append(seed)
        return Result(0.5, 0, 0, 0.0)

    env = small(evaluate)
    for seed in (None, 7, None):
        env.reset(seed=seed)
        env.step({"a": 0, "b": [0, 0]})
    env.evaluate(env.decode({"a": 0, "b": [0, 0]}), seed=9)
    assert seen == [0, 7, 7, 9]


@pytest.mark.parametrize("seed", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_a_seed_of_any_integer_type_is_an_int(seed) -> None:
    seen = []

    def evaluate(pipeline, *, seed):
        seen.append(seed)
        return Result(0.5, 0, 0, 0.0)

    env = small(evaluate)
    env.reset(seed=seed)
    env.step({"a": 0, "b": [0, 0]})
    env.evaluate(env.decode({"a": 0, "b": [0, 0]}), seed=seed)
    assert seen == [3, 3]
    assert {type(each) for each in (*seen, env.evaluation_seed, env.last_trial.seed)} == {int}


@pytest.mark.parametrize("seed", [-1, 2**63, np.int8(-1), 0.0, np.float64(1.0), "1", [1]])
def test_a_seed_that_cannot_be_stored_is_refused_in_one_line(seed) -> None:
    env = small()
    env.reset(seed=4)
    says = r"^a seed is a whole number from 0 to 2\*\*63 - 1, not "
    with pytest.raises(ValueError, match=says):
        env.reset(seed=seed)
    with pytest.raises(ValueError, match=says):
        env.evaluate(env.decode({"a": 0, "b": [0, 0]}), seed=seed)
    assert env.evaluation_seed == 4


def test_an_accuracy_that_is_no_number_is_a_failed_pipeline_with_reward_0() -> None:
    for broken in (math.nan, math.inf, 1.5, -0.1):
        env = small(lambda pipeline, *, seed, broken=broken: Result(broken, 5, 5, 0.0))
        env.reset()
        _, rewards, _, _, infos = env.step({"a": 0, "b": [0, 0]})
        assert rewards["a"] == 0.0
        assert infos["a"]["failed"] == 1.0
        assert infos["a"]["accuracy"] == 0.0
        assert str(broken) in env.last_trial.result.error


def test_an_error_of_the_evaluator_itself_is_not_hidden() -> None:
    def broken(pipeline, *, seed):
        raise KeyError("a bug")

    env = small(broken)
    env.reset()
    with pytest.raises(KeyError, match="a bug"):
        env.step({"a": 0, "b": [0, 0]})


def test_the_env_survives_pickling_before_and_after_reset() -> None:
    env = ma2ml_env.make(INSTANT)
    for _ in range(2):
        copy = pickle.loads(pickle.dumps(env))
        actions = {agent: space.sample() for agent, space in env.action_spaces.items()}
        assert copy.evaluate(copy.decode(actions)).accuracy == env.evaluate(env.decode(actions)).accuracy
        env.reset(seed=1)


def test_spaces_are_the_same_objects_and_their_dicts_fresh() -> None:
    env = small()
    assert env.action_space("b") is env.action_space("b")
    assert env.observation_space("b") is env.observation_space("b")
    env.action_spaces.clear()
    assert set(env.action_spaces) == {"a", "b"}


def test_render_says_the_last_pipeline_in_words_and_that_there_is_none_before() -> None:
    env = ma2ml_env.make(INSTANT, render_mode="ansi")
    assert "no pipeline" in env.render()
    env.reset()
    env.step({agent: space.sample() for agent, space in env.action_spaces.items()})
    assert "reward" in env.render()
    assert all(agent in env.render() for agent in env.possible_agents)
    with pytest.raises(ValueError, match="render_mode"):
        ma2ml_env.make(INSTANT, render_mode="human")


def test_there_is_an_expected_result_only_where_one_is_known() -> None:
    env = ma2ml_env.make(INSTANT)
    assert env.expected(env.decode(env.evaluator.optimum)).accuracy == 1.0
    with pytest.raises(ValueError, match="no noise-free result"):
        small().expected(small().decode({"a": 0, "b": [0, 0]}))


def test_the_flops_reward_is_its_formula() -> None:
    for flops in (50.0, 100.0, 400.0):
        result = Result(0.8, flops, 0, 0.0)
        assert flops_constrained(result, constraint=100, exponent=-0.5) == pytest.approx(0.8 * (flops / 100) ** -0.5)
        one_sided = flops_constrained(result, constraint=100, exponent=-0.5, one_sided=True)
        assert one_sided == pytest.approx(0.8 * max(1.0, flops / 100) ** -0.5)
    assert (
        flops_constrained(Result(0.0, 0, 0, 0.0, error="x"), constraint=100) == accuracy(Result(0, 0, 0, 0, "x")) == 0
    )
    for bad in ({"constraint": 0}, {"constraint": 100, "exponent": 0.1}):
        with pytest.raises(ValueError, match="must be"):
            flops_constrained(Result(0.8, 1, 0, 0.0), **bad)


def test_most_random_architectures_exceed_the_constraint_of_digits_flops() -> None:
    env = ma2ml_env.make("ma2ml/digits-flops-v0")
    rng = np.random.default_rng(0)
    constraint = env.reward.constraint
    draws = ({agent: space.sample(rng) for agent, space in env.search_spaces.items()} for _ in range(300))
    assert np.median([env.evaluator.cost(env.decode(actions)).flops for actions in draws]) > constraint


def test_decisions_and_defaults_are_checked() -> None:
    with pytest.raises(ValueError, match="no choices"):
        Decision("x", ())
    with pytest.raises(ValueError, match=r"\['x'\]"):
        SearchSpace((Decision("x", (1,)), Decision("x", (2,))), dict)
    with pytest.raises(ValueError, match="at least one"):
        SearchSpace((), dict)
    space = SearchSpace((Decision("x", ("p", "q")),), dict, default=(1,))
    assert space.decode(space.default) == {"x": "q"}
    assert space.encode({"x": "q"}) == (1,)
    for wrong in ({"x": "r"}, {}, {"x": "p", "y": 1}):
        with pytest.raises(ValueError, match="decision"):
            space.encode(wrong)


def test_the_synthetic_optimum_is_the_best_of_all_actions() -> None:
    from itertools import product

    from ma2ml_env.evaluators.synthetic import SyntheticEvaluator

    for structure in range(5):
        evaluator = SyntheticEvaluator({"a": (2, 3), "b": (3, 2)}, structure, pairs_within=2, pairs_across=3)
        scores = {}
        for x in product(range(2), range(3), range(3), range(2)):
            pipeline = ma2ml_env.Pipeline({"a": x[:2], "b": x[2:]}, {})
            scores[x] = evaluator.expected(pipeline).accuracy
        best = max(scores, key=scores.get)
        assert (evaluator.optimum["a"], evaluator.optimum["b"]) == (best[:2], best[2:])
        assert scores[best] == 1.0
        assert sorted(scores.values())[-2] < 1.0
