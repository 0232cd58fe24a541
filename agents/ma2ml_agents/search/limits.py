"""What `run_search` accepts, checked before anything is evaluated or written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ma2ml_agents.search.pruner import Pruner
from ma2ml_env import AutoMLEnv
from ma2ml_env.types import JointAction


def check_limits(budget: int, window: int, time_limit: float | None) -> None:
    """Raise a ValueError if one of `run_search`'s limits is out of range."""
    for name, value in (("budget", budget), ("window", window)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be above 0 seconds, not {time_limit}")


def check_plan(
    env: AutoMLEnv,
    budget: int,
    warm_start: Sequence[JointAction],
    cache: Path | None,
    pruner: Pruner | None,
) -> None:
    """Raise a ValueError if a search cannot be made as it is asked for; the arguments are `run_search`'s."""
    if not isinstance(env, AutoMLEnv):
        raise ValueError(
            f"a search takes an environment's native form, as ma2ml_env.make(id) makes it, not a {type(env).__name__}"
        )
    if len(warm_start) > budget:
        raise ValueError(f"the warm start has {len(warm_start)} pipelines, the budget is {budget}")
    for action in warm_start:
        env.decode(action)
    if pruner is not None:
        env.check_fidelity(["stop_below"])
        if cache is not None:
            raise ValueError(
                "a cache and a pruner do not go together: whether a training was stopped would depend on what "
                "other runs have cached"
            )
