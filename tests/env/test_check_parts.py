"""`check_search_space` and `check_evaluator`: ours pass, and what they are for is found."""

from __future__ import annotations

import random

import numpy as np
import pytest
from small_games import four_agents, mean_choice, score, space

import ma2ml_env
from ma2ml_env import Decision, Result, SearchSpace, catalog
from ma2ml_env.testing import check_evaluator, check_search_space

SPACES = {f"{i} {agent}": s for i in ma2ml_env.env_ids() for agent, s in ma2ml_env.make(i).search_spaces.items()}
SPACES |= {
    kind: catalog.build({"kind": kind}, catalog.SEARCH_SPACES, "test")
    for kind in catalog.SEARCH_SPACES
    if kind not in ("plain", "published_table", "tabular")
}


@pytest.mark.parametrize("name", SPACES)
def test_our_search_spaces_conform(name):
    check_search_space(SPACES[name])


class Text(dict):
    def __str__(self):
        return ""


DECISIONS = (Decision("a", (1, 2)), Decision("b", (3, 4, 5)))


class AcceptsAnything(SearchSpace):
    def validate(self, action, *, agent="action"):
        clipped = np.clip(np.resize(np.asarray(action, dtype=float), len(self.decisions)), 0, self.nvec - 1)
        return tuple(int(index) for index in clipped)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (SearchSpace(DECISIONS, lambda chosen: object()), "different objects"),
        (SearchSpace(DECISIONS, Text), "empty text"),
        (SearchSpace(DECISIONS, lambda chosen: tuple(chosen.values()), values=lambda _: {"a": 1, "b": 3}), "invert"),
        (AcceptsAnything(DECISIONS, dict), "should be refused"),
    ],
)
def test_a_search_space_that_does_not_conform_is_told_why(broken, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_search_space(broken)


@pytest.mark.parametrize("evaluator", [score, mean_choice])
def test_our_evaluators_conform(evaluator):
    check_evaluator(evaluator, four_agents().search_spaces)


def result(**changes):
    return Result(**{"accuracy": 0.5, "flops": 1e6, "params": 1e3, "seconds": 0.1, **changes})


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda pipeline, *, seed: result(accuracy=1.5), "not in"),
        (lambda pipeline, *, seed: result(accuracy=float("nan")), "not in"),
        (lambda pipeline, *, seed: result(flops=float("inf")), "flops is inf"),
        (lambda pipeline, *, seed: result(params=-1), "params is -1"),
        (lambda pipeline, *, seed: result(error="out of memory"), "failed"),
        (lambda pipeline, *, seed: 0.5, "returns a Result"),
        (lambda pipeline, *, seed: result(accuracy=random.random()), "global random state"),
        (lambda pipeline, *, seed: result(accuracy=np.random.default_rng().random()), "second evaluation"),
    ],
)
def test_an_evaluator_that_does_not_conform_is_told_why(broken, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_evaluator(broken, {"a": space((2, 3))})
