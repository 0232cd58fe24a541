"""Adapter of stable-baselines3's on-policy algorithms to the search loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, MultiDiscrete
from numpy.typing import NDArray
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from ma2ml_agents.building_blocks.joint_action import Layout, rows_of
from ma2ml_agents.building_blocks.private_random_state import PrivateRandomState
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import Actions, AgentSpec, Batch, Observations

PPO_MINIBATCH = 64
"""Transitions per gradient step. Source: stable-baselines3's default for PPO."""


@dataclass
class OnPolicyConfig:
    """Settings of stable-baselines3's on-policy algorithms; the defaults are A2C's."""

    batch_size: int = 5
    """Pipelines per update (`n_steps`). Source: stable-baselines3's default."""
    learning_rate: float = 7e-4
    """Learning rate (RMSprop). Source: stable-baselines3's default."""

    def __post_init__(self) -> None:
        check_range(self, 1, names=["batch_size"])
        check_range(self, 0.0, names=["learning_rate"])


class SB3Learner(ABC):
    """Adapter from an on-policy algorithm of stable-baselines3 to the `Learner` protocol.

    The update is the library's own: `act` samples its policy, `update` fills its `RolloutBuffer` with one-step
    episodes, as `collect_rollouts` does, and calls its `train`; only the loop is the search's. With the same
    observations, trials and policies equal those of the library's own `learn()`, bit for bit (tested). So it keeps
    neither to bounds on cost nor to new pipelines: a sample drawn again is not the library's. What exceeds a bound is a
    trial with reward 0.

    Its single policy acts in the action space of `ma2ml_env.make_joint`: all agents' decisions, in order. It observes
    all agents' observations, concatenated.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness; the global random states are neither read nor changed.

    Source: Raffin et al., "Stable-Baselines3: Reliable Reinforcement Learning Implementations".
    """

    Config: ClassVar[type[OnPolicyConfig]] = OnPolicyConfig
    on_policy = True

    def __init__(self, specs: Sequence[AgentSpec], config: OnPolicyConfig | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        self.layout = Layout(specs)
        self.batch_size = self.config.batch_size
        self._agents = [spec.name for spec in specs]
        self._random = PrivateRandomState(seed)
        env: gymnasium.Env[Any, Any] = gymnasium.Env()
        env.observation_space = Box(0.0, 1.0, (sum(spec.observation_size for spec in specs),), np.float32)
        env.action_space = MultiDiscrete(self.layout.nvec)
        with self._random:
            self.model = self.make_model(env)
        self.model.set_logger(Logger(folder=None, output_formats=[]))

    @abstractmethod
    def make_model(self, env: gymnasium.Env[Any, Any]) -> OnPolicyAlgorithm:
        """Returns the algorithm; subclasses define it.

        Args:
            env: provides the spaces; never stepped.
        """

    def act(self, observations: Observations) -> Actions:
        """Samples B joint actions sequentially, as `collect_rollouts` does."""
        rows_of(observations)
        self.model.policy.set_training_mode(False)
        with torch.no_grad(), self._random:
            joint = [self.model.policy(row)[0].numpy() for row in self._rows(observations)]
        return self.layout.split(np.concatenate(joint).astype(np.int64))

    def update(self, batch: Batch) -> dict[str, float]:
        """Fills the rollout buffer and trains on it.

        Returns:
            Entropy of the policy, in nats, and the value function's squared error.
        """
        self._fill(batch)
        with self._random:
            self.model.train()
        logged = self.model.logger.name_to_value
        return {"entropy": -float(logged["train/entropy_loss"]), "value_loss": float(logged["train/value_loss"])}

    def state_dict(self) -> dict[str, Any]:
        """Returns policy, optimizer and random states."""
        return {
            "policy": self.model.policy.state_dict(),
            "optimizer": self.model.policy.optimizer.state_dict(),
            "random": self._random.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        self.model.policy.load_state_dict(state["policy"])
        self.model.policy.optimizer.load_state_dict(state["optimizer"])
        self._random.load_state_dict(state["random"])

    def _rows(self, observations: Observations) -> list[Tensor]:
        """Observations of the policy in B episodes, B tensors of shape (1, S)."""
        seen = np.concatenate([observations[agent] for agent in self._agents], axis=1, dtype=np.float32)
        return [torch.from_numpy(row[None]) for row in seen]

    @torch.no_grad()
    def _fill(self, batch: Batch) -> None:
        """Adds B one-step episodes to the rollout buffer, with their values and log-probabilities."""
        policy, buffer = self.model.policy, self.model.rollout_buffer
        policy.set_training_mode(False)
        buffer.reset()
        begins: NDArray[np.bool_] = np.ones(1, dtype=np.bool_)
        values = torch.zeros(1, 1)
        joint = self.layout.join(batch.actions)
        for seen, action, reward in zip(self._rows(batch.observations), joint, batch.rewards, strict=True):
            values, log_prob, _ = policy.evaluate_actions(seen, torch.from_numpy(action[None]))
            buffer.add(seen.numpy(), action[None], np.array([reward], np.float32), begins, values, log_prob)
        buffer.compute_returns_and_advantage(last_values=values, dones=begins)


class SB3PPO(SB3Learner):
    """PPO of stable-baselines3; all settings but the batch are the library's defaults.

        max E[min(r A, clip(r, 1 - c, 1 + c) A)] - 1/2 E[(R - V)^2],    r = pi(x) / pi_old(x),    A = R - V

    with V the value of the constant state, c the clip range, 0.2, and A standardized within a minibatch.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Schulman et al., "Proximal Policy Optimization Algorithms"; stable-baselines3's implementation.
    """

    @dataclass
    class Config(OnPolicyConfig):
        """Settings of stable-baselines3's PPO."""

        batch_size: int = 10
        """Pipelines per update (`n_steps`). The default is that of the other policy learners; the library's 2048
        exceeds a search's budget. A gradient step uses all of them, but at most the library's 64."""
        learning_rate: float = 3e-4
        """Learning rate (Adam). Source: stable-baselines3's default."""

        def __post_init__(self) -> None:
            check_range(self, 2, names=["batch_size"])
            super().__post_init__()

    def make_model(self, env: gymnasium.Env[Any, Any]) -> OnPolicyAlgorithm:
        """Returns the library's `PPO`."""
        size = self.batch_size
        return PPO(
            "MlpPolicy",
            env,
            learning_rate=self.config.learning_rate,
            n_steps=size,
            batch_size=min(size, PPO_MINIBATCH),
            device="cpu",
        )


class SB3A2C(SB3Learner):
    """A2C of stable-baselines3; all settings are the library's defaults.

        max E[A log pi(x)] - 1/2 E[(R - V)^2],    A = R - V

    with V the value of the constant state.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Mnih et al., "Asynchronous Methods for Deep Reinforcement Learning"; stable-baselines3's implementation.
    """

    def make_model(self, env: gymnasium.Env[Any, Any]) -> OnPolicyAlgorithm:
        """Returns the library's `A2C`."""
        return A2C("MlpPolicy", env, learning_rate=self.config.learning_rate, n_steps=self.batch_size, device="cpu")
