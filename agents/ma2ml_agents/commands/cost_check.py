"""Cost of random pipelines and their share within bounds, reported before a search begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ma2ml_agents.search import CostBounds
from ma2ml_env import AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.types import Cost

SAMPLES = 200
QUANTILES = (0.0, 0.1, 0.5, 0.9)
UNITS = {"flops": "multiply-accumulates", "params": "parameters"}

Say = Callable[[str], None]


def check_bounds(env: AutoMLEnv, bounds: CostBounds, say: Say) -> None:
    """Reports the cost of random pipelines, and refuses bounds that no pipeline meets.

    Args:
        env: the environment; its cost must be known if there are bounds.
        bounds: bounds of the search; without any, nothing is done.
        say: receives the messages.

    Raises:
        MA2MLError: if no random pipeline meets the bounds, nor the cheapest ones that coordinate descent finds from
            the default pipeline and from the cheapest random one.
    """
    if not bounds:
        return
    rng = np.random.default_rng(0)
    actions = [{agent: space.sample(rng) for agent, space in env.search_spaces.items()} for _ in range(SAMPLES)]
    costs = [env.cost(env.decode(action)) for action in actions]
    for name, limit in _limits(bounds).items():
        least, low, middle, high = np.quantile([_value(cost, name) for cost in costs], QUANTILES)
        say(
            f"random pipelines have {low:,.0f} to {high:,.0f} {UNITS[name]} (80 % of them), median {middle:,.0f}, "
            f"smallest {least:,.0f}; the bound is {limit:,.0f}"
        )
    excesses = [_excess(cost, bounds) for cost in costs]
    share = float(np.mean([excess[0] <= 1 for excess in excesses]))
    if share > 0:
        say(f"{share:.1%} of {SAMPLES} random pipelines are within the bounds; larger ones are not trained")
        return
    default = {agent: space.default for agent, space in env.search_spaces.items()}
    starts = (default, actions[excesses.index(min(excesses))])
    cheapest = min((_cheapest(env, start, bounds) for start in starts), key=lambda cost: _excess(cost, bounds))
    words = f"{cheapest.flops:,} multiply-accumulates and {cheapest.params:,} parameters"
    if _excess(cheapest, bounds)[0] > 1:
        raise MA2MLError(f"no pipeline is within the bounds: the cheapest one found has {words}")
    say(
        f"none of {SAMPLES} random pipelines is within the bounds, but one of {words} is: such pipelines are rare, "
        "and most proposals will be too large to be trained; looser bounds find better ones"
    )


def _limits(bounds: CostBounds) -> dict[str, float]:
    limits = {"flops": bounds.max_flops, "params": bounds.max_params}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _value(cost: Cost, name: str) -> int:
    return {"flops": cost.flops, "params": cost.params}[name]


def _excess(cost: Cost, bounds: CostBounds) -> tuple[float, float]:
    """Largest ratio of a cost to its bound, at most 1 within all bounds, and the sum of the ratios."""
    ratios = [_value(cost, name) / limit for name, limit in _limits(bounds).items()]
    return max(ratios), sum(ratios)


def _cheapest(env: AutoMLEnv, action: Mapping[str, Any], bounds: CostBounds) -> Cost:
    """Cost after coordinate descent on the excess, until it is within the bounds or no decision improves it."""
    current = {agent: list(indices) for agent, indices in action.items()}
    best = env.cost(env.decode(current))
    improved = True
    while improved and _excess(best, bounds)[0] > 1:
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
