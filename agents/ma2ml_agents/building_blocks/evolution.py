"""What evolutionary learners share: a genome of all agents' decisions, and mutation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.joint_action import Layout, rows_of
from ma2ml_agents.learner import Actions, AgentSpec, Observations

Genome = NDArray[np.int64]


class Evolution(ABC):
    """A learner that learns from one pipeline at a time and proposes changed copies of good ones.

    Args:
        specs: the agents; their D decisions are one genome.
        seed: of everything random in it.

    Raises:
        ValueError: if no decision has two choices.

    Source: ours.
    """

    batch_size = 1
    on_policy = False

    def __init__(self, specs: Sequence[AgentSpec], seed: int) -> None:
        self.layout = Layout(specs)
        self.rng = np.random.default_rng(seed)
        self.mutable: NDArray[np.int64] = np.flatnonzero(self.layout.nvec > 1)
        if not len(self.mutable):
            raise ValueError("evolution needs a decision with at least two choices")

    @abstractmethod
    def propose(self) -> Genome:
        """One joint action, shape (D,)."""

    def act(self, observations: Observations) -> Actions:
        """Propose B joint actions, all from what is known now."""
        return self.layout.split(np.stack([self.propose() for _ in range(rows_of(observations))]))

    def random_genome(self) -> Genome:
        """A uniform joint action, shape (D,)."""
        genome: Genome = self.layout.uniform(1, self.rng)[0]
        return genome

    def mutate(self, parent: Genome, positions: NDArray[np.int64]) -> Genome:
        """A copy of a joint action in which some decisions have another value, uniform among the others.

        Args:
            parent: shape (D,).
            positions: the decisions to change, each with at least two choices.

        Returns:
            Shape (D,).

        Source: the mutation of regularized evolution and of nevergrad's DiscreteOnePlusOne.
        """
        sizes = self.layout.nvec[positions]
        child = parent.copy()
        child[positions] = (child[positions] + self.rng.integers(1, sizes)) % sizes
        return child

    def state_dict(self) -> dict[str, Any]:
        """The random state."""
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the random state."""
        self.rng.bit_generator.state = state["rng"]
