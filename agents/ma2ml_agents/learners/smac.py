"""SMAC: Bayesian optimization with a random forest."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    InCondition,
)
from smac import HyperparameterOptimizationFacade, Scenario
from smac.acquisition.maximizer import LocalAndSortedRandomSearch, LocalSearch
from smac.main.exceptions import ConfigurationSpaceExhaustedException
from smac.model.random_forest import RandomForest
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from ma2ml_agents.building_blocks.ask_and_tell import AskAndTell
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec

MOST_PIPELINES = 2**14
"""Number of trials declared to SMAC, more than any search evaluates."""


class SMAC(AskAndTell[TrialInfo]):
    """Proposes the pipeline with the highest expected improvement under a random forest over all pipelines so far.

        propose argmax_x E[max(best - exp f(x), 0)],    f(x) ~ N(m(x), s(x)^2)

    with m and s^2 the mean and the variance, over the trees of a forest, of the logarithm of the scaled cost -R.

    It never repeats a pipeline until all have been proposed, then continues with random ones. Inactive decisions are
    not asked for. Fitting the forest and maximizing its acquisition make it slow: about a second per proposal with a
    hundred decisions.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of all randomness.

    Source: Lindauer et al., "SMAC3: A Versatile Bayesian Optimization Package for Hyperparameter Optimization"; its
    `HyperparameterOptimizationFacade`.
    """

    @dataclass
    class Config:
        """Settings of SMAC."""

        warmup: int = 25
        """Initial pipelines of a Sobol sequence. Source: SMAC's default, a quarter of its 100 trials."""
        challengers: int = 10_000
        """Random candidates for the next pipeline, beside those of local searches. Source: SMAC's
        default."""
        local_searches: int = 10
        """Local searches that maximize the acquisition; they take most of the time. Source: SMAC's default."""
        retrain_after: int = 8
        """Proposals between two refits of the forest. Source: SMAC's default."""

        def __post_init__(self) -> None:
            check_range(self, 1, names=["warmup", "challengers", "local_searches", "retrain_after"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed)

    def begin(self, seed: int) -> None:
        """Creates SMAC's facade; its files are written to a temporary folder, deleted on return."""
        logging.getLogger("smac").setLevel(logging.CRITICAL)
        self._names = [str(decision) for decision in range(len(self.layout))]
        self._space = make_space(self.layout, seed)
        settings, facade = self.config, HyperparameterOptimizationFacade
        with tempfile.TemporaryDirectory() as folder:
            scenario = Scenario(
                self._space, output_directory=Path(folder), deterministic=True, n_trials=settings.warmup, seed=seed
            )
            self._smac = facade(
                scenario,
                model=make_forest(scenario),
                initial_design=facade.get_initial_design(scenario, n_configs=settings.warmup, max_ratio=1.0),
                acquisition_maximizer=make_maximizer(scenario, settings.challengers, settings.local_searches),
                config_selector=facade.get_config_selector(scenario, retrain_after=settings.retrain_after),
                logging_level=False,
                overwrite=True,
            )

    def ask(self) -> tuple[list[int], TrialInfo]:
        """Returns SMAC's next pipeline."""
        try:
            trial = self._smac.ask()
        except (ConfigurationSpaceExhaustedException, StopIteration):
            trial = self._trial(self._space.sample_configuration())
        return [int(trial.config.get(name, 0)) for name in self._names], trial

    def give(self, joint: list[int]) -> TrialInfo:
        """Creates a SMAC trial."""
        active = self.layout.active(np.array([joint]))[0].tolist()
        values = {name: choice for name, choice, on in zip(self._names, joint, active, strict=True) if on}
        return self._trial(Configuration(self._space, values))

    def tell(self, trial: TrialInfo, values: list[float]) -> None:
        """Reports the cost to SMAC: the negative reward, which SMAC scales itself."""
        self._smac.tell(trial, TrialValue(cost=-values[0]), save=False)

    def _trial(self, config: Configuration) -> TrialInfo:
        """Returns a trial under the one seed that SMAC uses for deterministic problems."""
        earlier = next(iter(self._smac.runhistory), None)
        return TrialInfo(config, seed=0 if earlier is None else earlier.seed)


def make_space(layout: Layout, seed: int) -> ConfigurationSpace:
    """Returns the decisions as categorical hyperparameters, under their conditions."""
    space = ConfigurationSpace(seed=seed)
    decisions = [
        CategoricalHyperparameter(str(decision), list(range(size)))
        for decision, size in enumerate(layout.nvec.tolist())
    ]
    space.add(decisions)
    conditions: dict[int, list[InCondition]] = {}
    for decision, parent, allows in layout.conditions:
        allowed = np.flatnonzero(allows).tolist()
        conditions.setdefault(decision, []).append(InCondition(decisions[decision], decisions[parent], allowed))
    space.add([AndConjunction(*found) if len(found) > 1 else found[0] for found in conditions.values()])
    return space


def make_forest(scenario: Scenario) -> RandomForest:
    """Returns the facade's random forest, made faster without changing its predictions.

    It neither starts threads, whose overhead exceeds the predictions, nor allocates memory for more leaves than there
    will be pipelines; the facade's allocates a million per tree.

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


def make_maximizer(scenario: Scenario, challengers: int, local_searches: int) -> LocalAndSortedRandomSearch:
    """Returns the facade's maximizer of the acquisition, the same in every process.

    Source: `HyperparameterOptimizationFacade.get_acquisition_maximizer`.
    """
    maximizer = HyperparameterOptimizationFacade.get_acquisition_maximizer(
        scenario, challengers=challengers, local_search_iterations=local_searches
    )
    maximizer._local_search = SortedLocalSearch(scenario.configspace, seed=scenario.seed)
    return maximizer


class SortedLocalSearch(LocalSearch):
    """SMAC's local search, from starting points in the order of their choices.

    SMAC takes them from a set of objects that hash by their text, so their order, and with it the search, would depend
    on `PYTHONHASHSEED`, and a search resumed in another process would go on differently.
    """

    def _get_init_points_from_previous_configs(
        self,
        previous_configs: list[Configuration],
        n_points: int,
        additional_start_points: list[tuple[float, Configuration]] | None,
    ) -> list[Configuration]:
        found = super()._get_init_points_from_previous_configs(previous_configs, n_points, additional_start_points)
        return sorted(found, key=lambda config: np.nan_to_num(config.get_array(), nan=-1.0).tolist())
