"""MIGO: natural-gradient ascent on one categorical distribution per decision; SNG and ASNG are special cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.feasibility import Bounded
from ma2ml_agents.building_blocks.joint_action import Layout, rows_of
from ma2ml_agents.building_blocks.natural_gradient import (
    Categoricals,
    StepAdaptation,
    log_utility,
    piecewise_utility,
)
from ma2ml_agents.building_blocks.new_proposals import Joint, NewProposals
from ma2ml_agents.building_blocks.settings import check_choice, check_range
from ma2ml_agents.learner import Actions, AgentSpec, Batch, Observations

Utility = Literal["log", "piecewise"]


class MIGO(Bounded):
    """Natural-gradient ascent of the expected utility over a product of categorical distributions.

        g_d = 1/L sum_k w_k (onehot(x_kd) - theta_d),    v <- gamma v + (1 - gamma) eps g,    theta <- theta + v

    with w the utilities of the L samples' ranks, and eps such that eps g has the given Fisher length.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Zheng et al., "MIGO-NAS: Towards Fast and Generalizable Neural Architecture Search"; Akimoto et al.,
        "Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search", for SNG and ASNG.
    """

    @dataclass
    class Config:
        """Settings of MIGO; `momentum=0`, `utility="piecewise"`, `batch_size=2` is SNG, `adaptive` makes it ASNG."""

        batch_size: int = 10
        """L, samples per update. Source: the published code uses the number of operations, 8; SNG 2, ASNG 6."""
        step: float = 1.5
        """delta, Fisher length of a step. Source: tuned; the published length is 1, without growth."""
        step_grows: bool = True
        """Multiply the step by the square root of the number D of decisions. Without it, 89 decisions hardly move in
        300 pipelines."""
        utility: Utility = "log"
        """Utility of ranks. Source: MIGO's is log, SNG's piecewise constant."""
        utility_scale: float = 0.4
        """f, factor of the log utility. Source: the published code."""
        momentum: float = 0.0
        """gamma, the momentum. Source: tuned; 0.5 in the published code, SNG has none."""
        adaptive: bool = False
        """Adapt the step to the signal-to-noise ratio of the gradient. Source: ASNG."""
        adaptation: float = 1.5
        """alpha, the target ratio of the adaptation. Source: ASNG."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 2, names=["batch_size"])
            check_range(self, 0.0, names=["step", "utility_scale"])
            check_range(self, 0.0, 1.0, names=["momentum"])
            check_range(self, 1.0, names=["adaptation"])
            check_choice(self, "utility", get_args(Utility))

    on_policy = True

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        self.batch_size = self.config.batch_size
        self.layout = Layout(specs)
        self.rng = np.random.default_rng(seed)
        self.distribution = Categoricals(self.layout.nvec)
        self.velocity: NDArray[np.float64] = np.zeros_like(self.distribution.theta)
        self.adaptation = StepAdaptation(self.distribution.parameters, self.config.adaptation)
        self.proposals = NewProposals(self.layout, enabled=self.config.distinct)

    def act(self, observations: Observations) -> Actions:
        """Samples B joint actions."""
        return self.layout.split(self.proposals.draw(self._sample, rows_of(observations), self.rng.random))

    def update(self, batch: Batch) -> dict[str, float]:
        """Takes one natural-gradient step, unless all rewards are equal."""
        joint = self.layout.join(batch.actions)
        self.proposals.learn(joint)
        if np.ptp(batch.rewards) > 0:
            self._step(joint, self._utilities(batch.rewards))
        return {"entropy": self.distribution.entropy()}

    def state_dict(self) -> dict[str, Any]:
        """Returns distribution, momentum, adaptation, known pipelines and random state."""
        return {
            "theta": self.distribution.theta.tolist(),
            "velocity": self.velocity.tolist(),
            "path": self.adaptation.path.tolist(),
            "adaptation": [self.adaptation.weight, self.adaptation.slowdown],
            "proposals": self.proposals.state_dict(),
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        self.distribution.theta = np.array(state["theta"])
        self.velocity, self.adaptation.path = np.array(state["velocity"]), np.array(state["path"])
        self.adaptation.weight, self.adaptation.slowdown = state["adaptation"]
        self.proposals.load_state_dict(state["proposals"])
        self.rng.bit_generator.state = state["rng"]

    def _sample(self, rows: int) -> Joint:
        return self.distribution.sample(rows, self.rng)

    def _utilities(self, rewards: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.config.utility == "log":
            return log_utility(rewards, self.config.utility_scale)
        return piecewise_utility(rewards)

    def _step(self, joint: Joint, utilities: NDArray[np.float64]) -> None:
        decisions = max(int((self.layout.nvec > 1).sum()), 1)
        growth = math.sqrt(decisions) if self.config.step_grows else 1.0
        length = self.config.step * growth / self.adaptation.slowdown
        gradient = self.distribution.gradient(joint, utilities, self.layout.active(joint))
        whitened = self.distribution.whitened(gradient)
        size = float(np.linalg.norm(whitened))
        if size <= 0:
            return
        momentum = self.config.momentum
        self.velocity = momentum * self.velocity + (1.0 - momentum) * length / size * gradient
        self.distribution.move(self.velocity)
        if self.config.adaptive:
            self.adaptation.update(whitened / size, length)
