"""MA2ML: replay, a central critic, counterfactual baselines, and policies held near their targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ma2ml_agents.building_blocks.actor_critic import ActorCriticConfig, ActorCriticLearner
from ma2ml_agents.building_blocks.joint_action import rows_of
from ma2ml_agents.building_blocks.losses import kl_penalty
from ma2ml_agents.building_blocks.new_proposals import Joint, NewProposals
from ma2ml_agents.building_blocks.replay import Replay
from ma2ml_agents.building_blocks.settings import check_choice, check_range
from ma2ml_agents.learner import Actions, AgentSpec, Batch, Observations

TargetName = Literal["polyak", "previous"]


class MA2ML(ActorCriticLearner):
    """Ascends E_pi[Q(S, A) - lambda KL(pi || rho)], lambda = kl_coef / D over D decisions, one policy per agent.

        Adv_i = Q(S, A) - E_{A_i' ~ pi_i} Q(S, A_i', A_-i) - lambda (log pi_i(A_i) / rho_i(A_i) - KL(pi_i || rho_i))
        grad_i J = E_{A ~ pi}[ grad log pi_i(A_i | S_i) * Adv_i ]

    Every update trains the critic on all transitions so far, then takes steps of the policies on fresh samples of
    theirs, which the critic scores: nothing is evaluated for them, and no importance weights are needed.

    Args:
        specs: the agents.
        config: settings.
        seed: of everything random in it.

    Source: MA2ML; that actors use fresh samples is DMAC's way.
    """

    @dataclass
    class Config(ActorCriticConfig):
        """Settings of MA2ML."""

        batch_size: int = 5
        """Pipelines per update. Source: tuned (`experiments/tuning.py`)."""
        learning_rate: float = 0.2
        """Learning rate (Adam) of the policies. Source: tuned."""
        critic_learning_rate: float = 1e-3
        """Learning rate (AdamW) of the critic. Source: tuned."""
        critic_weight_decay: float = 0.3
        """Weight decay (AdamW) of the critic. Source: tuned."""
        off_policy: bool = True
        """Learn from all transitions; off, critic and policies see the newest batch alone, once. Source: MA2ML."""
        distinct: bool = True
        """Never propose a pipeline twice: what is known gives way to a new neighbor. Only off-policy. Source: ours."""
        candidates: int = 32
        """New neighbors of which the most promising is proposed. Source: ours, found on a table of nine decisions and
        confirmed on the tuning problems."""
        optimism: float = 1.0
        """What makes a neighbor promising: the critics' mean and so many standard deviations among them. Source: upper
        confidence bounds; the value is ours."""
        warmup: int = 10
        """Random pipelines before the policies move. Source: tuned."""
        actor_steps: int = 60
        """Gradient steps of the policies per update. With `critic_steps` they are what the learner's time goes into: a
        third of both is about three times as fast. Source: tuned."""
        actor_samples: int = 64
        """Fresh joint actions in each step of the policies. Source: ours."""
        kl_coef: float = 9.0
        """Weight of the divergence from the target policies, averaged over the D decisions, for rewards of standard
        deviation 1; 0 switches it off. Source: MA2ML; the average is ours: under a weight of the sum, policies of few
        decisions, each worth much of the reward, are certain after a few batches. The value is tuned."""
        target: TargetName = "polyak"
        """Target policies: an average that follows the policies, or the policies before the update. Source: DMAC."""
        target_rate: float = 0.02
        """How far the average moves after each step of the policies. Source: ours, found on synthetic problems; DMAC's
        is 0.01."""

        def __post_init__(self) -> None:
            super().__post_init__()
            check_range(self, 0, names=["warmup", "actor_steps", "kl_coef", "optimism"])
            check_range(self, 1, names=["actor_samples", "candidates"])
            check_range(self, 0.0, 1.0, names=["target_rate"])
            check_choice(self, "target", get_args(TargetName))

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, self.config, seed)
        self.on_policy = not self.config.off_policy
        self.replay = Replay(len(self.layout))
        self.target_policy = self.policy.frozen_copy()
        distinct = self.config.distinct and self.config.off_policy
        self.proposals = NewProposals(self.layout, candidates=self.config.candidates) if distinct else None

    def act(self, observations: Observations) -> Actions:
        """Sample B joint actions, new ones unless told otherwise."""
        if self.proposals is None:
            return super().act(observations)
        return self.layout.split(self.proposals.draw(self.sample, rows_of(observations), self.uniform, self._promise))

    def update(self, batch: Batch) -> dict[str, float]:
        """Train the critic; after the warm-up, the policies too."""
        actions, rewards = self.transitions(batch)
        self.replay.add(actions, rewards)
        if self.proposals is not None:
            self.proposals.learn(actions.numpy())
        if self.config.off_policy:
            numbers = {"critic_error": self.fit_critic(self.replay.actions, self.replay.rewards)}
        else:
            numbers = {"critic_error": self.fit_critic(actions, rewards)}
        if len(self.replay) < self.config.warmup:
            return numbers
        if self.config.target == "previous":
            self.target_policy.follow(self.policy, rate=1.0)
        for _ in range(self.config.actor_steps if self.config.off_policy else 1):
            numbers["kl"] = self._improve_policies(None if self.config.off_policy else actions)
            if self.config.target == "polyak":
                self.target_policy.follow(self.policy, self.config.target_rate)
        return numbers | {"entropy": self.entropy_at(actions)}

    def state_dict(self) -> dict[str, Any]:
        """What the base class has, the target policies, the replay and the open proposals."""
        own = {"target": self.target_policy.state_dict(), "replay": self.replay.state_dict()}
        proposals = {} if self.proposals is None else {"proposals": self.proposals.state_dict()}
        return super().state_dict() | own | proposals

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become the learner whose `state_dict` this is."""
        super().load_state_dict(state)
        self.target_policy.load_state_dict(state["target"])
        self.replay.load_state_dict(state["replay"])
        if self.proposals is not None:
            self.proposals.load_state_dict(state["proposals"], self.replay.actions.numpy())

    @torch.no_grad()
    def _promise(self, joint: Joint) -> NDArray[np.floating[Any]]:
        """An optimist's value of joint actions, shape (n, D): above the critics' mean where they disagree."""
        values: Tensor = self.critic(self.critic.one_hot(torch.from_numpy(joint)))
        optimistic = values.mean(dim=0) + self.config.optimism * values.std(dim=0, correction=0)
        return optimistic.numpy()

    def _improve_policies(self, actions: Tensor | None) -> float:
        """One step of the policies, on given or fresh joint actions; returns KL(pi || rho) before it."""
        fresh = self.config.actor_samples if actions is None else 0
        drawn = self.policy.sample(fresh + self.config.baseline_samples, self.generator)
        samples = drawn[fresh:]
        actions = drawn[:fresh] if actions is None else actions
        with torch.no_grad():
            kl = self.policy.kl(self.target_policy, samples)
            penalty = kl_penalty(self.policy.log_prob(actions), self.target_policy.log_prob(actions), kl)
        self.ascend(actions, self.advantages(actions, samples) - self.config.kl_coef / len(self.layout) * penalty)
        return float(kl.sum())
