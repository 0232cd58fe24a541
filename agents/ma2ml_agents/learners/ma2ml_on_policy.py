"""MA2ML on-policy: critic and counterfactual baselines on the newest batch alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ma2ml_agents.building_blocks.actor_critic import ActorCriticConfig, ActorCriticLearner
from ma2ml_agents.learner import AgentSpec, Batch


class MA2MLOnPolicy(ActorCriticLearner):
    """Ascends E_pi[Q(S, A)], one policy per agent, using the newest batch alone.

        grad_i J = E_{A ~ pi}[ grad log pi_i(A_i | S_i) * (Q(S, A) - E_{A_i' ~ pi_i} Q(S, A_i', A_-i)) ]

    It adds credit assignment to MA2ML-Lite; MA2ML adds off-policy learning.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: named, but not defined, in MA2ML.
    """

    @dataclass
    class Config(ActorCriticConfig):
        """Settings of MA2ML on-policy."""

        learning_rate: float = 0.6
        """Learning rate (Adam) of the policies. Source: tuned (`experiments/tuning.py`)."""
        batch_size: int = 20
        """Pipelines per update. Source: tuned; NASNet's controller uses 20, too."""
        critic_learning_rate: float = 1e-3
        """Learning rate (AdamW) of the critic. Source: tuned."""

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, self.config, seed)

    def update(self, batch: Batch) -> dict[str, float]:
        """Trains the critic, then takes one step of the policies, both on this batch."""
        actions, rewards = self.transitions(batch)
        self.learn(actions)
        error = self.fit_critic(actions, rewards)
        samples = self.policy.sample(self.config.baseline_samples, self.generator)
        self.ascend(actions, self.advantages(actions, samples))
        return {"critic_error": error, "entropy": self.entropy_at(actions)}
