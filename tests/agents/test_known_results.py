"""What a search never evaluates: pipelines that cost too much, and those that it or another search has evaluated."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.benchmark.measured import MeasuredLearner
from ma2ml_agents.executors import InlineExecutor
from ma2ml_agents.learner import Learner, UsesCost
from ma2ml_agents.search import CostBounds
from ma2ml_agents.search.results import PackedAction
from ma2ml_env import AutoMLEnv, Decision, Pipeline, Result, SearchSpace
from ma2ml_env.reward import accuracy
from ma2ml_env.types import Cost

SPACE = SearchSpace(tuple(Decision(name, (1, 2, 3, 4)) for name in ("width", "depth")), dict)


class Counting:
    """Costs width x depth; counts what it is asked for."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def cost(self, pipeline: Pipeline) -> Cost:
        chosen = pipeline["nas"]
        return Cost(flops=chosen["width"] * chosen["depth"], params=chosen["width"])

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        self.calls[pipeline.key] += 1
        cost = self.cost(pipeline)
        return Result(cost.flops / 16 + 0.001 * (seed % 7), cost.flops, cost.params, 0.0)


class Unaware:
    """A learner that is not handed the cost of pipelines."""

    def __init__(self, learner: Learner) -> None:
        self.act, self.update = learner.act, learner.update
        self.state_dict, self.load_state_dict = learner.state_dict, learner.load_state_dict
        self.batch_size, self.on_policy = learner.batch_size, learner.on_policy


def search(env: AutoMLEnv, budget: int = 60, **options):
    return run_search(env, Unaware(make_learner("random_search", agent_specs(env), seed=1)), budget, **options)


@pytest.mark.parametrize("bounds", [CostBounds(max_flops=6), CostBounds(max_params=2), CostBounds(6, 2)])
def test_a_pipeline_beyond_a_bound_is_a_trial_that_is_never_evaluated(bounds: CostBounds, tmp_path: Path) -> None:
    evaluator = Counting()
    env = AutoMLEnv({"nas": SPACE}, evaluator, accuracy)
    trials = search(env, bounds=bounds, out=tmp_path)
    assert len(trials) == 60
    for trial in trials:
        cost = evaluator.cost(trial.pipeline)
        beyond = cost.flops > (bounds.max_flops or 16) or cost.params > (bounds.max_params or 4)
        assert trial.state == ("infeasible" if beyond else "complete")
        assert (trial.result.flops, trial.result.params) == (cost.flops, cost.params)
        assert evaluator.calls[trial.pipeline.key] == (0 if beyond else 1)
        if beyond:
            assert trial.reward == 0.0
            assert "infeasible" in str(trial.result.error)
    assert {trial.state for trial in trials} == {"complete", "infeasible"}
    assert search(env, bounds=bounds, out=tmp_path) == trials, "what is stored comes back as it was"


def test_bounds_need_an_evaluator_that_tells_its_cost() -> None:
    env = AutoMLEnv({"nas": SPACE}, lambda pipeline, *, seed: Result(0.5, 1, 1, 0.0), accuracy)
    with pytest.raises(ValueError, match="cannot report a pipeline's cost before evaluating it"):
        search(env, bounds=CostBounds(max_flops=3))


@pytest.mark.parametrize("bound", [0, -1, float("nan")])
def test_a_bound_is_above_zero(bound: float) -> None:
    with pytest.raises(ValueError, match="max_params must be above 0"):
        CostBounds(max_params=bound)


def counting_env(definition: str = "a") -> tuple[AutoMLEnv, Counting]:
    evaluator = Counting()
    return AutoMLEnv({"nas": SPACE}, evaluator, accuracy, definition=definition), evaluator


def test_a_second_search_with_the_same_cache_evaluates_nothing_again(tmp_path: Path) -> None:
    env, evaluator = counting_env()
    first = search(env, cache=tmp_path)
    assert set(evaluator.calls.values()) == {1}
    again, unused = counting_env()
    assert search(again, cache=tmp_path) == first
    assert not unused.calls


@pytest.mark.parametrize(("seed", "definition"), [(1, "a"), (0, "b")])
def test_results_of_another_seed_or_definition_are_not_taken_from_a_cache(
    seed: int, definition: str, tmp_path: Path
) -> None:
    search(counting_env()[0], cache=tmp_path)
    other, evaluator = counting_env(definition)
    found = search(other, cache=tmp_path, seed=seed)
    assert set(evaluator.calls) == {trial.pipeline.key for trial in found}


def test_failed_results_are_not_shared(tmp_path: Path) -> None:
    def broken(pipeline: Pipeline, *, seed: int) -> Result:
        return Result(0.0, 0, 0, 0.0, error="no memory today")

    env = AutoMLEnv({"nas": SPACE}, broken, accuracy, definition="a")
    assert all(trial.result.failed for trial in search(env, cache=tmp_path))
    assert not any(trial.result.failed for trial in search(counting_env()[0], cache=tmp_path))


def test_a_cache_needs_to_know_what_its_results_are_of(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not made by its id"):
        search(counting_env(definition="")[0], cache=tmp_path)


def test_the_cost_of_a_registered_environment_is_known_beforehand() -> None:
    for env_id in ("ma2ml/digits-v0", "ma2ml/synthetic-v0"):
        env = ma2ml_env.make(env_id)
        pipeline = env.decode({agent: space.default for agent, space in env.search_spaces.items()})
        result = env.cost(pipeline)
        assert result.flops > 0
        assert result.params > 0


class Thrifty(Unaware):
    """A learner that is handed the cost of pipelines."""

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner)
        self.costs: list = []

    def use_cost(self, cost, *, max_flops=None, max_params=None) -> None:
        self.costs.append(cost)


@pytest.mark.parametrize("measured", [False, True])
def test_a_learner_that_uses_the_cost_gets_it_where_the_environment_is_priced(measured: bool) -> None:
    evaluator = Counting()
    priced = AutoMLEnv({"nas": SPACE}, evaluator, accuracy)
    unpriced = AutoMLEnv({"nas": SPACE}, lambda pipeline, *, seed: Result(0.5, 1, 1, 0.0), accuracy)
    for env, count in ((priced, 1), (unpriced, 0)):
        learner = Thrifty(make_learner("random_search", agent_specs(env)))
        run_search(env, MeasuredLearner(learner) if measured else learner, 3)
        assert len(learner.costs) == count
        for cost in learner.costs:
            flops, params = cost({"nas": np.array([[0, 0], [1, 2], [3, 3]])})
            assert flops.tolist() == [1.0, 6.0, 16.0]
            assert params.tolist() == [1.0, 2.0, 4.0]
    assert not isinstance(MeasuredLearner(Unaware(learner)), UsesCost)


def test_the_fidelity_reaches_the_evaluator_only_where_it_is_asked_for() -> None:
    told = []

    def evaluate(pipeline: Pipeline, seed: int, **fidelity: object) -> Result:
        told.append(fidelity)
        return Result(0.5, 1, 1, 0.0, curve=(0.2, 0.5))

    def stoppable(pipeline: Pipeline, *, seed: int, stop_below: Sequence[float] = ()) -> Result:
        return evaluate(pipeline, seed)

    class HalfOfTheBest:
        def thresholds(self, curves):
            return tuple(max(accuracies) / 2 for accuracies in zip(*curves, strict=True))

    env = AutoMLEnv({"nas": SPACE}, stoppable, accuracy)
    search(env, 3, executor=InlineExecutor(evaluate))
    assert told == [{}] * 3
    told.clear()
    trials = search(env, 12, executor=InlineExecutor(evaluate), pruner=HalfOfTheBest())
    distinct = len({trial.pipeline.key for trial in trials})
    assert told == [{"stop_below": ()}, *[{"stop_below": (0.1, 0.25)}] * (distinct - 1)]


def test_a_packed_action_is_the_action() -> None:
    action = {"aug": (0, 300, 2**40), "nas": (), "hpo": (7,)}
    packed = PackedAction(action)
    assert packed == action
    assert action == packed
    assert {agent: packed[agent] for agent in packed} == action
    assert all(type(index) is int for index in packed["aug"])
    assert pickle.loads(pickle.dumps(packed)) == action
    with pytest.raises(KeyError):
        packed["nobody"]
