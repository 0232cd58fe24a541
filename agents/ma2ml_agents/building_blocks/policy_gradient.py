"""Base class of learners with policies: sampling and policy-gradient ascent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ma2ml_agents.building_blocks.feasibility import REDRAWS, Bounded
from ma2ml_agents.building_blocks.joint_action import Layout, rows_of
from ma2ml_agents.building_blocks.losses import policy_gradient_loss
from ma2ml_agents.building_blocks.new_proposals import NewProposals
from ma2ml_agents.building_blocks.policy import PolicyName, make_policy
from ma2ml_agents.building_blocks.settings import check_choice, check_range
from ma2ml_agents.learner import Actions, AgentSpec, Batch, Observations


@dataclass
class PolicyConfig:
    """Settings of every learner that has policies."""

    batch_size: int = 10
    """Pipelines per update. NASNet's controller uses 20."""
    learning_rate: float = 0.1
    """Learning rate (Adam) of the policies. Each learner has its own."""
    policy: PolicyName = "independent"
    """Form of each agent's policy: one softmax per decision, or an autoregressive LSTM (100 units), which needs a
    learning rate about ten times smaller. Source: NASNet's controller for the LSTM; the default measured better."""
    single_agent: bool = False
    """One policy for all decisions instead of one per agent. Source: the single agent that MA2ML is compared with."""
    decision_agents: bool = False
    """Each decision is an agent of its own: baselines are counterfactual per decision. Takes time with many decisions.
    Source: COMA's baseline, as far down as it goes."""
    distinct: bool = True
    """Never propose a known pipeline while new ones can be found: the policies are sampled again, then neighbors."""

    def __post_init__(self) -> None:
        check_range(self, 1, names=["batch_size"])
        check_range(self, 0.0, names=["learning_rate"])
        check_choice(self, "policy", get_args(PolicyName))


class PolicyLearner(Bounded):
    """Learner that acts by sampling its policies, again where a sample is known or infeasible.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness; the global random state is neither read nor changed.
    """

    on_policy = True

    def __init__(self, specs: Sequence[AgentSpec], config: PolicyConfig, seed: int = 0) -> None:
        self.batch_size = config.batch_size
        self.layout = Layout(specs, single_agent=config.single_agent, decision_agents=config.decision_agents)
        self.generator = torch.Generator().manual_seed(seed)
        self.policy = make_policy(config.policy, self.layout, self.generator)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=config.learning_rate, fused=True)
        self.proposals = NewProposals(self.layout, redraws=REDRAWS, enabled=config.distinct)

    def act(self, observations: Observations) -> Actions:
        """Samples B joint actions."""
        return self.layout.split(self.proposals.draw(self.sample, rows_of(observations), self.uniform))

    def learn(self, actions: Tensor) -> None:
        """Records joint actions, shape (B, D), as evaluated."""
        self.proposals.learn(actions.numpy())

    def sample(self, rows: int) -> NDArray[np.int64]:
        """Samples of the policies, canonical, shape (rows, D)."""
        drawn: NDArray[np.int64] = self.policy.sample(rows, self.generator).numpy()
        return drawn

    def uniform(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Independent uniform numbers in [0, 1) from the learner's generator."""
        numbers: NDArray[np.float32] = torch.rand(shape, generator=self.generator).numpy()
        return numbers

    def state_dict(self) -> dict[str, Any]:
        """Returns policies, optimizer, random state and known pipelines."""
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "proposals": self.proposals.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.proposals.load_state_dict(state["proposals"])

    def transitions(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Joint actions, shape (B, D), and rewards, float64, shape (B,), of a batch."""
        return torch.from_numpy(self.layout.join(batch.actions)), torch.tensor(batch.rewards, dtype=torch.float64)

    @torch.no_grad()
    def entropy_at(self, actions: Tensor) -> float:
        """Entropy of the joint policy, in nats, along joint actions of shape (B, D)."""
        return float(self.policy.entropy(actions).sum())

    def ascend(self, actions: Tensor, advantage: Tensor) -> None:
        """Takes one step along the policy gradient.

        Args:
            actions: samples of the policies, shape (B, D).
            advantage: advantage of each agent, shape (B, N).
        """
        self.minimize(policy_gradient_loss(self.policy.log_prob(actions), advantage))

    def minimize(self, loss: Tensor) -> None:
        """Takes one gradient step on a scalar loss."""
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
