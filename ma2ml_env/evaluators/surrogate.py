"""Surrogate evaluator: accuracy and seconds from a fitted model, exact costs, seeded noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluator import BatchResults
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.surrogate.columns import Integers
from ma2ml_env.surrogate.costs import cost_counter
from ma2ml_env.surrogate.features import Features
from ma2ml_env.surrogate.model import Surrogate, load_surrogate
from ma2ml_env.types import AgentID, Cost, Pipeline, Result

SHIPPED = Path(__file__).parents[1] / "data"
STANDARD_NORMAL = NormalDist()


@dataclass(frozen=True)
class SurrogateEvaluator:
    """Predicts the results of another environment's evaluator.

    FLOPs and parameters are exact; accuracy and seconds are predicted. Noise of the measured size, seeded by
    environment and pipeline, is added to the accuracy. No training fails here: one that diverges has a low accuracy.

    Args:
        real: the environment that is imitated; its evaluator prices pipelines.
        file: the surrogate.
        noisy: whether noise is added.

    Raises:
        ValueError: if the file is damaged, or was fitted to another definition of that environment.

    Source: after NAS-Bench-301, whose surrogate has no noise.
    """

    real: AutoMLEnv = field(repr=False, compare=False)
    file: Path
    noisy: bool = True
    instant: ClassVar[bool] = True

    def __post_init__(self) -> None:
        surrogate = _surrogate(self.file)
        if surrogate.definition != self.real.definition:
            raise MA2MLError(
                f"{self.file} was fitted to trials of {surrogate.env} under the definition {surrogate.definition}, "
                f"but {self.real.name} is {self.real.definition}: its decisions or its training differ; fit it again"
            )

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        """The predicted result of a pipeline, with noise."""
        rows = _rows(pipeline)
        return _only(self._measured(rows, self._predict(rows), seed))

    def expected(self, pipeline: Pipeline) -> Result:
        """The predicted result without noise."""
        return _only(self._predict(_rows(pipeline)))

    def cost(self, pipeline: Pipeline) -> Cost:
        """FLOPs and parameters of a pipeline's network, exact."""
        return self.real.cost(pipeline)

    def evaluate_batch(self, actions: Mapping[AgentID, Any], seed: int) -> BatchResults:
        """Results of B pipelines, equal to those of B single evaluations.

        Args:
            actions: by agent, integers of shape (B, decisions).
            seed: seed of the environment.

        Raises:
            ValueError: for a missing or unknown agent, or actions of wrong type, shape or range.
        """
        checked = self._checked(actions)
        return self._measured(checked, self._predict(checked), seed)

    def expected_batch(self, actions: Mapping[AgentID, Any]) -> BatchResults:
        """Predicted results of B pipelines without noise; arguments and errors as of `evaluate_batch`."""
        return self._predict(self._checked(actions))

    def cost_batch(self, actions: Mapping[AgentID, Any]) -> Integers:
        """FLOPs and parameters of B pipelines' networks, exact, shape (2, B); arguments as of `evaluate_batch`."""
        return self._costs(actions)

    @property
    def definition(self) -> dict[str, Any]:
        """All that a result depends on besides pipeline and seed."""
        model = _surrogate(self.file)
        return {"kind": "surrogate", "imitates": model.definition, "model": model.digest, "noisy": self.noisy}

    def _predict(self, actions: Mapping[AgentID, Integers]) -> BatchResults:
        flops, params = counted = self._costs(actions)
        accuracy, seconds = _surrogate(self.file).predict(self._features(actions, counted))
        return BatchResults(accuracy, flops, params, seconds)

    def _measured(self, actions: Mapping[AgentID, Integers], exact: BatchResults, seed: int) -> BatchResults:
        """Predicted results with noise, unless there is none."""
        if not self.noisy:
            return exact
        deviation = _surrogate(self.file).noise(exact.accuracy)
        accuracy = np.clip(exact.accuracy + deviation * _normal(actions, seed), 0.0, 1.0)
        return exact._replace(accuracy=accuracy)

    @cached_property
    def _costs(self) -> Callable[[Mapping[AgentID, Integers]], Integers]:
        return cost_counter(self.real)

    @cached_property
    def _features(self) -> Features:
        changes = _surrogate(self.file).image_changes
        return Features(self.real.search_spaces, None if changes is None else np.array(changes))

    def _checked(self, actions: Mapping[AgentID, Any]) -> dict[AgentID, Integers]:
        spaces = self.real.search_spaces
        if set(actions) != set(spaces):
            raise MA2MLError(f"actions are for {list(spaces)}, not for {list(actions)}")
        arrays = {agent: np.asarray(actions[agent]) for agent in spaces}
        for agent, array in arrays.items():
            wanted = spaces[agent].nvec
            if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1] != len(wanted):
                raise MA2MLError(
                    f"agent {agent!r}: actions are integers of shape (B, {len(wanted)}), not {array.shape}"
                )
            if len(array) == 0:
                raise MA2MLError(f"agent {agent!r}: a batch holds at least one action, this one is empty")
            if ((array < 0) | (array >= wanted)).any():
                raise MA2MLError(f"agent {agent!r}: an index is out of range; the numbers of choices are {wanted}")
        if len({len(array) for array in arrays.values()}) > 1:
            raise MA2MLError(f"agents have different numbers of actions: { {a: len(x) for a, x in arrays.items()} }")
        return {agent: spaces[agent].canonical(array) for agent, array in arrays.items()}


def surrogate(
    search_spaces: Mapping[AgentID, SearchSpace],
    make_env: Callable[[str], AutoMLEnv],
    imitates: str,
    file: str | None = None,
    noisy: bool = True,
) -> SurrogateEvaluator:
    """Returns a `SurrogateEvaluator` for environments of the same decisions.

    Args:
        search_spaces: search spaces of the environment that it is for.
        make_env: makes the imitated environment from its id.
        imitates: id of the imitated environment.
        file: the surrogate; None for the one that is shipped for that environment.
        noisy: whether noise is added.

    Raises:
        ValueError: if the decisions differ from those of the imitated environment, or as `SurrogateEvaluator` does.
    """
    real = make_env(imitates)
    decisions, wanted = ({a: s.decisions for a, s in spaces.items()} for spaces in (search_spaces, real.search_spaces))
    if decisions != wanted:
        different = [agent for agent in {**decisions, **wanted} if decisions.get(agent) != wanted.get(agent)]
        raise MA2MLError(f"a surrogate of {imitates} has its agents and decisions; these differ: {different}")
    shipped = SHIPPED / f"{imitates.rpartition('/')[2]}.surrogate.xz"
    return SurrogateEvaluator(real, shipped if file is None else Path(file), noisy)


@cache
def _surrogate(file: Path) -> Surrogate:
    return load_surrogate(file)


def _rows(pipeline: Pipeline) -> dict[AgentID, Integers]:
    return {agent: np.array([action]) for agent, action in pipeline.action.items()}


def _only(results: BatchResults) -> Result:
    accuracy, flops, params, seconds = (column.item() for column in results)
    return Result(accuracy, flops, params, seconds)


def _normal(actions: Mapping[AgentID, Integers], seed: int) -> NDArray[np.float64]:
    """One standard normal sample per pipeline: the quantile at its own random seed, which is a hash."""
    agents, columns = list(actions), [action.tolist() for action in actions.values()]
    pipelines = (Pipeline(dict(zip(agents, row, strict=True)), {}) for row in zip(*columns, strict=True))
    shares = (min(max(p.random_seed(seed) / 2**63, 1e-15), 1.0 - 1e-15) for p in pipelines)
    return np.array([STANDARD_NORMAL.inv_cdf(share) for share in shares])
