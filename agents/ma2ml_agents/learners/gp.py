"""Bayesian optimization: expected improvement under a Gaussian process over decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from ma2ml_agents.building_blocks.gaussian_process.acquisition import expected_improvement
from ma2ml_agents.building_blocks.gaussian_process.process import (
    GaussianProcess,
    KernelName,
    Posterior,
    Prior,
)
from ma2ml_agents.building_blocks.history import HistoryLearner
from ma2ml_agents.building_blocks.neighborhood import crossovers, mutants
from ma2ml_agents.building_blocks.new_proposals import Joint
from ma2ml_agents.building_blocks.settings import check_choice, check_range
from ma2ml_agents.building_blocks.standardize import normal_scores
from ma2ml_agents.learner import AgentSpec, Batch


class GP(HistoryLearner):
    """Proposes the pipeline with the highest expected improvement in a local and a global pool.

        EI(x) = E[max(Q(x) - best, 0)] = s (u Phi(u) + phi(u)),    u = (m - best) / s,    propose argmax_x EI(x)

    with Q a Gaussian process of mean m(x) and standard deviation s(x), fitted to normal scores of the rewards, best its
    highest mean at a known pipeline, and Phi and phi the standard normal distribution and density.

    The pool holds uniform pipelines, mutants and crossovers of the best pipelines so far, and, in further rounds,
    mutants of the most promising of the pool itself. Proposals without a result count as observed at their mean.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Jones et al., "Efficient Global Optimization of Expensive Black-Box Functions".
    """

    @dataclass
    class Config:
        """Settings of the Gaussian process and of its pool."""

        warmup: int = 10
        """Initial random pipelines. Source: tuned."""
        parents: int = 5
        """Best pipelines so far that span the local pool. Source: tuned."""
        local_pool: int = 100
        """Mutants and crossovers of the best pipelines. Source: tuned."""
        global_pool: int = 100
        """Uniform pipelines."""
        rounds: int = 6
        """Rounds of further mutants of the most promising candidates. The learner's time grows with them."""
        fit_every: int = 3
        """Results between two updates of the kernel's weights."""
        fit_steps: int = 5
        """Gradient steps per update. The learner's time grows with them."""
        total_weight: float = 0.5
        """Prior median of the sum of the kernel's weights, the distance in log-covariance of two pipelines without a
        common choice. Source: tuned."""
        kernel: KernelName = "product"
        """Interactions, main effects (`additive`), or both (`mixed`), which does not help expected improvement on the
        tuning problems."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_choice(self, "kernel", get_args(KernelName))
            check_range(self, 1, names=["warmup", "parents", "local_pool", "fit_every"])
            check_range(self, 0, names=["global_pool", "rounds", "fit_steps"])
            check_range(self, 1e-6, names=["total_weight"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, distinct=self.config.distinct)
        prior = Prior(total=self.config.total_weight)
        self.process = GaussianProcess(self.layout, prior=prior, kernel=self.config.kernel)

    def propose(self, rows: int) -> Joint:
        """Returns joint actions, shape (rows, D), chosen sequentially."""
        return np.concatenate([self._propose_one() for _ in range(rows)])

    def update(self, batch: Batch) -> Mapping[str, float]:
        """Adds a result; updates the kernel's weights at intervals."""
        numbers = dict(super().update(batch))
        if len(self.history) % self.config.fit_every == 0 and len(self.history) >= self.config.warmup:
            joint, rewards = self.history.training_data()
            if len(joint):
                numbers["log_density"] = self.process.learn(joint, normal_scores(rewards), self.config.fit_steps)
        return numbers

    def state_dict(self) -> dict[str, Any]:
        """Returns data, and the kernel's weights."""
        return super().state_dict() | {"process": self.process.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the learner from its `state_dict`."""
        super().load_state_dict(state)
        self.process.load_state_dict(state["process"])

    def _propose_one(self) -> Joint:
        joint, rewards = self.history.training_data()
        if len(self.history) + len(self.proposals.open) < self.config.warmup or not len(joint):
            return self.random_new(1)
        posterior = self._posterior(joint, normal_scores(rewards))
        best = float(posterior.fitted().max())
        pool = self._pool(joint[np.argsort(-rewards, kind="stable")[: self.config.parents]])
        scores = expected_improvement(*posterior.predict(pool), best)
        for _ in range(self.config.rounds):
            promising = pool[np.argsort(-scores, kind="stable")[: self.config.parents]]
            more = self._mutants(promising, self.config.local_pool // 2)
            pool = np.concatenate([pool, more])
            scores = np.concatenate([scores, expected_improvement(*posterior.predict(more), best)])
        return self.best_new(pool, scores, 1)

    def _posterior(self, joint: Joint, targets: np.ndarray) -> Posterior:
        posterior, pending = self.process.condition(joint, targets), self.proposals.open
        if not len(pending):
            return posterior
        believed = posterior.predict(pending)[0]
        return self.process.condition(np.concatenate([joint, pending]), np.concatenate([targets, believed]))

    def _pool(self, best: Joint) -> Joint:
        """Uniform pipelines, and mutants and crossovers of the best, shape (n, D)."""
        half = self.config.local_pool // 2
        mothers, fathers = (best[self.rng.integers(len(best), size=half)] for _ in range(2))
        crossed = crossovers(mothers, fathers, self.layout, self.rng)
        return np.concatenate([self.random(self.config.global_pool), self._mutants(best, half), crossed])

    def _mutants(self, parents: Joint, count: int) -> Joint:
        """Mutants with one to three changes, shape (count, D)."""
        chosen = parents[self.rng.integers(len(parents), size=count)]
        return mutants(chosen, self.rng.integers(1, 4, size=count), self.layout, self.rng)
