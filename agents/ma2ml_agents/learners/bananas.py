"""BANANAS: an ensemble of predictors, mutants of the best pipelines, and independent Thompson sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ma2ml_agents.building_blocks.encoding import one_hot
from ma2ml_agents.building_blocks.history import HistoryLearner
from ma2ml_agents.building_blocks.neighborhood import mutants
from ma2ml_agents.building_blocks.new_proposals import Joint
from ma2ml_agents.building_blocks.predictors import Fitting, fit_predictor
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec


class BANANAS(HistoryLearner):
    """Proposes mutants by independent Thompson sampling from an ensemble of perceptrons.

        v(x) ~ N(m(x), s(x)^2) for every mutant x,    propose argmax_x v(x)

    with m and s the mean and the standard deviation of the values Q_1(x), ..., Q_E(x) of E networks.

    The ensemble is refitted to all results before every proposal; the mutants differ from one of the best pipelines in
    one decision.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: White et al., "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search".
    """

    @dataclass
    class Config:
        """Settings of BANANAS."""

        batch_size: int = 5
        """Pipelines between two refits. Source: tuned; BANANAS has 10."""
        warmup: int = 20
        """Initial random pipelines. Source: tuned; BANANAS has 10."""
        parents: int = 10
        """Best pipelines that are mutated. Source: tuned; BANANAS has 1, and up to 5 in turn."""
        in_turn: bool = False
        """Mutate the best pipeline first, the next best only while there are fewer new mutants than `candidates`;
        otherwise all alike. Source: BANANAS does."""
        candidates: int = 100
        """Candidate mutants. Source: BANANAS."""
        members: int = 5
        """Networks in the ensemble. Source: BANANAS."""
        hidden_size: int = 64
        """Units in each of two hidden layers. Source: BANANAS has ten layers of 20."""
        epochs: int = 30
        """Passes over the data per fit. Source: tuned; BANANAS uses 150."""
        learning_rate: float = 1e-2
        """Learning rate (AdamW) of the networks. Source: tuned; BANANAS uses 0.01."""
        weight_decay: float = 0.3
        """Weight decay (AdamW) of the networks. Source: tuned."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(
                self,
                1,
                names=["batch_size", "warmup", "parents", "candidates", "members", "hidden_size", "epochs"],
            )
            check_range(self, 0.0, names=["learning_rate", "weight_decay"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, batch_size=self.config.batch_size, distinct=self.config.distinct)

    def propose(self, rows: int) -> Joint:
        """Joint actions, shape (rows, D)."""
        joint, rewards = self.history.training_data()
        if len(self.history) < self.config.warmup or not len(joint):
            return self.random_new(rows)
        config = self.config
        fitting = Fitting(
            config.members,
            config.hidden_size,
            config.epochs,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        predictor = fit_predictor(one_hot(joint, self.layout), rewards, fitting, int(self.rng.integers(2**31)))
        best = joint[np.argsort(-rewards, kind="stable")[: config.parents]]
        candidates = self._in_turn(best) if config.in_turn else self._mutants(best)
        mean, deviation = predictor.predict(one_hot(candidates, self.layout))
        return self.best_new(candidates, self.rng.normal(mean, deviation), rows)

    def _mutants(self, parents: Joint) -> Joint:
        """Mutants of parents drawn at random, shape (candidates, D)."""
        drawn = parents[self.rng.integers(len(parents), size=self.config.candidates)]
        return mutants(drawn, np.ones(len(drawn), dtype=np.int64), self.layout, self.rng)

    def _in_turn(self, ranked: Joint) -> Joint:
        """New distinct mutants, of each parent in turn until there are enough, shape (at most candidates, D)."""
        found = ranked[:0]
        for parent in ranked:
            found = np.concatenate([found, self._mutants(parent[None])])
            found = found[self.proposals.distinct(found)]
            if len(found) >= self.config.candidates:
                break
        return found[: self.config.candidates]
