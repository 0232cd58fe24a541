"""Policies under a Gaussian process: the exact ascent of their regularized value, and its weight of the divergence."""

from __future__ import annotations

import math

import numpy as np

from ma2ml_agents.building_blocks.gaussian_process.expected_value import SMALLEST, ExpectedValue
from ma2ml_agents.building_blocks.gaussian_process.kernel import Floats
from ma2ml_agents.building_blocks.gaussian_process.process import Posterior
from ma2ml_agents.building_blocks.gaussian_process.settings import ProcessConfig
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.natural_gradient import limited_step

LEAST = 0.01
"""Least share of the weight of the divergence that is left, so that it recovers soon."""


class ProcessActor:
    """Ascends E_pi[Q] - lambda KL(pi || rho) for independent policies, lambda at most kl_coef / D.

    The more good pipelines there are, the less do they differ beside the noise, and under a constant lambda the
    policies would spread again. Therefore lambda follows an upper limit of the entropy:

        lambda <- lambda exp(h - H(pi) / H(uniform)),    h = 1 / (1 + n / entropy_halving)

    after n results, and stays in [kl_coef / 100 D, kl_coef / D].

    Args:
        layout: the decisions.
        config: settings.

    Attributes:
        kl_weight: lambda.

    Source: soft actor-critic's temperature follows a target entropy likewise; that the target falls is ours.
    """

    def __init__(self, layout: Layout, config: ProcessConfig) -> None:
        self._layout, self._config = layout, config
        self._uniform_entropy = max(float(np.log(layout.nvec).sum()), SMALLEST)
        self._most = config.gp_kl_coef / len(layout)
        self.kl_weight = self._most

    def improve(self, policies: Floats, targets: Floats, posterior: Posterior, results: int) -> tuple[Floats, float]:
        """New policies and their value E_pi[Q].

        Args:
            policies: pi, padded with 0, shape (D, n).
            targets: rho, likewise.
            posterior: whose mean is Q.
            results: n, the number of results so far.
        """
        if self._config.entropy_halving:
            limit = 1.0 / (1.0 + results / self._config.entropy_halving)
            excess = entropy(policies) / self._uniform_entropy - limit
            self.kl_weight = min(max(self.kl_weight * math.exp(-excess), LEAST * self._most), self._most)
        expected = ExpectedValue(self._layout, posterior)
        best = expected.ascend(policies, targets, self.kl_weight, self._config.policy_sweeps)
        if self._config.policy_step:
            groups = self._layout.owner if self._config.step_by_agent else np.zeros_like(self._layout.owner)
            best = limited_step(policies, best, self._config.policy_step, groups)
        return best, expected.value(best)


def entropy(policies: Floats) -> float:
    """Entropy of independent policies, padded with 0, shape (D, n), in nats."""
    return -float((policies * np.log(np.maximum(policies, SMALLEST))).sum())
