"""Random search: uniform joint actions. NASNet's authors call it "a difficult baseline to beat"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.feasibility import Feasibility
from ma2ml_agents.building_blocks.joint_action import Layout, rows_of
from ma2ml_agents.learner import Actions, AgentSpec, Batch, CostFunction, Observations


class RandomSearch:
    """Draws every choice uniformly, without learning.

        p(x) = prod_d 1 / n_d

    with n_d the number of choices of decision d.

    Args:
        specs: the agents.
        config: settings, of which there are none.
        seed: seed of its draws.

    Source: the baseline of NASNet and of every comparison.
    """

    @dataclass
    class Config:
        """Random search has no settings."""

    batch_size = 1
    on_policy = False

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.layout = Layout(specs)
        self.rng = np.random.default_rng(seed)
        self.feasibility = Feasibility(self.layout)

    def use_cost(self, cost: CostFunction, *, max_flops: float | None = None, max_params: float | None = None) -> None:
        """Draws uniformly among the pipelines within bounds, by rejection."""
        self.feasibility = Feasibility(self.layout, cost, max_flops=max_flops, max_params=max_params)

    def act(self, observations: Observations) -> Actions:
        """Draws B joint actions."""
        return self.layout.split(self.feasibility.draw(self._sample, rows_of(observations)))

    def update(self, batch: Batch) -> dict[str, float]:
        """Does nothing."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Returns the random state."""
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        self.rng.bit_generator.state = state["rng"]

    def _sample(self, rows: int) -> NDArray[np.int64]:
        return self.layout.uniform(rows, self.rng)
