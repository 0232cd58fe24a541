"""NSGA-II: the genetic algorithm of Optuna, for the reward alone or for accuracy against FLOPs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import optuna

from ma2ml_agents.building_blocks.optuna_learner import Direction, OptunaLearner
from ma2ml_agents.building_blocks.settings import check_choice, check_range
from ma2ml_agents.learner import AgentSpec, Batch

DIRECTIONS: dict[str, list[Direction]] = {"reward": ["maximize"], "accuracy_and_flops": ["maximize", "minimize"]}
"""Direction of optimization of every objective, by name of the objectives."""


class NSGA2(OptunaLearner):
    """Genetic algorithm with crossover and mutation of the best of a generation.

        x_d = a_d or b_d, each with probability 1/2; then uniform with probability 1/D;    the best P survive

    with a and b parents (some children have one), and parents and children ranked by non-dominated front, ties by
    crowding distance; the first front is what no other pipeline dominates.

    Genes of inactive decisions are inherited silently; Optuna would draw those that some pipelines lack anew in every
    child.

    Args:
        specs: the agents; their decisions are one genome.
        config: settings.
        seed: seed of the sampler.

    Source: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II"; Optuna's implementation.
    """

    @dataclass
    class Config:
        """Settings of NSGA-II."""

        population: int = 10
        """Pipelines per generation. Source: tuned (`experiments/tuning.py`); Optuna's default is 50."""
        crossover_rate: float = 0.9
        """Probability that a child has two parents. Source: Optuna's default."""
        objectives: Literal["reward", "accuracy_and_flops"] = "reward"
        """Objectives: the reward alone, or accuracy (maximized) and FLOPs (minimized), which yields a Pareto front of
        pipelines instead of a single best one."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 2, names=["population"])
            check_range(self, 0.0, 1.0, names=["crossover_rate"])
            check_choice(self, "objectives", DIRECTIONS)

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, DIRECTIONS[self.config.objectives], distinct=self.config.distinct)

    def make_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Returns Optuna's `NSGAIISampler`."""
        return optuna.samplers.NSGAIISampler(
            population_size=self.config.population, crossover_prob=self.config.crossover_rate, seed=seed
        )

    def objectives(self, batch: Batch) -> list[float]:
        """Returns the reward, or accuracy and FLOPs; a failed pipeline counts with accuracy 0."""
        if self.config.objectives == "reward":
            return super().objectives(batch)
        return [float(batch.results[0].accuracy), float(batch.results[0].flops)]
