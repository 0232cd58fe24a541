"""A small grid of fast learners on a fast environment."""

from __future__ import annotations

from typing import Any

from ma2ml_agents.benchmark import Grid, make_grid

ENV, BUDGET = "ma2ml/synthetic-v0", 30
FAST = ("random_search", "regularized_evolution")


def small(**changes: Any) -> Grid:
    return make_grid(**{"envs": [ENV], "algos": list(FAST), "seeds": 2, "budget": BUDGET, **changes})
