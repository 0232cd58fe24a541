"""SMAC: Bayesian optimization with a random forest."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ConfigSpace import CategoricalHyperparameter, Configuration, ConfigurationSpace
from smac import HyperparameterOptimizationFacade, Scenario
from smac.main.exceptions import ConfigurationSpaceExhaustedException
from smac.model.random_forest import RandomForest
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from ma2ml_agents.building_blocks.ask_and_tell import AskAndTell
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec

MOST_PIPELINES = 2**14
"""More than a search with SMAC will ever evaluate."""


class SMAC(AskAndTell[TrialInfo]):
    """Proposes what a random forest over all pipelines so far expects to improve most on the best of them.

    It never proposes the same pipeline twice; where all have been proposed, it goes on with random ones. The forest
    and the search for its maximum make it slow: about a second per proposal at a hundred decisions.

    Args:
        specs: the agents.
        config: settings.
        seed: of everything random in it.

    Source: Lindauer et al., "SMAC3: A Versatile Bayesian Optimization Package for Hyperparameter Optimization"; its
    `HyperparameterOptimizationFacade`.
    """

    @dataclass
    class Config:
        """Settings of SMAC."""

        warmup: int = 25
        """Pipelines of a Sobol sequence at first. Source: SMAC's default, a quarter of its 100 trials."""
        challengers: int = 10_000
        """Random pipelines among which the forest looks for the next, beside its local searches. Source: SMAC's
        default."""
        local_searches: int = 10
        """Local searches for the forest's maximum; most of the time goes there. Source: SMAC's default."""
        retrain_after: int = 8
        """Proposals between two trainings of the forest. Source: SMAC's default."""

        def __post_init__(self) -> None:
            check_range(self, 1, names=["warmup", "challengers", "local_searches", "retrain_after"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed)

    def begin(self, seed: int) -> None:
        """Make SMAC's facade; what it writes goes to a folder that is gone when this returns."""
        logging.getLogger("smac").setLevel(logging.CRITICAL)
        self._names = [str(decision) for decision in range(len(self.layout))]
        self._space = ConfigurationSpace(seed=seed)
        self._space.add(
            [
                CategoricalHyperparameter(name, list(range(size)))
                for name, size in zip(self._names, self.layout.nvec.tolist(), strict=True)
            ]
        )
        settings, facade = self.config, HyperparameterOptimizationFacade
        with tempfile.TemporaryDirectory() as folder:
            scenario = Scenario(
                self._space, output_directory=Path(folder), deterministic=True, n_trials=settings.warmup, seed=seed
            )
            self._smac = facade(
                scenario,
                model=make_forest(scenario),
                initial_design=facade.get_initial_design(scenario, n_configs=settings.warmup, max_ratio=1.0),
                acquisition_maximizer=facade.get_acquisition_maximizer(
                    scenario, challengers=settings.challengers, local_search_iterations=settings.local_searches
                ),
                config_selector=facade.get_config_selector(scenario, retrain_after=settings.retrain_after),
                logging_level=False,
                overwrite=True,
            )

    def ask(self) -> tuple[list[int], TrialInfo]:
        """Ask SMAC for the next pipeline."""
        try:
            trial = self._smac.ask()
        except (ConfigurationSpaceExhaustedException, StopIteration):
            trial = self._trial(self._space.sample_configuration())
        return [int(trial.config[name]) for name in self._names], trial

    def give(self, joint: list[int]) -> TrialInfo:
        """Make a trial of SMAC's."""
        return self._trial(Configuration(self._space, dict(zip(self._names, joint, strict=True))))

    def tell(self, trial: TrialInfo, values: list[float]) -> None:
        """Tell SMAC the cost: the negative reward, which it scales itself."""
        self._smac.tell(trial, TrialValue(cost=-values[0]), save=False)

    def _trial(self, config: Configuration) -> TrialInfo:
        """A trial under the one seed that all trials have where the game is deterministic."""
        earlier = next(iter(self._smac.runhistory), None)
        return TrialInfo(config, seed=0 if earlier is None else earlier.seed)


def make_forest(scenario: Scenario) -> RandomForest:
    """The facade's random forest, made cheaper without changing what it says.

    It neither starts threads, which take longer than its predictions, nor sets memory aside for more leaves than
    there will be pipelines; the facade's does for a million in every tree.

    Source: `HyperparameterOptimizationFacade.get_model`.
    """
    return RandomForest(
        scenario.configspace,
        log_y=True,
        n_trees=10,
        ratio_features=1.0,
        min_samples_split=2,
        min_samples_leaf=1,
        max_leaf_nodes=MOST_PIPELINES,
        n_jobs=1,
        seed=scenario.seed,
    )
