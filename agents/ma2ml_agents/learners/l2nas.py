"""L2NAS: an actor-critic over relaxed choices, with the best pipelines as state and a quantile critic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ma2ml_agents.building_blocks.encoding import one_hot
from ma2ml_agents.building_blocks.history import HistoryLearner
from ma2ml_agents.building_blocks.losses import quantile_loss
from ma2ml_agents.building_blocks.new_proposals import Joint
from ma2ml_agents.building_blocks.predictors import perceptron
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec, Batch


class L2NAS(HistoryLearner):
    """Proposes the argmax per decision of an actor whose input is the average of the best pipelines so far.

        S = mean one-hot of the K best,   a = sigmoid(actor(S)) + noise,   x_d = argmax of decision d's block of a
        critic: min E rho_tau(z(R) - Q(onehot(x))),   actor: max Q(sigmoid(actor(S)))

    The networks take gradient steps after every result. They are a function of the history and the seed, and a
    checkpoint contains only these: loading one repeats the steps.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Mills et al., "L2NAS: Learning to Optimize Neural Architectures via Continuous-Action Reinforcement
        Learning", for the outline.
    """

    @dataclass
    class Config:
        """Settings of L2NAS; its method is published, its settings are not."""

        warmup: int = 10
        """Results before the first gradient step. Source: tuned."""
        best: int = 8
        """K, pipelines whose average is the actor's input. Source: tuned."""
        quantile: float = 0.9
        """tau, the quantile of the reward that the critic estimates. Source: tuned."""
        hidden_size: int = 128
        """Units in each of two hidden layers of actor and critic."""
        learning_rate: float = 1e-3
        """Learning rate (Adam) of actor and critic. Source: tuned."""
        sample: int = 32
        """Results per gradient step."""
        steps: int = 10
        """Gradient steps of the critic, and of the actor, per result."""
        noise: float = 0.1
        """Half the width of the uniform noise on the actor's output. Source: tuned."""
        epsilon_end: float = 0.05
        """Final probability of a uniform pipeline, annealed from 1."""
        epsilon_steps: int = 50
        """Pipelines over which it is annealed linearly. Source: tuned."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 1, names=["warmup", "best", "hidden_size", "sample", "epsilon_steps"])
            check_range(self, 0, names=["steps", "learning_rate", "noise"])
            check_range(self, 0.0, 1.0, names=["quantile", "epsilon_end"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, distinct=self.config.distinct)
        self._start()

    def propose(self, rows: int) -> Joint:
        """Joint actions, shape (rows, D)."""
        return self.proposals.draw(self._explore, rows, self.rng.random)

    def update(self, batch: Batch) -> Mapping[str, float]:
        """Adds a result; takes gradient steps after the warm-up."""
        numbers = dict(super().update(batch))
        return numbers | self._train(len(self.history))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`, by repeating its gradient steps."""
        super().load_state_dict(state)
        self._start()
        for results in range(1, len(self.history) + 1):
            self._train(results)

    @torch.no_grad()
    def output(self, results: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Returns relaxed choices in (0, 1) for the state after `results` results, noise-free, shape (sum of nvec,)."""
        relaxed: np.ndarray[Any, np.dtype[np.float32]] = torch.sigmoid(self.actor(self._state(results))).numpy()
        return relaxed

    def _start(self) -> None:
        """Initializes the networks from the seed."""
        generator, hidden = torch.Generator().manual_seed(self.seed), self.config.hidden_size
        choices = int(self.layout.nvec.sum())
        self.actor = perceptron((choices, hidden, hidden, choices), generator)
        self.critic = perceptron((choices, hidden, hidden, 1), generator)
        rate = self.config.learning_rate
        self._actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=rate, fused=True)
        self._critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=rate, fused=True)

    def _explore(self, rows: int) -> Joint:
        """The actor's choices with noise, uniform ones with probability epsilon, shape (rows, D)."""
        relaxed = self.output(len(self.history)) + self.rng.uniform(
            -self.config.noise, self.config.noise, (rows, int(self.layout.nvec.sum()))
        )
        blocks = np.split(np.clip(relaxed, 0.0, 1.0), self.layout.offsets[1:], axis=1)
        greedy = np.stack([block.argmax(axis=1) for block in blocks], axis=1)
        progress = min(1.0, len(self.history) / self.config.epsilon_steps)
        uniform = self.rng.random((rows, 1)) < 1.0 + (self.config.epsilon_end - 1.0) * progress
        return np.where(uniform, self.random(rows), greedy)

    def _state(self, results: int) -> Tensor:
        """Returns S: the mean one-hot of the best of the first `results` results; 0.5 everywhere without any."""
        joint, rewards = self.history.training_data(results)
        if not len(joint):
            return torch.full((int(self.layout.nvec.sum()),), 0.5)
        best = joint[np.argsort(-rewards, kind="stable")[: self.config.best]]
        return torch.from_numpy(one_hot(best, self.layout).mean(axis=0)).float()

    def _train(self, results: int) -> dict[str, float]:
        """Takes gradient steps on the first `results` results."""
        joint, rewards = self.history.training_data(results)
        if results < self.config.warmup or not len(joint) or not self.config.steps:
            return {}
        inputs = torch.from_numpy(one_hot(joint, self.layout)).float()
        targets = torch.from_numpy((rewards - rewards.mean()) / max(float(rewards.std()), 1e-12)).float()
        drawn = self.model_rng(results).integers(len(joint), size=(self.config.steps, self.config.sample))
        state, loss, value = self._state(results), torch.zeros(()), torch.zeros(())
        for rows in torch.from_numpy(drawn):
            loss = quantile_loss(self.critic(inputs[rows]).squeeze(-1), targets[rows], self.config.quantile)
            _step(self._critic_optimizer, loss)
        for _ in range(self.config.steps):
            value = self.critic(torch.sigmoid(self.actor(state))).sum()
            _step(self._actor_optimizer, -value)
        return {"critic_loss": float(loss.detach()), "actor_value": float(value.detach())}


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
