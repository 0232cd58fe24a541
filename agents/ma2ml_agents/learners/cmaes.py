"""CatCMA with margin: a Gaussian over ordered decisions, and categorical distributions over the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cmaes
import numpy as np

from ma2ml_agents.building_blocks.ask_and_tell import AskAndTell
from ma2ml_agents.building_blocks.settings import check_range
from ma2ml_agents.learner import AgentSpec
from ma2ml_env.errors import MA2MLError


class CMAES(AskAndTell[Any]):
    """Evolution strategy on a joint distribution of integers and categories.

        x_int ~ round N(m, sigma^2 C),    x_d ~ Cat(q_d),    (m, C, q) <- (m, C, q) + eta sum_k w_k g_k

    with w_k the weight of pipeline k's rank in its generation, and g_k the natural gradient of its log-probability. The
    margin keeps every probability of an integer's neighbor, and of a category, above a bound.

    Decisions whose choices are ordered are integers, the others categories.

    Args:
        specs: the agents.
        config: settings.
        seed: seed of the optimizer.

    Raises:
        ValueError: if no decision has two choices.

    Source: Hamano et al., "CatCMA with Margin: Stochastic Optimization for Continuous, Integer, and Categorical
        Variables"; the package `cmaes`.
    """

    @dataclass
    class Config:
        """Settings of CatCMA with margin."""

        population: int = 6
        """Pipelines per generation; 0 for 4 + 3 log D, the package's default. Source: tuned."""
        ordered: bool = True
        """Treat ordered decisions as integers; otherwise all are categories."""
        distinct: bool = True
        """Never propose a known pipeline while new ones can be found."""

        def __post_init__(self) -> None:
            check_range(self, 0, names=["population"])

    def __init__(self, specs: Sequence[AgentSpec], config: Config | None = None, seed: int = 0) -> None:
        self.config = config or self.Config()
        super().__init__(specs, seed, distinct=self.config.distinct)

    def begin(self, seed: int) -> None:
        """Creates the optimizer."""
        nvec = self.layout.nvec
        integer = self.layout.ordered & (nvec > 2) & self.config.ordered
        self._integers, self._categories = np.flatnonzero(integer), np.flatnonzero(~integer & (nvec > 1))
        if not len(self._integers) + len(self._categories):
            raise MA2MLError("CMA-ES needs a decision with at least two choices")
        self._optimizer = cmaes.CatCMAwM(
            z_space=[list(range(size)) for size in nvec[self._integers].tolist()] or None,
            c_space=nvec[self._categories].tolist() or None,
            population_size=self.config.population or None,
            seed=seed,
        )
        self._generation: list[tuple[Any, float]] = []

    def ask(self) -> tuple[list[int], Any]:
        """Samples the distribution."""
        solution = self._optimizer.ask()
        joint = np.zeros(len(self.layout), dtype=np.int64)
        if solution.z is not None:
            joint[self._integers] = np.rint(solution.z).astype(np.int64)
        if solution.c is not None:
            joint[self._categories] = np.argmax(solution.c, axis=1)
        return joint.tolist(), solution

    def give(self, joint: list[int]) -> Any:
        """Returns the solution of a joint action that was not sampled; None if the Gaussian requires its sample."""
        if len(self._integers):
            return None
        hits = [np.eye(width, dtype=bool)[choice] for choice, width in self._chosen(joint)]
        return cmaes.CatCMAwM.Solution(c=np.stack(hits))

    def tell(self, trial: Any, values: list[float]) -> None:
        """Collects a generation, then updates the distribution; solutions that were not sampled are ignored."""
        if trial is not None:
            self._generation.append((trial, -values[0]))
        if len(self._generation) == self._optimizer.population_size:
            self._optimizer.tell(self._generation)
            self._generation = []

    def _chosen(self, joint: list[int]) -> list[tuple[int, int]]:
        """Returns the choice of each categorical decision, and the most choices of any."""
        width = int(self.layout.nvec[self._categories].max())
        return [(joint[decision], width) for decision in self._categories.tolist()]
