"""Base class of MA2ML and its on-policy form: a central critic, and advantages computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ma2ml_agents.building_blocks.critic import Critic
from ma2ml_agents.building_blocks.losses import counterfactual_advantage, shared_advantage
from ma2ml_agents.building_blocks.policy_gradient import PolicyConfig, PolicyLearner
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.building_blocks.standardize import Standardization, standardize
from ma2ml_agents.learner import AgentSpec


@dataclass
class ActorCriticConfig(PolicyConfig):
    """Settings of learners with a central critic."""

    credit_assignment: bool = True
    """Counterfactual baseline of each agent; off, all agents share one advantage. Source: MA2ML."""
    baseline_samples: int = 16
    """M, samples of an agent's policy for its counterfactual baseline."""
    critics: int = 4
    """Members of the critic's ensemble, whose mean is Q."""
    critic_hidden_size: int = 32
    """Units in each of the critic's two hidden layers."""
    critic_steps: int = 60
    """Gradient steps of the critic per update. More steps need fewer evaluations but more of the
    learner's time: half the default costs little, a fifth costs much."""
    critic_batch_size: int = 64
    """Transitions per gradient step of the critic."""
    critic_learning_rate: float = 2e-3
    """Learning rate (AdamW) of the critic."""
    critic_weight_decay: float = 0.1
    """Weight decay (AdamW) of the critic."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 1, names=["baseline_samples", "critics", "critic_hidden_size", "critic_batch_size"])
        check_range(self, 0, names=["critic_steps", "critic_learning_rate", "critic_weight_decay"])


class ActorCriticLearner(PolicyLearner):
    """A policy learner with a central critic of the joint action.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Attributes:
        standardization: of the rewards that the critic is trained on.

    Source: MA2ML.
    """

    standardization: Standardization = "quartiles"

    def __init__(self, specs: Sequence[AgentSpec], config: ActorCriticConfig, seed: int = 0) -> None:
        super().__init__(specs, config, seed)
        self._settings = config
        self.critic = Critic(self.layout, config.critic_hidden_size, config.critics, self.generator)
        self.critic_optimizer = torch.optim.AdamW(
            self.critic.parameters(),
            lr=config.critic_learning_rate,
            weight_decay=config.critic_weight_decay,
            fused=True,
        )

    def state_dict(self) -> dict[str, Any]:
        """Returns the base class's state and the critic."""
        critic = {"critic": self.critic.state_dict(), "critic_optimizer": self.critic_optimizer.state_dict()}
        return super().state_dict() | critic

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the base class's state and the critic."""
        super().load_state_dict(state)
        self.critic.load_state_dict(state["critic"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])

    def fit_critic(self, actions: Tensor, rewards: Tensor) -> float:
        """Trains the critic on transitions.

        Args:
            actions: shape (n, D).
            rewards: rewards as received, shape (n,); they are standardized here.

        Returns:
            Its squared error, in standard deviations squared.
        """
        return self.critic.fit(
            self.critic_optimizer,
            actions,
            standardize(rewards, self.standardization).float(),
            steps=self._settings.critic_steps,
            batch_size=self._settings.critic_batch_size,
            generator=self.generator,
        )

    @torch.no_grad()
    def advantages(self, actions: Tensor, samples: Tensor) -> Tensor:
        """Advantage of each agent over its baseline, estimated by the critic.

        Args:
            actions: joint actions, shape (B, D).
            samples: M samples of the current policies, shape (M, D).

        Returns:
            Shape (B, N), in standard deviations of the reward.
        """
        value = self._value(actions)
        if not self._settings.credit_assignment:
            return shared_advantage(value, self._value(samples))[:, None].expand(-1, self.layout.policies)
        replaced = self.critic.replaced(actions, samples)
        return torch.stack([counterfactual_advantage(value, values) for values in replaced], dim=1)

    def _value(self, actions: Tensor) -> Tensor:
        value: Tensor = self.critic(self.critic.one_hot(actions)).mean(dim=0)
        return value
