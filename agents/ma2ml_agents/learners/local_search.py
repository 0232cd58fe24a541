"""Local search: the complete neighborhood of the best pipeline, one decision at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ma2ml_agents.building_blocks.history import HistoryLearner
from ma2ml_agents.building_blocks.neighborhood import neighbors
from ma2ml_agents.building_blocks.new_proposals import Joint
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec, Batch


class LocalSearch(HistoryLearner):
    """Evaluates one-decision neighbors of a center, which moves as soon as one is better.

        N(c) = {x : x_d != c_d in exactly one decision d},    c <- x if R(x) > R(c) for an x of N(c)

    with c the center, and N(c) in random order.

    When none is better, the search continues from the best pipeline whose neighborhood has not been expanded.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: White et al., "Exploring the Loss Landscape in Neural Architecture Search".
    """

    @dataclass
    class Config:
        """Settings of local search."""

        starts: int = 40
        """Initial random pipelines, the best of which is the center. Source: tuned; White et al. use 10, and 1 in small
        spaces."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 1, names=["starts"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, distinct=self.config.distinct)
        self.center = -1
        self.expanded: list[int] = []
        self.queue: list[list[int]] = []

    def propose(self, rows: int) -> Joint:
        """Returns joint actions, shape (rows, D): random starts, then neighbors of the center."""
        return np.concatenate([self._propose_one() for _ in range(rows)])

    def update(self, batch: Batch) -> Mapping[str, float]:
        """Adds a result; moves the center if it is better."""
        numbers = super().update(batch)
        started = len(self.history) >= self.config.starts
        if started and (self.center < 0 or self.history.rewards[-1] > self.history.rewards[self.center]):
            self._expand(int(self.history.rewards.argmax()))
        return numbers

    def state_dict(self) -> dict[str, Any]:
        """Returns data, the center and its remaining neighbors."""
        own = {"center": self.center, "expanded": list(self.expanded), "queue": list(self.queue)}
        return super().state_dict() | own

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        super().load_state_dict(state)
        self.center, self.expanded, self.queue = state["center"], list(state["expanded"]), list(state["queue"])

    def _propose_one(self) -> Joint:
        while self.center >= 0:
            while self.queue:
                row = np.array([self.queue.pop()])
                if self.proposals.admits(row)[0]:
                    self.proposals.remember(row)
                    return row
            unexpanded = np.setdiff1d(self.history.ranking(), self.expanded)
            if not len(unexpanded):
                break
            self._expand(int(unexpanded[self.history.rewards[unexpanded].argmax()]))
        return self.random_new(1)

    def _expand(self, center: int) -> None:
        """Moves the center to a pipeline of the history, and queues its neighbors in random order."""
        self.center = center
        self.expanded.append(center)
        around = neighbors(self.history.actions[center], self.layout, self.rng)
        self.queue = self.rng.permutation(around).tolist()
