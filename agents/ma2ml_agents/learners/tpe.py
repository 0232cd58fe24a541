"""TPE: the tree-structured Parzen estimator of Optuna."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna

from ma2ml_agents.building_blocks.optuna_learner import OptunaLearner
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec


class TPE(OptunaLearner):
    """Proposes choices that are frequent among good pipelines and rare among the others.

        l(x) = p(x | R >= t),    g(x) = p(x | R < t),    propose argmax_x l(x) / g(x) of candidates drawn from l

    with t the reward that the best tenth of the pipelines reach, 25 at most. Since Optuna 5, l and g are densities of
    whole pipelines; before, each decision has its own.

    Inactive decisions are not modeled: the choices of a conditional decision are those of pipelines that have it.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of the sampler.

    Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization"; Optuna's implementation.
    """

    @dataclass
    class Config:
        """Settings of TPE."""

        warmup: int = 10
        """Initial random pipelines. Source: Optuna's default."""
        candidates: int = 24
        """Candidates per proposal, of which the most promising is proposed. Source: Optuna's default."""
        ordered: bool = False
        """Treat ordered decisions as integers, with similar neighbors; otherwise all are categories. Source: Optuna's
        integer parameters."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 0, names=["warmup"])
            check_range(self, 1, names=["candidates"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        distinct, ordered = self.config.distinct, self.config.ordered
        super().__init__(specs, seed, ["maximize"], distinct=distinct, ordered=ordered, conditional=True)

    def make_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Returns Optuna's `TPESampler`."""
        return optuna.samplers.TPESampler(
            n_startup_trials=self.config.warmup, n_ei_candidates=self.config.candidates, seed=seed
        )
