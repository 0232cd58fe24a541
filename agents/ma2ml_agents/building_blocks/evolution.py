"""Base class of evolutionary learners: a genome of all agents' decisions, and mutation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.feasibility import Bounded
from ma2ml_agents.building_blocks.joint_action import Layout, rows_of
from ma2ml_agents.building_blocks.new_proposals import NewProposals
from ma2ml_agents.learner import Actions, AgentSpec, Observations
from ma2ml_env.errors import MA2MLError

Genome = NDArray[np.int64]


class Evolution(Bounded, ABC):
    """Learner that updates on one pipeline at a time and proposes mutated copies of good ones.

    Args:
        specs: the agents; their D decisions are one genome.
        seed: seed of all randomness.
        distinct: whether known children are replaced by new neighbors.

    Raises:
        ValueError: if no decision has two choices.
    """

    batch_size = 1
    on_policy = False

    def __init__(self, specs: Sequence[AgentSpec], seed: int, *, distinct: bool = True) -> None:
        self.layout = Layout(specs)
        self.proposals = NewProposals(self.layout, enabled=distinct)
        self.proposed = 0
        self.rng = np.random.default_rng(seed)
        self.mutable: NDArray[np.int64] = np.flatnonzero(self.layout.nvec > 1)
        if not len(self.mutable):
            raise MA2MLError("evolution needs a decision with at least two choices")

    @abstractmethod
    def propose(self) -> Genome:
        """Returns the next joint action, shape (D,)."""

    def act(self, observations: Observations) -> Actions:
        """Proposes B joint actions from the present state."""
        drawn = []
        for _ in range(rows_of(observations)):
            drawn.append(self.proposals.draw(self._children, 1, self.rng.random))
            self.proposed += 1
        return self.layout.split(np.concatenate(drawn))

    def learn(self, joint: NDArray[np.int64]) -> None:
        """Records joint actions, shape (B, D), as evaluated."""
        self.proposals.learn(joint)

    def _children(self, rows: int) -> NDArray[np.int64]:
        return np.stack([self.propose() for _ in range(rows)])

    def random_genome(self) -> Genome:
        """Returns a joint action of uniform decisions, canonical, shape (D,)."""
        genome: Genome = self.layout.uniform(1, self.rng)[0]
        return genome

    def mutable_in(self, parent: Genome) -> NDArray[np.int64]:
        """Returns the active decisions of a joint action, shape (D,), that have at least two choices."""
        active = self.layout.active(parent[None])[0]
        return np.intersect1d(self.mutable, np.flatnonzero(active), assume_unique=True)

    def mutate(self, parent: Genome, positions: NDArray[np.int64]) -> Genome:
        """Returns a copy of a joint action in which some decisions change, each uniformly among its other choices.

        Decisions that become active are uniform.

        Args:
            parent: shape (D,).
            positions: the decisions to change, from `mutable_in`.

        Returns:
            Canonical, shape (D,).

        Source: the mutation of regularized evolution and of nevergrad's DiscreteOnePlusOne.
        """
        sizes = self.layout.nvec[positions]
        child = parent.copy()
        if self.layout.conditional:
            inactive = ~self.layout.active(parent[None])[0]
            child[inactive] = self.rng.integers(self.layout.nvec[inactive])
        child[positions] = (child[positions] + self.rng.integers(1, sizes)) % sizes
        canonical: Genome = self.layout.canonical(child[None])[0]
        return canonical

    def state_dict(self) -> dict[str, Any]:
        """Returns random state, number of proposals and known pipelines."""
        return {
            "rng": self.rng.bit_generator.state,
            "proposed": self.proposed,
            "proposals": self.proposals.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        self.rng.bit_generator.state = state["rng"]
        self.proposed = state["proposed"]
        self.proposals.load_state_dict(state["proposals"])
