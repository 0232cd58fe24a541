"""NARS: a predictor pretrained on costs, iterative search of a pool, then predictor-based evolution."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from ma2ml_agents.building_blocks.cost_encoder import CostEncoderPredictor, EncoderFitting, decisions_with_cost
from ma2ml_agents.building_blocks.encoding import one_hot
from ma2ml_agents.building_blocks.history import HistoryLearner
from ma2ml_agents.building_blocks.neighborhood import crossovers, mutants
from ma2ml_agents.building_blocks.new_proposals import Joint
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec, CostFunction

GENERATIONS, GAIN = 50, 1e-6
"""Limits of the inner evolution: most generations, and least gain of the best prediction."""


class NARS(HistoryLearner):
    """Two-stage search on a predictor whose encoder is pretrained to predict the cost of architectures.

        e = Enc(x_a),    first min Huber(Cost(e) - log c(x)),    then min Huber(Q(e, x_b) - z(R)),    propose argmax_x Q

    with x_a the one-hot decisions of the agents that change the cost c, x_b the others, and z(R) standardized rewards.

    The first stage evaluates the head of a pool of quasi-random pipelines, then, round by round, the best predicted.
    The second is an inner evolution with mutation and crossover, whose best predicted new pipelines are proposed. The
    predictor is refitted to all results before every proposal. Without costs the encoder is not pretrained.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Dai et al., "FBNetV3: Joint Architecture-Recipe Search using Predictor Pretraining".
    """

    @dataclass
    class Config:
        """Settings of NARS; FBNetV3's authors published no code."""

        batch_size: int = 12
        """Pipelines between two refits."""
        pretraining: int = 2000
        """Random pipelines whose costs pretrain the encoder."""
        pool: int = 2048
        """Quasi-random pipelines of the first stage, a power of two."""
        first_round: int = 32
        """Pipelines of the pool that are evaluated before the first fit, rounded up to whole batches: 36 of 12 each."""
        pool_results: int = 68
        """Results after which evolution replaces the pool, rounded up to whole batches: 72 of 12 each."""
        elite: int = 50
        """Best predicted pipelines in the first population."""
        random: int = 50
        """Random pipelines in the first population."""
        children: int = 1
        """Mutants, and crossovers, per pipeline of a generation."""
        population: int = 100
        """Best predicted pipelines of a generation that survive."""
        epochs: int = 30
        """Passes over the data per fit; a pretrained encoder is frozen in half of them. Source: tuned."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            counts = ["batch_size", "pool", "first_round", "elite", "children", "population", "epochs"]
            check_range(self, 1, names=counts)
            check_range(self, 0, names=["pretraining", "pool_results", "random"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, batch_size=self.config.batch_size, distinct=self.config.distinct)
        self._prepared: tuple[int, Joint, CostEncoderPredictor] | None = None

    def use_cost(self, cost: CostFunction, *, max_flops: float | None = None, max_params: float | None = None) -> None:
        """Pretrains the encoder on costs, and keeps all proposals within bounds."""
        super().use_cost(cost, max_flops=max_flops, max_params=max_params)
        self._prepared = None

    def propose(self, rows: int) -> Joint:
        """Joint actions, shape (rows, D)."""
        pool, predictor = self._prepare()
        joint, rewards = self.history.training_data()
        if len(self.history) < self.config.first_round or not len(joint):
            return self.best_new(pool, -np.arange(len(pool), dtype=np.float64), rows)
        fitted = copy.deepcopy(predictor)
        fitted.fit(one_hot(joint, self.layout), rewards)
        if len(self.history) >= self.config.pool_results:
            pool = self._evolve(fitted, np.concatenate([pool, joint]))
        return self.best_new(pool, self._predict(fitted, pool), rows)

    def _prepare(self) -> tuple[Joint, CostEncoderPredictor]:
        """Returns the feasible pool and the pretrained predictor, both functions of the seed."""
        if self._prepared is None or self._prepared[0] != self.seed:
            rng = np.random.default_rng([self.seed, 0])
            points = qmc.Sobol(len(self.layout), seed=rng).random(self.config.pool)
            pool = self.layout.canonical((points * self.layout.nvec).astype(np.int64))
            feasible = pool[self.feasibility.admits(pool)]
            predictor = self._pretrained(rng)
            self._prepared = (self.seed, feasible, predictor)
        return self._prepared[1:]

    def _pretrained(self, rng: np.random.Generator) -> CostEncoderPredictor:
        seed = int(rng.integers(2**31))
        columns = np.repeat(decisions_with_cost(self.feasibility, self.layout, rng), self.layout.nvec)
        predictor = CostEncoderPredictor(columns, EncoderFitting(epochs=self.config.epochs), seed)
        if self.feasibility.priced and self.config.pretraining:
            joint = self.layout.uniform(self.config.pretraining, rng)
            predictor.pretrain(one_hot(joint, self.layout), self.feasibility.costs(joint))
        return predictor

    def _evolve(self, predictor: CostEncoderPredictor, known: Joint) -> Joint:
        """Distinct pipelines of all generations of an inner evolution, feasible where costs are known."""
        scores = self._predict(predictor, known)
        elite = known[np.argsort(-scores, kind="stable")[: self.config.elite]]
        fresh = self.random(self.config.random)
        population, best = np.concatenate([elite, fresh]), -np.inf
        seen = [population]
        for _ in range(GENERATIONS):
            population = np.unique(np.concatenate([population, self._children(population)]), axis=0)
            scores = self._predict(predictor, population)
            population = population[np.argsort(-scores, kind="stable")[: self.config.population]]
            seen.append(population)
            if scores.max() - best < GAIN:
                break
            best = float(scores.max())
        return np.unique(np.concatenate(seen), axis=0)

    def _children(self, population: Joint) -> Joint:
        parents = np.repeat(population, self.config.children, axis=0)
        count = len(parents)

        def mutated(rows: int) -> Joint:
            return mutants(parents, np.ones(rows, dtype=np.int64), self.layout, self.rng)

        def crossed(rows: int) -> Joint:
            return crossovers(parents, population[self.rng.integers(len(population), size=rows)], self.layout, self.rng)

        return np.concatenate([self.feasibility.draw(sample, count) for sample in (mutated, crossed)])

    def _predict(self, predictor: CostEncoderPredictor, joint: Joint) -> NDArray[np.float64]:
        return predictor.predict(one_hot(joint, self.layout)) if len(joint) else np.empty(0)
