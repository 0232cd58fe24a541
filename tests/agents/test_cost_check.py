"""The cost of random pipelines is reported, and bounds that nothing meets are refused."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import ma2ml_env
from ma2ml_agents.commands.cost_check import check_bounds
from ma2ml_agents.commands.train_options import parse_train
from ma2ml_agents.search import CostBounds
from ma2ml_env import AutoMLEnv, Decision, Pipeline, Result, SearchSpace
from ma2ml_env.errors import MA2MLError
from ma2ml_env.reward import accuracy
from ma2ml_env.types import Cost


def test_the_cost_of_random_pipelines_is_reported_before_the_search() -> None:
    env, said = ma2ml_env.make("ma2ml/digits-surrogate-v0"), list[str]()
    check_bounds(env, CostBounds(max_flops=1e12), said.append)
    numbers = (
        r"have ([\d,]+) to ([\d,]+) multiply-accumulates .* median ([\d,]+), smallest ([\d,]+); the bound is ([\d,]+)"
    )
    low, high, middle, least, bound = (int(text.replace(",", "")) for text in re.findall(numbers, said[0])[0])
    assert 0 < least < low < middle < high < bound == 10**12
    assert said[1].startswith("100.0% of 200 random pipelines")
    said.clear()
    check_bounds(env, CostBounds(), said.append)
    assert not said


def test_a_bound_that_no_pipeline_meets_is_refused_and_one_that_few_meet_is_not() -> None:
    env = ma2ml_env.make("ma2ml/digits-surrogate-v0")
    with pytest.raises(MA2MLError, match=r"the cheapest one found has [\d,]+ multiply") as refused:
        check_bounds(env, CostBounds(max_params=1), lambda text: None)
    cheapest = int(re.findall(r"([\d,]+) parameters", str(refused.value))[0].replace(",", ""))
    said: list[str] = []
    check_bounds(env, CostBounds(max_params=cheapest), said.append)
    assert said[-1].startswith("none of 200 random pipelines is within the bounds, but one of ")
    with pytest.raises(MA2MLError, match="no pipeline is within the bounds"):
        check_bounds(env, CostBounds(max_params=cheapest - 1), said.append)


class Priced:
    """An evaluator whose FLOPs and parameters are sums over the decisions' values, but for a step at the default."""

    def __init__(self, flops: Callable[[list[int]], int], params: Callable[[list[int]], int]) -> None:
        self.flops, self.params = flops, params

    def cost(self, pipeline: Pipeline) -> Cost:
        values = list(pipeline.action["nas"])
        return Cost(self.flops(values), self.params(values))

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        return Result(0.5, 1, 1, 0.0)


def priced(flops: Callable[[list[int]], int], params: Callable[[list[int]], int]) -> AutoMLEnv:
    decisions = tuple(Decision(f"x{i}", tuple(range(8))) for i in range(6))
    return AutoMLEnv({"nas": SearchSpace(decisions, dict)}, Priced(flops, params), accuracy)


def test_the_cheapest_pipeline_is_found_where_lowering_one_cost_leaves_the_larger_excess() -> None:
    env = priced(lambda x: 1 + sum(x[:3]), lambda x: 1 + sum(x[3:]) + max(x))
    check_bounds(env, CostBounds(max_flops=1, max_params=1), lambda text: None)
    with pytest.raises(MA2MLError, match="the cheapest one found has 1 multiply-accumulates and 1 parameters"):
        check_bounds(env, CostBounds(max_flops=0.5, max_params=1), lambda text: None)


def test_the_default_pipeline_is_tried_where_random_ones_lead_nowhere() -> None:
    default = list(priced(sum, sum).search_spaces["nas"].default)
    env = priced(lambda x: 1 if x == default else 1000, lambda x: 1)
    check_bounds(env, CostBounds(max_flops=5), lambda text: None)


def test_bounds_may_end_in_k_m_or_g(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--env", "ma2ml/digits-v0", "--algo", "random_search", "--max-flops", "5M", "--max-params", "1.5e3"]
    assert parse_train(arguments, "train").bounds() == CostBounds(5e6, 1500.0)
    for wrong in ("5m", "-5", "0"):
        with pytest.raises(SystemExit) as ended:
            parse_train([*arguments[:4], "--max-flops", wrong], "train")
        assert ended.value.code == 2
        assert "--max-flops" in capsys.readouterr().err
