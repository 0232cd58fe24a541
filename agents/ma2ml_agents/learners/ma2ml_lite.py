"""MA2ML-Lite: REINFORCE of every agent on the shared reward, with a moving-average baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ma2ml_agents.building_blocks.losses import moving_average
from ma2ml_agents.building_blocks.policy_gradient import PolicyConfig, PolicyLearner
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec, Batch


class MA2MLLite(PolicyLearner):
    """Ascends E_pi[R], one policy per agent, without a critic.

        grad_i J = E_pi[ grad log pi_i(A_i | S_i) * (R - b) ]

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: MA2ML-Lite; b is the baseline of NASNet's and AutoAugment's controllers.
    """

    @dataclass
    class Config(PolicyConfig):
        """Settings of MA2ML-Lite."""

        learning_rate: float = 0.4
        """Learning rate (Adam) of the policies. Source: tuned (`experiments/tuning.py`)."""
        baseline_decay: float = 0.9
        """Decay, per pipeline, of the average reward b. Source: tuned (`experiments/tuning.py`); NASNet's is 0.95."""

        def __post_init__(self) -> None:
            super().__post_init__()
            check_range(self, 0.0, 1.0, names=["baseline_decay"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, self.config, seed)
        self.baseline: float | None = None

    def update(self, batch: Batch) -> dict[str, float]:
        """Takes one gradient step; the first batch is its own baseline."""
        actions, rewards = self.transitions(batch)
        self.learn(actions)
        baseline = float(rewards.mean()) if self.baseline is None else self.baseline
        advantage = (rewards - baseline).float()[:, None].expand(-1, self.layout.policies)
        self.ascend(actions, advantage)
        for reward in rewards.tolist():
            self.baseline = moving_average(self.baseline, reward, self.config.baseline_decay)
        return {"baseline": baseline, "entropy": self.entropy_at(actions)}

    def state_dict(self) -> dict[str, Any]:
        """Returns the base class's state and the baseline."""
        return super().state_dict() | {"baseline": self.baseline}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        super().load_state_dict(state)
        self.baseline = state["baseline"]
