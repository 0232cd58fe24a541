"""NSGA-II: the genetic algorithm of Optuna, for the reward alone or for accuracy against FLOPs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna

from ma2ml_agents.learner import AgentSpec, Batch
from ma2ml_agents.optuna_learner import OptunaLearner
from ma2ml_agents.settings import check_range


class NSGA2(OptunaLearner):
    """Crosses and mutates the best of a generation.

    Args:
        specs: the agents; their decisions are one genome.
        config: settings.
        seed: of the sampler.

    Source: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II"; Optuna's implementation.
    """

    @dataclass
    class Config:
        """Settings of NSGA-II."""

        population: int = 30
        """Pipelines per generation. Source: ours, for a few hundred evaluations; Optuna's default is 50."""
        crossover_rate: float = 0.9
        """Probability that a child has two parents. Source: Optuna's default."""
        multi_objective: bool = False
        """Maximize accuracy and minimize FLOPs instead of maximizing the reward. Source: ours."""

        def __post_init__(self) -> None:
            check_range(self, 2, names=["population"])
            check_range(self, 0.0, 1.0, names=["crossover_rate"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, ["maximize", "minimize"] if self.config.multi_objective else ["maximize"])

    def make_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Optuna's `NSGAIISampler`."""
        return optuna.samplers.NSGAIISampler(
            population_size=self.config.population, crossover_prob=self.config.crossover_rate, seed=seed
        )

    def objectives(self, batch: Batch) -> list[list[float]]:
        """The reward, or accuracy and FLOPs; a failed pipeline is told as one of accuracy 0."""
        if not self.config.multi_objective:
            return super().objectives(batch)
        return [[float(result.accuracy), float(result.flops)] for result in batch.results]
