"""Share of random pipelines within bounds on cost, reported before a search begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ma2ml_agents.search import CostBounds
from ma2ml_env import AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.types import Cost

SAMPLES = 200
QUANTILES = (0.1, 0.5, 0.9)


def check_bounds(env: AutoMLEnv, bounds: CostBounds, say: Callable[[str], None]) -> None:
    """Reports the cost of random pipelines, and refuses bounds that no pipeline meets.

    Args:
        env: the environment; its cost must be known if there are bounds.
        bounds: bounds of the search; without any, nothing is done.
        say: receives the messages.

    Raises:
        MA2MLError: if neither a random pipeline meets the bounds nor the cheapest one that coordinate descent finds.
    """
    if not bounds:
        return
    rng = np.random.default_rng(0)
    actions = [{agent: space.sample(rng) for agent, space in env.search_spaces.items()} for _ in range(SAMPLES)]
    costs = [env.cost(env.decode(action)) for action in actions]
    for name, unit in (("flops", "multiply-accumulates"), ("params", "parameters")):
        limit = getattr(bounds, f"max_{name}")
        if limit is not None:
            low, middle, high = np.quantile([getattr(cost, name) for cost in costs], QUANTILES)
            say(f"random pipelines have {low:,.0f} to {high:,.0f} {unit} (80 % of them), median {middle:,.0f}")
    excesses = [_excess(cost, bounds) for cost in costs]
    share = float(np.mean([excess <= 1 for excess in excesses]))
    say(f"{share:.0%} of {SAMPLES} random pipelines are within the bounds; the others are too large, and not trained")
    if share == 0:
        cheapest = _cheapest(env, actions[int(np.argmin(excesses))], bounds)
        if _excess(cheapest, bounds) > 1:
            raise MA2MLError(
                "no pipeline is within the bounds: the cheapest one found has "
                f"{cheapest.flops:,} multiply-accumulates and {cheapest.params:,} parameters"
            )


def _excess(cost: Cost, bounds: CostBounds) -> float:
    """Largest ratio of a cost to its bound; at most 1 within all bounds."""
    limits = ((cost.flops, bounds.max_flops), (cost.params, bounds.max_params))
    return max(value / limit for value, limit in limits if limit is not None)


def _cheapest(env: AutoMLEnv, action: Mapping[str, Any], bounds: CostBounds) -> Cost:
    """Cost after coordinate descent on the excess, decision by decision until none improves it."""
    current = {agent: list(indices) for agent, indices in action.items()}
    best = env.cost(env.decode(current))
    improved = True
    while improved:
        improved = False
        for agent, space in env.search_spaces.items():
            for place, decision in enumerate(space.decisions):
                kept = current[agent][place]
                for choice in range(len(decision.choices)):
                    current[agent][place] = choice
                    cost = env.cost(env.decode(current))
                    if _excess(cost, bounds) < _excess(best, bounds):
                        best, kept, improved = cost, choice, True
                current[agent][place] = kept
    return best
