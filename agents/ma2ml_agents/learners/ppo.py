"""PPO: several clipped policy-gradient steps on each batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ma2ml_agents.building_blocks.losses import clipped_surrogate_loss, moving_average
from ma2ml_agents.building_blocks.policy_gradient import PolicyConfig, PolicyLearner
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec, Batch


class PPO(PolicyLearner):
    """Independent PPO, one policy per agent.

        max E[min(r_i A, clip(r_i, 1 - c, 1 + c) A)],    r_i = pi_i(A_i | S_i) / pi_i_old(A_i | S_i),    A = (R - V) / s

    with V a moving average of rewards, s the standard deviation of the batch's, and c the clip range.

    The state of these games is constant and the reward is shared, so the value function of an agent and the central one
    of MAPPO are the same number: MAPPO is this algorithm, too.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Schulman et al., "Proximal Policy Optimization Algorithms"; with several agents, de Witt et al., "Is
    Independent Learning All You Need in the StarCraft Multi-Agent Challenge?". NASNet's controller is trained by it.
    """

    @dataclass
    class Config(PolicyConfig):
        """Settings of PPO."""

        batch_size: int = 5
        """Pipelines per update. Source: tuned (`experiments/tuning.py`)."""
        learning_rate: float = 0.2
        """Learning rate (Adam) of the policies. Source: tuned; NASNet's is 3.5e-4, for many more pipelines."""
        epochs: int = 5
        """Gradient steps on each batch. Source: tuned; stable-baselines3's default is 10."""
        clip: float = 0.2
        """Clip range of probability ratios around 1. Source: tuned; the PPO paper's is the same."""
        entropy_coef: float = 1e-3
        """Weight of the policies' entropy. Source: tuned; NASNet's is 1e-5."""
        value_decay: float = 0.5
        """Decay, per batch, of the value, a moving average of rewards."""

        def __post_init__(self) -> None:
            super().__post_init__()
            check_range(self, 1, names=["epochs"])
            check_range(self, 0, names=["clip", "entropy_coef"])
            check_range(self, 0.0, 1.0, names=["value_decay"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, self.config, seed)
        self.value: float | None = None

    def update(self, batch: Batch) -> dict[str, float]:
        """Takes `epochs` gradient steps on this batch; the first batch is its own value."""
        actions, rewards = self.transitions(batch)
        self.learn(actions)
        mean = float(rewards.mean())
        value = mean if self.value is None else self.value
        self.value = moving_average(self.value, mean, self.config.value_decay)
        scale = rewards.std(correction=0).clamp(min=1e-8)
        with torch.no_grad():
            old_log_prob = self.policy.log_prob(actions)
        advantage = ((rewards - value) / scale).float()[:, None].expand_as(old_log_prob)
        for _ in range(self.config.epochs):
            log_prob = self.policy.log_prob(actions)
            surrogate = clipped_surrogate_loss(log_prob, old_log_prob, advantage, self.config.clip)
            self.minimize(surrogate - self.config.entropy_coef * self.policy.entropy(actions).sum())
        return {"value": value, "entropy": self.entropy_at(actions)}

    def state_dict(self) -> dict[str, Any]:
        """Returns the base class's state and the value."""
        return super().state_dict() | {"value": self.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        super().load_state_dict(state)
        self.value = state["value"]
