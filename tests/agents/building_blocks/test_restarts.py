"""Restarts of agents while the best result does not move."""

from __future__ import annotations

import numpy as np
import pytest

from ma2ml_agents.building_blocks.restarts import agents_to_restart


def restarts(rewards: list[float], batch: int, patience: int, agents: int = 3) -> dict[int, list[int]]:
    """Agents restarted, by the number of results so far."""
    counts = range(batch, len(rewards) + 1, batch)
    found = {n: agents_to_restart(np.array(rewards[:n]), batch, patience, agents) for n in counts}
    return {n: agent for n, agent in found.items() if agent}


def test_agents_restart_in_turn_after_each_patience() -> None:
    assert restarts([1.0] + [0.5] * 20, batch=1, patience=4) == {5: [0], 9: [1], 13: [2], 17: [0], 21: [1]}


def test_a_new_best_begins_again_and_an_equal_one_does_not() -> None:
    assert restarts([1.0, 0.5, 0.5, 2.0, 0.5, 0.5, 2.0, 0.5], batch=1, patience=3) == {7: [0]}


@pytest.mark.parametrize("batch", [2, 5])
def test_batches_miss_no_restart(batch: int) -> None:
    assert list(restarts([1.0] + [0.5] * 19, batch=batch, patience=6).values()) == [[0], [1], [2]]


def test_a_batch_longer_than_the_patience_restarts_several_agents_each_in_its_turn() -> None:
    assert restarts([1.0] + [0.5] * 16, batch=4, patience=2, agents=3) == {
        4: [0], 8: [1, 2], 12: [0, 1], 16: [0, 2]
    }  # fmt: skip


def test_without_patience_or_results_nothing_restarts() -> None:
    assert not restarts([1.0] + [0.5] * 20, batch=1, patience=0)
    assert agents_to_restart(np.array([]), 0, 3, 3) == []
