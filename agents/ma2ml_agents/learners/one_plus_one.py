"""(1+1) evolutionary algorithm: one parent, one child, the better survives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ma2ml_agents.building_blocks.evolution import Evolution, Genome
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec, Batch


class OnePlusOne(Evolution):
    """Mutates each decision of the best pipeline with the same probability, at least one; ties are accepted.

        x_d = another choice with probability k / D, else y_d,    y <- x if R(x) >= R(y)

    with y the parent, x its child, D the number of decisions, and k the expected number of `mutations`.

    Args:
        specs: the agents; their D decisions are one genome.
        config: settings.
        seed: seed of all randomness.

    Raises:
        ValueError: if no decision has two choices.

    Source: the (1+1)-EA with its standard mutation rate 1/D; similar to nevergrad's DiscreteOnePlusOne.
    """

    @dataclass
    class Config:
        """Settings of the (1+1)-EA."""

        mutations: float = 0.75
        """Expected number of mutated decisions; at least one is enforced. Source: tuned (`experiments/tuning.py`);
        the standard rate is 1, 1/D each."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 0.0, names=["mutations"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, distinct=self.config.distinct)
        self.parent: Genome | None = None
        self.best = -math.inf

    def propose(self) -> Genome:
        """Returns a child of the best pipeline so far, a random one if there is none, shape (D,)."""
        if self.parent is None:
            return self.random_genome()
        mutable = self.mutable_in(self.parent)
        changes = self.rng.random(len(mutable)) < self.config.mutations / len(mutable)
        if not changes.any():
            changes[self.rng.integers(len(changes))] = True
        return self.mutate(self.parent, mutable[changes])

    def update(self, batch: Batch) -> dict[str, float]:
        """Keeps the best pipeline, the newest of ties."""
        joint = self.layout.join(batch.actions)
        self.learn(joint)
        for genome, reward in zip(joint, batch.rewards.tolist(), strict=True):
            if reward >= self.best:
                self.parent, self.best = genome, reward
        return {"best": self.best}

    def state_dict(self) -> dict[str, Any]:
        """Returns the parent and the random state."""
        parent = None if self.parent is None else self.parent.tolist()
        return super().state_dict() | {"parent": parent, "best": self.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        super().load_state_dict(state)
        self.parent = None if state["parent"] is None else np.array(state["parent"])
        self.best = state["best"]
