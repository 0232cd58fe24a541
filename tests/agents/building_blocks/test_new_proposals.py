"""Proposals without repetition, for any source of draws."""

from __future__ import annotations

import itertools

import numpy as np

from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.new_proposals import NewProposals
from ma2ml_agents.learner import AgentSpec

NVEC = (3, 2, 2)


def layout(nvec: tuple[int, ...] = NVEC) -> Layout:
    return Layout([AgentSpec("a", nvec, 1)])


def certain(rows: int) -> np.ndarray:
    """Draws that are always the first of every choice."""
    return np.zeros((rows, 3), dtype=np.int64)


def test_everything_next_to_a_certain_source_comes_before_a_repetition() -> None:
    for seed in range(20):
        rng, proposals = np.random.default_rng(seed), NewProposals(layout())
        drawn = [tuple(row) for row in proposals.draw(certain, 12, rng.random).tolist()]
        assert drawn[0] == (0, 0, 0)
        assert len(set(drawn)) == 12, "every pipeline comes once"
    many = proposals.draw(certain, 100, rng.random).tolist()
    everything = set(itertools.product(*map(range, NVEC)))
    assert {tuple(row) for row in many} <= everything, "it ends although everything is known"


def test_the_nearest_come_first() -> None:
    near = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        proposals = NewProposals(layout((4,) * 8))
        second = proposals.draw(lambda rows: np.zeros((rows, 8), dtype=np.int64), 2, rng.random)[1]
        near += int((second != 0).sum() <= 2)
    assert near > 40, "one or two decisions of eight differ"


def test_the_best_of_the_new_neighbors_is_proposed() -> None:
    asked: list[np.ndarray] = []

    def sum_of_choices(joint: np.ndarray) -> np.ndarray:
        asked.append(joint)
        return joint.sum(axis=1).astype(float)

    proposals, rng = NewProposals(layout((4,) * 8), candidates=16), np.random.default_rng(0)
    drawn = proposals.draw(lambda rows: np.zeros((rows, 8), dtype=np.int64), 5, rng.random, sum_of_choices)
    assert len(asked) == 4, "the first draw was new"
    for number, neighbors in enumerate(asked, start=1):
        assert len(neighbors) == 16
        assert drawn[number].sum() == neighbors.sum(axis=1).max()


def test_disabled_it_lets_repetitions_pass() -> None:
    proposals = NewProposals(layout(), enabled=False)
    assert not proposals.draw(certain, 5, np.random.default_rng(0).random).any()
    assert proposals.is_new(certain(2)).all()
    assert len(proposals.open) == 5


def test_the_evaluated_and_the_proposed_are_known_and_each_new_one_counts_once() -> None:
    proposals = NewProposals(layout())
    proposals.learn(np.array([[1, 0, 0]]))
    proposals.remember(np.array([[2, 0, 0]]))
    rows = np.array([[2, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert proposals.is_new(rows).tolist() == [False, True, False, True, True]
    assert proposals.distinct(rows).tolist() == [1, 4]


def test_a_restored_state_remembers_open_proposals() -> None:
    first, second = NewProposals(layout()), NewProposals(layout())
    drawn = first.draw(certain, 4, np.random.default_rng(0).random)
    first.learn(drawn[:2])
    second.load_state_dict(first.state_dict())
    again = [p.draw(certain, 4, np.random.default_rng(1).random).tolist() for p in (first, second)]
    assert again[0] == again[1]
    assert first.open.tolist() == second.open.tolist()
    assert first.state_dict() == second.state_dict()
