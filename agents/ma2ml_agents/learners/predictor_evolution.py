"""Predictor-guided evolution: an inner evolutionary search on predicted rewards, as in Once-for-All."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.encoding import one_hot
from ma2ml_agents.building_blocks.history import HistoryLearner
from ma2ml_agents.building_blocks.neighborhood import crossovers, shifted
from ma2ml_agents.building_blocks.new_proposals import Joint
from ma2ml_agents.building_blocks.predictors import Fitting, Predictor, fit_predictor
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec


class PredictorEvolution(HistoryLearner):
    """Evolves a population on an ensemble's predictions, and proposes the best of all its generations.

        propose argmax_x m(x) + k s(x),    x over mutants and crossovers of the best quarter, generation by generation

    with m and s the mean and the standard deviation of the values Q_1(x), ..., Q_E(x) of E networks, and k the
    `optimism`.

    The ensemble is refitted to all results before every proposal. Where costs are known, the whole population is
    feasible.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment".
    """

    @dataclass
    class Config:
        """Settings of predictor-guided evolution."""

        batch_size: int = 10
        """Pipelines between two refits. Once-for-All fits once."""
        warmup: int = 20
        """Initial random pipelines. Once-for-All measures 16,000 sub-networks, without training any."""
        population: int = 100
        """Pipelines per generation. Source: Once-for-All."""
        generations: int = 30
        """Generations of the inner search. Source: Once-for-All uses 500."""
        parents: float = 0.25
        """Fraction of a generation that survives. Source: Once-for-All."""
        mutation_rate: float = 0.1
        """Mutation probability per decision of a mutant. Source: Once-for-All."""
        mutants: float = 0.5
        """Fraction of the children that are mutants; the others are crossovers. Source: Once-for-All."""
        optimism: float = 0.5
        """Standard deviations of the ensemble added to its mean. Once-for-All uses the mean alone."""
        members: int = 4
        """Networks in the ensemble. Source: Once-for-All has one, of three layers of 400 units."""
        hidden_size: int = 64
        """Units in each of two hidden layers."""
        epochs: int = 60
        """Passes over the data per fit."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 1, names=["batch_size", "warmup", "generations", "members", "hidden_size", "epochs"])
            check_range(self, 2, names=["population"])
            check_range(self, 0.0, 1.0, names=["parents", "mutation_rate", "mutants"])
            check_range(self, 0.0, names=["optimism"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, batch_size=self.config.batch_size, distinct=self.config.distinct)

    def propose(self, rows: int) -> Joint:
        """Joint actions, shape (rows, D)."""
        joint, rewards = self.history.training_data()
        if len(self.history) < self.config.warmup or not len(joint):
            return self.random_new(rows)
        fitting = Fitting(self.config.members, self.config.hidden_size, self.config.epochs)
        seed = int(self.rng.integers(2**31))
        predictor = fit_predictor(one_hot(joint, self.layout), rewards, fitting, seed)
        half = joint[np.argsort(-rewards, kind="stable")[: self.config.population // 2]]
        first = np.concatenate([half, self.random(self.config.population - len(half))])
        return self.best_new(*self._evolve(predictor, first), rows)

    def _evolve(self, predictor: Predictor, population: Joint) -> tuple[Joint, NDArray[np.float64]]:
        """Returns the distinct pipelines of all generations, and their scores."""
        survivors = max(2, round(self.config.parents * self.config.population))
        rivals, scores = population, self._score(predictor, population)
        parents = rivals[np.argsort(-scores, kind="stable")[:survivors]]
        seen, seen_scores = [rivals], [scores]
        for _ in range(self.config.generations):
            seen.append(self._children(parents, self.config.population - survivors))
            seen_scores.append(self._score(predictor, seen[-1]))
            rivals, scores = _distinct([rivals, seen[-1]], [scores, seen_scores[-1]])
            best = np.argsort(-scores, kind="stable")[:survivors]
            rivals, scores = rivals[best], scores[best]
            parents = rivals
        return _distinct(seen, seen_scores)

    def _children(self, parents: Joint, count: int) -> Joint:
        """Mutants and crossovers, each redrawn until it is feasible, shape (count, D)."""

        def mutated(rows: int) -> Joint:
            chosen = parents[self.rng.integers(len(parents), size=rows)]
            changed = (self.rng.random(chosen.shape) < self.config.mutation_rate) & (self.layout.nvec > 1)
            return shifted(chosen, changed & self.layout.active(chosen), self.layout, self.rng)

        def crossed(rows: int) -> Joint:
            mothers, fathers = (parents[self.rng.integers(len(parents), size=rows)] for _ in range(2))
            return crossovers(mothers, fathers, self.layout, self.rng)

        by_mutation = round(self.config.mutants * count)
        draws = ((mutated, by_mutation), (crossed, count - by_mutation))
        return np.concatenate([self.feasibility.draw(sample, rows) for sample, rows in draws])

    def _score(self, predictor: Predictor, joint: Joint) -> NDArray[np.float64]:
        mean, deviation = predictor.predict(one_hot(joint, self.layout))
        return mean + self.config.optimism * deviation


def _distinct(parts: Sequence[Joint], scores: Sequence[NDArray[np.float64]]) -> tuple[Joint, NDArray[np.float64]]:
    """Distinct joint actions of all parts, in the order of their choices, each with its first score."""
    joint, first = np.unique(np.concatenate(parts), axis=0, return_index=True)
    return joint, np.concatenate(scores)[first]
