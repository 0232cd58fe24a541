"""CatCMA with margin, and TPE, over ordered and unordered decisions."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from cmaes import CatCMAwM

from ma2ml_agents.learner import AgentSpec
from ma2ml_agents.learners.cmaes import CMAES
from ma2ml_agents.learners.tpe import TPE
from ma2ml_agents.testing import batch_of, check_learner, play

SPECS = (
    AgentSpec("aug", (4, 3), 3, ordered=(True, False)),
    AgentSpec("nas", (2, 5, 1, 3), 3, ordered=(True, True, True, False)),
    AgentSpec("hpo", (6,), 3),
)


def test_it_conforms() -> None:
    check_learner(CMAES, improves=False, population=4)


def test_it_learns_a_small_game() -> None:
    for ordered in (True, False):
        made = CMAES(SPECS, CMAES.Config(ordered=ordered, distinct=False), seed=0)
        rewards = batch_of(SPECS, np.concatenate(play(made, SPECS, updates=250))).rewards
        assert rewards[-50:].mean() > rewards[:50].mean() + 0.1


def test_its_proposals_are_those_of_the_library() -> None:
    specs = (AgentSpec("a", (4, 5), 1, ordered=(True, True)), AgentSpec("b", (3,), 1))
    ours = np.concatenate(play(CMAES(specs, CMAES.Config(population=6, distinct=False), seed=3), specs, updates=24))
    theirs, rows = CatCMAwM(z_space=[[0, 1, 2, 3], [0, 1, 2, 3, 4]], c_space=[3], population_size=6, seed=3), []
    for _ in range(4):
        generation = []
        for _ in range(6):
            solution = theirs.ask()
            row = np.array([*solution.z, solution.c[0].argmax()], dtype=np.int64)
            rows.append(row)
            generation.append((solution, -float(batch_of(specs, row[None]).rewards[0])))
        theirs.tell(generation)
    assert np.array_equal(ours, np.stack(rows))


def test_pipelines_of_a_warm_start_teach_the_categories() -> None:
    specs = (AgentSpec("a", (4, 3), 1),)
    learner = CMAES(specs, CMAES.Config(population=4, distinct=False), seed=0)
    for _ in range(40):
        for row in ([3, 2], [0, 0], [0, 1], [1, 0]):
            learner.update(batch_of(specs, np.array([row])))
    proposals = np.concatenate([learner.act({"a": np.zeros((50, 1), np.float32)})["a"]])
    assert (proposals == [3, 2]).all(axis=1).mean() > 0.5


def test_it_needs_something_to_choose() -> None:
    with pytest.raises(ValueError, match="two choices"):
        CMAES((AgentSpec("a", (1, 1), 1),))


def test_tpe_samples_ordered_decisions_as_integers_when_asked_to() -> None:
    for ordered in (True, False):
        learner = TPE(SPECS, TPE.Config(ordered=ordered), seed=0)
        play(learner, SPECS, updates=2)
        kinds = [type(learner._space[str(d)]) is optuna.distributions.IntDistribution for d in range(7)]
        assert kinds == [ordered and is_ordered for is_ordered in (True, False, True, True, True, False, False)]


@pytest.mark.parametrize("learner", [TPE, CMAES])
def test_a_library_repeats_nothing_while_there_are_new_pipelines(learner) -> None:
    specs = (AgentSpec("a", (2, 3), 1), AgentSpec("b", (1, 3), 1))
    proposals = np.concatenate(play(learner(specs, seed=0), specs, updates=25))
    assert len({tuple(row) for row in proposals[:18].tolist()}) == 18, "2 x 3 x 1 x 3 pipelines"
    assert len(proposals) == 25


def test_an_ordered_tpe_conforms() -> None:
    check_learner(TPE, improves=False, ordered=True, warmup=3)
