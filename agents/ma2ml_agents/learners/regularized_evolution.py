"""Regularized evolution: tournament selection in an aging population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ma2ml_agents.building_blocks.evolution import Evolution, Genome
from ma2ml_agents.building_blocks.settings import check_choice, check_range
from ma2ml_agents.learner import AgentSpec, Batch

Mutation = Literal["uniform", "by_kind"]


class RegularizedEvolution(Evolution):
    """Mutates one decision of the best of a random sample; the child replaces the oldest of the population.

        y = argmax R over S of the P newest pipelines,    x = y but for one decision,    x_d uniform over the others

    with S of the population drawn without replacement, y the parent and x its child.

    Args:
        specs: the agents; their decisions are one genome.
        config: settings.
        seed: seed of all randomness.

    Raises:
        ValueError: if no decision has two choices.

    Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", algorithm 1.
    """

    @dataclass
    class Config:
        """Settings of regularized evolution."""

        population: int = 10
        """P, size of the population. Source: tuned (`experiments/tuning.py`)."""
        sample: int = 10
        """S, how many of them compete to be the parent. Source: tuned."""
        mutation: Mutation = "uniform"
        """Decision that changes: each with equal probability, or, by kind, half the time one with `input` in its name
        and half the time another, after AmoebaNet's mutations of inputs and of operations."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 1, names=["population", "sample"])
            check_choice(self, "mutation", get_args(Mutation))

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, distinct=self.config.distinct)
        self._inputs = np.array(["input" in name for name in self.layout.names])
        self.population: list[Genome] = []
        self.rewards: list[float] = []

    def propose(self) -> Genome:
        """Returns a random pipeline until the population is full, then a child of it, shape (D,)."""
        if self.proposed < self.config.population or not self.population:
            return self.random_genome()
        rivals = self.rng.choice(len(self.population), min(self.config.sample, len(self.population)), replace=False)
        parent = self.population[max(rivals, key=lambda rival: self.rewards[rival])]
        mutable = self.mutable_in(parent)
        if self.config.mutation == "by_kind":
            kind = mutable[self._inputs[mutable] == (self.rng.random() < 0.5)]
            mutable = kind if len(kind) else mutable
        return self.mutate(parent, self.rng.choice(mutable, 1))

    def update(self, batch: Batch) -> dict[str, float]:
        """Adds the newest pipeline and removes the oldest."""
        joint = self.layout.join(batch.actions)
        self.learn(joint)
        self.population = [*self.population, *joint][-self.config.population :]
        self.rewards = [*self.rewards, *batch.rewards.tolist()][-self.config.population :]
        return {"population_mean": float(np.mean(self.rewards))}

    def state_dict(self) -> dict[str, Any]:
        """Returns the population and the random state."""
        return super().state_dict() | {
            "population": [genome.tolist() for genome in self.population],
            "rewards": list(self.rewards),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        super().load_state_dict(state)
        self.rewards = list(state["rewards"])
        self.population = [np.array(genome) for genome in state["population"]]
