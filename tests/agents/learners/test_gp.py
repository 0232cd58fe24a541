"""Bayesian optimization with a Gaussian process."""

from __future__ import annotations

import numpy as np
import pytest

from ma2ml_agents.learner import AgentSpec
from ma2ml_agents.learners.gp import GP
from ma2ml_agents.testing import check_learner, play

SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 1, 3), 3), AgentSpec("hpo", (6,), 3))


def test_it_conforms() -> None:
    check_learner(GP, warmup=4, rounds=2)


def test_it_finds_the_best_of_a_small_game() -> None:
    """One of 2,160 pipelines is best; random search finds it among 40 in one run of 54."""
    found = []
    for seed in range(3):
        proposals = np.concatenate(play(GP(SPECS, seed=seed), SPECS, updates=40))
        found.append(bool((proposals == np.array([3, 2, 1, 4, 0, 2, 5])).all(axis=1).any()))
        assert len({tuple(row) for row in proposals.tolist()}) == 40, "nothing is proposed twice"
    assert all(found)


def test_pending_proposals_are_believed_not_repeated() -> None:
    learner = GP(SPECS, seed=0)
    play(learner, SPECS, updates=15)
    drawn = learner.propose(6)
    assert len({tuple(row) for row in drawn.tolist()}) == 6
    assert np.array_equal(learner.proposals.open, drawn)


def test_it_goes_on_when_everything_is_known() -> None:
    specs = (AgentSpec("a", (2, 2), 1),)
    proposals = np.concatenate(play(GP(specs, GP.Config(warmup=2), seed=0), specs, updates=8))
    assert len({tuple(row) for row in proposals[:4].tolist()}) == 4
    assert len(proposals) == 8


@pytest.mark.parametrize("wrong", [{"fit_every": 0}, {"total_weight": 0}, {"kernel": "aditive"}])
def test_settings_out_of_range_are_named(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GP.Config(**wrong)
