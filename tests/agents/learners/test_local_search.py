"""Local search over one-decision changes."""

from __future__ import annotations

import numpy as np
import pytest

from ma2ml_agents.learner import AgentSpec
from ma2ml_agents.learners.local_search import LocalSearch
from ma2ml_agents.testing import batch_of, check_learner, play

SPECS = (AgentSpec("aug", (4, 3), 3), AgentSpec("nas", (2, 5, 1, 3), 3), AgentSpec("hpo", (6,), 3))
BEST = [3, 2, 1, 4, 0, 2, 5]
NEIGHBORS = 3 + 2 + 1 + 4 + 0 + 2 + 5


def test_it_conforms() -> None:
    check_learner(LocalSearch, improves=False)
    check_learner(LocalSearch, improves=False, starts=3)


@pytest.mark.parametrize("seed", range(5))
def test_it_never_repeats_and_ends_in_the_optimum_of_an_additive_game(seed: int) -> None:
    learner = LocalSearch(SPECS, LocalSearch.Config(starts=1), seed=seed)
    proposals = np.concatenate(play(learner, SPECS, updates=150))
    assert len({tuple(row) for row in proposals.tolist()}) == 150
    assert learner.history.actions[learner.history.rewards.argmax()].tolist() == BEST


def test_every_proposal_differs_from_the_center_in_one_decision() -> None:
    learner = LocalSearch(SPECS, LocalSearch.Config(starts=1), seed=0)
    play(learner, SPECS, updates=1)
    for _ in range(60):
        proposal = learner.propose(1)
        assert (proposal[0] != learner.history.actions[learner.center]).sum() == 1
        learner.update(batch_of(SPECS, proposal))


def test_from_the_optimum_the_best_unexpanded_pipeline_is_next() -> None:
    learner = LocalSearch(SPECS, LocalSearch.Config(starts=1), seed=0)
    learner.update(batch_of(SPECS, np.array([BEST])))
    around = np.concatenate([learner.propose(1) for _ in range(NEIGHBORS)])
    for row in around:
        learner.update(batch_of(SPECS, row[None]))
    assert learner.center == 0, "none is better"
    learner.propose(1)
    assert learner.history.rewards[learner.center] == learner.history.rewards[1:].max()


def test_the_center_is_the_best_of_the_starts() -> None:
    learner = LocalSearch(SPECS, LocalSearch.Config(starts=10), seed=0)
    play(learner, SPECS, updates=10)
    assert learner.center == learner.history.rewards.argmax()


def test_it_goes_on_when_everything_is_known() -> None:
    specs = (AgentSpec("a", (2, 2), 1),)
    proposals = np.concatenate(play(LocalSearch(specs, seed=0), specs, updates=9))
    assert len({tuple(row) for row in proposals[:4].tolist()}) == 4
    assert len(proposals) == 9
