"""The central critic as a Gaussian process, conditioned on the data so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.gaussian_process.kernel import Floats, Joint
from ma2ml_agents.building_blocks.gaussian_process.process import GaussianProcess, Posterior
from ma2ml_agents.building_blocks.gaussian_process.settings import ProcessConfig
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.standardize import standardize
from ma2ml_env.errors import MA2MLError

GROWTH = 0.05
LEARNED_FROM = 300


class ProcessCritic:
    """Gaussian process Q(S, A) on standardized rewards.

    Normal scores, the default, keep the best pipelines apart however close their rewards are. The kernel's weights take
    a few gradient steps whenever the data have grown by five percent. Its state is data and weights: the posterior is
    rebuilt from them.

    Args:
        layout: the decisions.
        config: settings.
    """

    def __init__(self, layout: Layout, config: ProcessConfig) -> None:
        self.process = GaussianProcess(layout, kernel=config.kernel, ordered=config.ordered)
        self._fit_steps, self._limit = config.fit_steps, config.gp_limit
        self._standardization = config.standardization_for("ranks")
        self._learned = 0
        self._posterior: Posterior | None = None
        self._targets: Floats = np.empty(0)

    @property
    def posterior(self) -> Posterior:
        """Posterior given the data.

        Raises:
            MA2MLError: before the first data.
        """
        if self._posterior is None:
            raise MA2MLError("this critic has no data yet")
        return self._posterior

    @property
    def fitted(self) -> Floats:
        """Posterior mean at the posterior's own joint actions, shape (n,)."""
        return self._targets - self.process.weights.noise * self.posterior.alpha

    def fit(self, joint: Joint, rewards: Floats) -> float:
        """Conditions on all data, and adjusts the kernel's weights where that is due.

        Args:
            joint: shape (n, D), in the order of evaluation.
            rewards: as paid, shape (n,).

        Returns:
            Mean squared error of the posterior mean, in standardized rewards.
        """
        if len(rewards) >= self._learned * (1.0 + GROWTH) + 2:
            rows, scores = most_informative(rewards, LEARNED_FROM), self._scores(rewards)
            self.process.learn(joint[rows], scores[rows], self._fit_steps)
            self._learned = len(rewards)
        self.condition(joint, rewards)
        return float(np.mean((self.fitted - self._targets) ** 2))

    def condition(self, joint: Joint, rewards: Floats) -> None:
        """Conditions on data of shapes (n, D) and (n,); the kernel's weights stay."""
        rows, scores = most_informative(rewards, self._limit), self._scores(rewards)
        self._targets = scores[rows]
        self._posterior = self.process.condition(joint[rows], self._targets)

    def believing(self, pending: Joint) -> Posterior:
        """Posterior in which proposals without a result, shape (m, D), count as observed at their mean."""
        if not len(pending):
            return self.posterior
        joint = np.concatenate([self.posterior.joint, pending])
        return self.process.condition(joint, np.concatenate([self._targets, self.posterior.predict(pending)[0]]))

    def _scores(self, rewards: Floats) -> Floats:
        scores: Floats = standardize(torch.from_numpy(rewards), self._standardization).numpy()
        return scores

    def state_dict(self) -> dict[str, Any]:
        """Weights, and the number of results that they were last adjusted to."""
        return {"process": self.process.state_dict(), "learned": self._learned}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the weights; `condition` restores the posterior."""
        self.process.load_state_dict(state["process"])
        self._learned = state["learned"]
        self._posterior = None


def most_informative(rewards: Floats, limit: int) -> NDArray[np.int64]:
    """Row numbers of at most `limit` results: the best and the newest, half each, in order."""
    if len(rewards) <= limit:
        return np.arange(len(rewards))
    best = np.argsort(-rewards, kind="stable")
    newest = np.setdiff1d(np.arange(len(rewards)), best[: limit // 2])[-(limit - limit // 2) :]
    return np.sort(np.concatenate([best[: limit // 2], newest]))
