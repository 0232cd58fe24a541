"""Learners that search for pipelines, and the search loop that drives them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ma2ml_agents.learner import AgentSpec, Batch, Learner, agent_specs
from ma2ml_agents.learners import learner_names, make_learner
from ma2ml_agents.search import run_search
from ma2ml_agents.search.leaderboard import leaderboard

if TYPE_CHECKING:
    from ma2ml_agents.learners.ma2ml import MA2ML
    from ma2ml_agents.learners.ma2ml_lite import MA2MLLite
    from ma2ml_agents.learners.ma2ml_on_policy import MA2MLOnPolicy
    from ma2ml_agents.learners.random_search import RandomSearch

_LEARNERS = {
    "MA2ML": "ma2ml_agents.learners.ma2ml",
    "MA2MLLite": "ma2ml_agents.learners.ma2ml_lite",
    "MA2MLOnPolicy": "ma2ml_agents.learners.ma2ml_on_policy",
    "RandomSearch": "ma2ml_agents.learners.random_search",
}


def __getattr__(name: str) -> Any:
    """Imports learners on first access, since they load torch."""
    if name in _LEARNERS:
        return getattr(import_module(_LEARNERS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "MA2ML",
    "AgentSpec",
    "Batch",
    "Learner",
    "MA2MLLite",
    "MA2MLOnPolicy",
    "RandomSearch",
    "agent_specs",
    "leaderboard",
    "learner_names",
    "make_learner",
    "run_search",
]
