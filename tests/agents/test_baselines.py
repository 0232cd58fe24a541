"""Random search and the evolutionary baselines, and the layout that they share with MA2ML."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ma2ml_agents.building_blocks.joint_action import Layout, rows_of
from ma2ml_agents.learner import AgentSpec
from ma2ml_agents.learners.ma2ml_lite import MA2MLLite
from ma2ml_agents.learners.ma2ml_on_policy import MA2MLOnPolicy
from ma2ml_agents.learners.nsga2 import NSGA2
from ma2ml_agents.learners.one_plus_one import OnePlusOne
from ma2ml_agents.learners.ppo import PPO
from ma2ml_agents.learners.random_search import RandomSearch
from ma2ml_agents.learners.regularized_evolution import RegularizedEvolution
from ma2ml_agents.learners.tpe import TPE
from ma2ml_agents.testing import batch_of, observations_of, play

SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 1, 3), 3), AgentSpec("hpo", (6,), 3))
FREE = 6  # decisions with at least two choices


@dataclass(frozen=True)
class Costly:
    """A result whose FLOPs are as many as it says."""

    accuracy: float
    flops: float
    params: float = 0.0
    error: str | None = None


def proposal(learner) -> np.ndarray:
    actions = learner.act(observations_of(SPECS, 1))
    return np.concatenate([actions[spec.name][0] for spec in SPECS])


def test_random_search_draws_every_choice_equally_often() -> None:
    learner = RandomSearch(SPECS, seed=0)
    actions = learner.act(observations_of(SPECS, 6_000))
    for spec in SPECS:
        for column, size in enumerate(spec.nvec):
            counts = np.bincount(actions[spec.name][:, column], minlength=size)
            assert len(counts) == size
            assert np.abs(counts - 6_000 / size).max() < 5 * np.sqrt(6_000 / size)


def test_a_child_of_regularized_evolution_differs_in_one_decision_from_a_living_pipeline() -> None:
    learner = RegularizedEvolution(SPECS, RegularizedEvolution.Config(population=5, sample=2, distinct=False), seed=0)
    play(learner, SPECS, updates=5)
    for _ in range(40):
        child = proposal(learner)
        differences = [(child != member).sum() for member in learner.population]
        assert min(differences) <= 1
        learner.update(batch_of(SPECS, child[None]))
        assert len(learner.population) == 5
        assert np.array_equal(learner.population[-1], child)


def test_by_kind_half_of_the_changes_are_of_inputs() -> None:
    specs = (AgentSpec("nas", (4, 5, 3, 6, 2), 1, decisions=("input1", "operation1", "combine", "kernel", "width")),)
    settings = RegularizedEvolution.Config(population=1, sample=1, mutation="by_kind", distinct=False)
    learner = RegularizedEvolution(specs, settings, seed=0)
    play(learner, specs, updates=1)
    changed = [learner.propose() != learner.population[0] for _ in range(2_000)]
    assert np.mean([change[0] for change in changed]) == pytest.approx(0.5, abs=0.05), "one of five decisions"
    nameless = RegularizedEvolution(SPECS, RegularizedEvolution.Config(mutation="by_kind"), seed=0)
    assert len(play(nameless, SPECS, updates=15)) == 15


def test_the_parent_is_the_best_when_all_compete() -> None:
    learner = RegularizedEvolution(SPECS, RegularizedEvolution.Config(population=4, sample=4, distinct=False), seed=0)
    play(learner, SPECS, updates=4)
    best = learner.population[int(np.argmax(learner.rewards))]
    for _ in range(20):
        assert (proposal(learner) != best).sum() == 1


def test_regularized_evolution_runs_ahead_of_its_population() -> None:
    learner = RegularizedEvolution(SPECS, RegularizedEvolution.Config(population=3), seed=0)
    rounds = play(learner, SPECS, updates=6, ahead=4)
    assert [len(proposals) for proposals in rounds] == [5, 1, 1, 1, 1, 1]


def test_a_plus_one_child_always_differs_from_its_parent() -> None:
    learner = OnePlusOne(SPECS, OnePlusOne.Config(mutations=1.0, distinct=False), seed=0)
    play(learner, SPECS, updates=1)
    changes = [int((proposal(learner) != learner.parent).sum()) for _ in range(4_000)]
    assert min(changes) == 1
    at_least_one = 1 + (1 - 1 / FREE) ** FREE  # mean of max(1, binomial(FREE, 1 / FREE))
    assert np.mean(changes) == pytest.approx(at_least_one, abs=0.05)


def test_a_plus_one_accepts_ties_and_refuses_worse_ones() -> None:
    learner = OnePlusOne(SPECS, seed=0)
    first, equal, worse = (np.array([row]) for row in ([3, 0, 1, 0, 0, 0, 0], [0, 2, 1, 0, 0, 0, 0], [0] * 7))
    for joint, parent in ((first, first), (equal, equal), (worse, equal)):
        learner.update(batch_of(SPECS, joint))
        assert np.array_equal(learner.parent, parent[0])


@pytest.mark.parametrize("learner_class", [RegularizedEvolution, OnePlusOne])
def test_evolution_needs_something_to_change(learner_class) -> None:
    with pytest.raises(ValueError, match="two choices"):
        learner_class((AgentSpec("aug", (1, 1), 1),))


@pytest.mark.parametrize("learner_class", [NSGA2, PPO])
def test_the_other_baselines_learn_a_small_game(learner_class) -> None:
    learner = learner_class(SPECS, learner_class.Config(distinct=False), seed=0)
    rewards = batch_of(SPECS, np.concatenate(play(learner, SPECS, updates=200 // learner.batch_size))).rewards
    assert rewards[-50:].mean() > rewards[:50].mean() + 0.1


def test_against_flops_the_cheap_half_of_equal_accuracies_survives() -> None:
    learner = NSGA2(SPECS, NSGA2.Config(population=20, objectives="accuracy_and_flops", distinct=False), seed=0)
    costs = []
    for _ in range(240):
        joint = proposal(learner)[None]
        batch = batch_of(SPECS, joint)
        costs.append(float(joint.sum()))
        learner.update(replace(batch, results=[Costly(accuracy=0.5, flops=costs[-1])]))
    assert np.mean(costs[-60:]) < np.mean(costs[:20]) - 2


@pytest.mark.parametrize("learner_class", [MA2MLLite, MA2MLOnPolicy, PPO])
def test_policy_gradients_propose_every_pipeline_of_a_small_game_before_a_known_one(learner_class) -> None:
    specs = (AgentSpec("a", (5, 4), 1), AgentSpec("b", (3,), 1))
    learner = learner_class(specs, learner_class.Config(batch_size=5, learning_rate=1.0), seed=0)
    proposed = np.concatenate(play(learner, specs, updates=12))
    assert len({tuple(row) for row in proposed.tolist()}) == len(proposed) == 5 * 4 * 3
    repeating = learner_class(specs, learner_class.Config(batch_size=5, learning_rate=1.0, distinct=False), seed=0)
    proposed = np.concatenate(play(repeating, specs, updates=12))
    assert len({tuple(row) for row in proposed.tolist()}) < 50


def test_the_value_of_ppo_approaches_the_mean_reward() -> None:
    learner = PPO(SPECS, seed=0)
    joint = learner.layout.uniform(10, np.random.default_rng(0))
    learner.update(batch_of(SPECS, joint[:5]))
    for _ in range(20):
        learner.update(batch_of(SPECS, joint))
    assert learner.value == pytest.approx(batch_of(SPECS, joint).rewards.mean())


def test_optuna_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="candidates"):
        TPE.Config(candidates=0)
    with pytest.raises(ValueError, match="crossover_rate"):
        NSGA2.Config(crossover_rate=1.5)


def test_evolution_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="population"):
        RegularizedEvolution.Config(population=0)
    with pytest.raises(ValueError, match="mutations"):
        OnePlusOne.Config(mutations=-1)


def test_joining_undoes_splitting() -> None:
    layout = Layout(SPECS)
    joint = layout.uniform(5, np.random.default_rng(0))
    assert np.array_equal(layout.join(layout.split(joint)), joint)
    assert layout.owner.tolist() == [0, 0, 1, 1, 1, 1, 2]
    assert Layout(SPECS, single_agent=True).owner.tolist() == [0] * 7


def test_actions_that_do_not_fit_are_refused() -> None:
    layout = Layout(SPECS)
    actions = layout.split(layout.uniform(2, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="hpo"):
        layout.join({name: action for name, action in actions.items() if name != "hpo"})
    with pytest.raises(ValueError, match="7 decisions, not 8"):
        layout.join({**actions, "hpo": np.zeros((2, 2), dtype=int)})
    with pytest.raises(ValueError, match="name of its own"):
        Layout((SPECS[0], SPECS[0]))
    with pytest.raises(ValueError, match="same number"):
        rows_of({"aug": np.zeros((2, 3), np.float32), "nas": np.zeros((3, 3), np.float32)})
