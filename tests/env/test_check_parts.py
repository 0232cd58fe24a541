"""`check_search_space` and `check_evaluator`: ours pass, and what they are for is found."""

from __future__ import annotations

import random

import numpy as np
import pytest
from small_games import four_agents, mean_choice, score, space

import ma2ml_env
from ma2ml_env import Decision, Result, SearchSpace, catalog
from ma2ml_env.evaluator import ABILITIES, BatchResults, abilities
from ma2ml_env.testing import check_evaluator, check_search_space
from ma2ml_env.types import Cost

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
        (lambda pipeline, *, seed: result(accuracy=float("nan")), "accuracy is nan"),
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


class Able:
    """An evaluator with every ability, which tests break one by one."""

    optimum_accuracy, instant, definition = 0.5, True, {"kind": "mine"}

    def __call__(self, pipeline, *, seed):
        return result()

    def cost(self, pipeline):
        return Cost(1_000_000, 1000)

    def expected(self, pipeline):
        return result()

    def evaluate_batch(self, actions, seed):
        rows = len(actions["a"])
        return BatchResults(*(np.full(rows, number) for number in (0.5, 1_000_000, 1000, 0.1)))

    def expected_batch(self, actions):
        return self.evaluate_batch(actions, 0)

    def cost_batch(self, actions):
        return np.array([[1_000_000], [1000]]).repeat(len(actions["a"]), axis=1)

    def sample_images(self, count):
        return np.zeros((count, 1, 4, 4), np.uint8)

    def prepare(self):
        pass

    def retrain(self, pipeline, *, seed):
        raise AssertionError("a check retrains nothing")

    retrain_epochs, priced = 20, True

    def retrain_length(self):
        return 4.0

    def least_share(self):
        return 1.0

    def retrain_observed(self, pipeline, *, seed, epochs=None, checkpoint=None, on_epoch=None, share=1, on_step=None):
        raise AssertionError("a check retrains nothing")

    def check_savable(self):
        pass

    network, task = None, None


def test_an_evaluator_of_every_ability_conforms_and_says_which_it_has():
    assert abilities(Able()) == tuple(ability.__name__ for ability in ABILITIES)
    assert abilities(score) == ()
    check_evaluator(Able(), {"a": space((2, 3))})


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("cost", lambda self, pipeline: Cost(5, 1000), r"cost reports \(5, 1000\)"),
        ("cost", 3, "cost is a method of Priced evaluators"),
        ("cost_batch", lambda self, actions: np.zeros((2, 2), int), r"cost_batch reports \(0, 0\)"),
        ("optimum_accuracy", 0.4, "above optimum_accuracy, 0.4"),
        ("instant", "yes", "instant is a bool"),
        (
            "expected_batch",
            lambda self, actions: BatchResults(*np.zeros((4, 2))),
            "expected_batch returns accuracy 0.0",
        ),
        ("evaluate_batch", lambda self, actions, seed: BatchResults(*np.zeros((4, 2))), "evaluate_batch returns"),
        ("sample_images", lambda self, count: np.zeros((count, 4, 4), np.uint8), "sample_images are uint8"),
        ("sample_images", lambda self, count: np.zeros((9, 1, 4, 4), np.uint8), "has 9 images"),
        ("sample_images", lambda self, count: np.zeros((count, 1, 4, 4)), "sample_images are uint8"),
    ],
)
def test_an_ability_that_disagrees_with_the_result_is_told(name, value, complaint):
    broken = type("Broken", (Able,), {name: value})
    with pytest.raises(AssertionError, match=complaint):
        check_evaluator(broken(), {"a": space((2, 3))})


def test_the_abilities_of_our_evaluators():
    expected = {
        "ma2ml/synthetic-v0": {"Priced", "NoiseFree", "KnownOptimum", "Instant"},
        "ma2ml/digits-v0": {
            "Priced", "Preparing", "Retrainable", "Resumable", "Shortenable", "Savable", "Illustrated", "Defined",
            "TrainsNetworks",
        },
        "ma2ml/digits-surrogate-v0": {
            "Priced", "BatchPriced", "NoiseFree", "Batched", "NoiseFreeBatched", "Instant", "Defined"
        },
    }  # fmt: skip
    assert {name: set(abilities(ma2ml_env.make(name).evaluator)) for name in expected} == expected
