"""RMI-NAS's search: a random forest that classifies pipelines as good or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from ma2ml_agents.building_blocks.encoding import one_hot
from ma2ml_agents.building_blocks.history import HistoryLearner
from ma2ml_agents.building_blocks.neighborhood import mutants
from ma2ml_agents.building_blocks.new_proposals import Joint
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec


class RMIForest(HistoryLearner):
    """Proposes the candidate with the highest probability of being good under a random forest.

        t = the (1 - q) quantile of all rewards R,    propose argmax_x P(R(x) >= t)

    with q the fraction that counts as good, and P the mean over trees of the share of good pipelines in the leaf of x.

    Pipelines above a quantile of the rewards are good. Candidates are uniform pipelines and mutants of good ones.
    The forest's label in RMI-NAS, the mutual information of a network's and a teacher's representations, is replaced
    by the reward.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Zheng et al., "Neural Architecture Search with Representation Mutual Information".
    """

    @dataclass
    class Config:
        """Settings of the forest's search."""

        warmup: int = 20
        """Initial random pipelines. Source: tuned; RMI-NAS evaluates 100."""
        good: float = 0.3
        """Fraction of the pipelines that count as good. Source: tuned; RMI-NAS uses 0.05, fixed after the warm-up."""
        candidates: int = 500
        """Uniform candidates. Source: RMI-NAS draws 1,000."""
        mutants: int = 1000
        """Candidates that differ from a good pipeline in one to three decisions. RMI-NAS has none, which rarely
        finds good pipelines of many decisions. Source: tuned."""
        trees: int = 25
        """Trees of the forest. Source: tuned; RMI-NAS grows 30 to 140, depending on the search space."""
        refit_every: int = 1
        """Results between two refits of the forest."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 1, names=["warmup", "candidates", "trees", "refit_every"])
            check_range(self, 0, names=["mutants"])
            check_range(self, 0.0, 1.0, names=["good"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, distinct=self.config.distinct)
        self._fitted: tuple[int, RandomForestClassifier | None] = (-1, None)

    def propose(self, rows: int) -> Joint:
        """Joint actions, shape (rows, D)."""
        joint, rewards = self.history.training_data()
        if len(self.history) < self.config.warmup or not len(joint):
            return self.random_new(rows)
        forest = self.forest()
        if forest is None:
            return self.random_new(rows)
        good = joint[rewards >= np.quantile(rewards, 1.0 - self.config.good)]
        parents = good[self.rng.integers(len(good), size=self.config.mutants)]
        changes = self.rng.integers(1, 4, size=len(parents))
        near = mutants(parents, changes, self.layout, self.rng)
        candidates = np.concatenate([self.random(self.config.candidates), near])
        probability = forest.predict_proba(one_hot(candidates, self.layout))[:, 1]
        return self.best_new(candidates, probability, rows)

    def forest(self) -> RandomForestClassifier | None:
        """Returns the forest fitted to the results so far, a function of the seed; None while all are equally good."""
        results = len(self.history) // self.config.refit_every * self.config.refit_every
        if self._fitted[0] != results:
            joint, rewards = self.history.training_data(results)
            self._fitted = (results, self._fit(joint, rewards, results) if len(joint) else None)
        return self._fitted[1]

    def _fit(self, joint: Joint, rewards: np.ndarray, results: int) -> RandomForestClassifier | None:
        good = rewards >= np.quantile(rewards, 1.0 - self.config.good)
        if good.all():
            return None
        seed = int(self.model_rng(results).integers(2**31))
        forest = RandomForestClassifier(self.config.trees, random_state=seed)
        return forest.fit(one_hot(joint, self.layout), good)
