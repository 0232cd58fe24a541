"""Search: `run_search`, its plan, and the parts of its loop."""

from ma2ml_agents.search.callbacks import Callbacks
from ma2ml_agents.search.cost import CostBounds
from ma2ml_agents.search.plan import SearchPlan
from ma2ml_agents.search.run import run_plan, run_search

__all__ = ["Callbacks", "CostBounds", "SearchPlan", "run_plan", "run_search"]
