"""The random forest that tells good pipelines from the others."""

from __future__ import annotations

import numpy as np
import pytest

from ma2ml_agents.building_blocks.encoding import one_hot
from ma2ml_agents.learner import AgentSpec
from ma2ml_agents.learners.rmi_forest import RMIForest
from ma2ml_agents.testing import batch_of, check_learner, play

SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 1, 3), 3), AgentSpec("hpo", (6,), 3))
QUICK = {"warmup": 10, "candidates": 50, "mutants": 50, "trees": 10}


def test_it_conforms() -> None:
    check_learner(RMIForest, **{**QUICK, "warmup": 4, "refit_every": 2})


def test_it_learns_a_small_game_and_repeats_nothing() -> None:
    proposals = np.concatenate(play(RMIForest(SPECS, RMIForest.Config(**QUICK), seed=0), SPECS, updates=60))
    rewards = batch_of(SPECS, proposals).rewards
    assert rewards[-20:].mean() > rewards[:20].mean() + 0.1
    assert len({tuple(row) for row in proposals.tolist()}) == 60


def test_the_forest_prefers_what_resembles_the_good() -> None:
    learner = RMIForest(SPECS, RMIForest.Config(good=0.5), seed=0)
    joint = learner.layout.uniform(100, np.random.default_rng(0))
    batch = batch_of(SPECS, joint)
    batch.rewards[:] = joint[:, 6] >= 3
    learner.update(batch)
    probe = learner.layout.uniform(200, np.random.default_rng(1))
    forest = learner.forest()
    assert forest is not None
    probability = forest.predict_proba(one_hot(probe, learner.layout))[:, 1]
    assert probability[probe[:, 6] >= 3].min() > probability[probe[:, 6] < 3].max()


def test_while_all_are_equally_good_proposals_are_random() -> None:
    learner = RMIForest(SPECS, RMIForest.Config(**QUICK), seed=0)
    batch = batch_of(SPECS, learner.layout.uniform(20, np.random.default_rng(0)))
    batch.rewards[:] = 0.5
    learner.update(batch)
    assert learner.forest() is None
    assert learner.propose(3).shape == (3, 7)


def test_the_forest_is_a_function_of_the_results_and_the_seed() -> None:
    first, second = (RMIForest(SPECS, RMIForest.Config(**QUICK), seed=seed) for seed in (0, 1))
    play(first, SPECS, updates=15)
    second.load_state_dict(first.state_dict())
    probe = one_hot(first.layout.uniform(50, np.random.default_rng(0)), first.layout)
    assert np.array_equal(first.forest().predict_proba(probe), second.forest().predict_proba(probe))


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="trees"):
        RMIForest.Config(trees=0)
