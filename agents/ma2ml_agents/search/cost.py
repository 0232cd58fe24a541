"""Costs known before evaluation: upper bounds, and the cost function passed to learners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.learner import Actions, CostFunction
from ma2ml_env import AutoMLEnv, Pipeline, Result
from ma2ml_env.errors import MA2MLError
from ma2ml_env.evaluator import PartlyPriced, Priced


@dataclass(frozen=True)
class CostBounds:
    """Upper bounds on the cost of a pipeline's network; None for no bound.

    Args:
        max_flops: multiply-accumulates of one image, above 0.
        max_params: trainable parameters, above 0.

    Raises:
        ValueError: for a bound that is not above 0.
    """

    max_flops: float | None = None
    max_params: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_flops", "max_params"):
            bound = getattr(self, name)
            if bound is not None and not bound > 0:
                raise MA2MLError(f"{name} must be above 0, not {bound}")

    def __bool__(self) -> bool:
        return self.max_flops is not None or self.max_params is not None

    def check(self, env: AutoMLEnv) -> None:
        """Raises a ValueError if there are bounds on a cost that the environment cannot report before evaluating."""
        self.infeasible(env, env.decode({agent: space.default for agent, space in env.search_spaces.items()}))

    def infeasible(self, env: AutoMLEnv, pipeline: Pipeline) -> Result | None:
        """Returns the result of a pipeline that exceeds a bound, None for one that does not.

        Raises:
            ValueError: if the environment cannot report a pipeline's cost before evaluating it.
        """
        if not self:
            return None
        cost = env.cost(pipeline)
        limits = (
            (cost.flops, self.max_flops, "multiply-accumulates"),
            (cost.params, self.max_params, "parameters"),
        )
        excess = [
            f"{value:,} {unit}, more than {limit:,.0f}"
            for value, limit, unit in limits
            if limit is not None and value > limit
        ]
        if not excess:
            return None
        return Result(0.0, cost.flops, cost.params, 0.0, error=f"infeasible: {'; '.join(excess)}", infeasible=True)


def cost_function(env: AutoMLEnv) -> CostFunction | None:
    """Returns the cost function of joint actions, None where the environment does not know the cost of each."""
    evaluator = env.evaluator
    if not isinstance(evaluator, Priced) or (isinstance(evaluator, PartlyPriced) and not evaluator.priced):
        return None

    def costs(actions: Actions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rows = len(next(iter(actions.values())))
        priced = [env.cost(env.decode(_row(actions, row))) for row in range(rows)]
        return np.array([float(c.flops) for c in priced]), np.array([float(c.params) for c in priced])

    return costs


def _row(actions: Actions, row: int) -> dict[str, Any]:
    return {agent: chosen[row] for agent, chosen in actions.items()}
