"""Search: `run_search`, and the parts of its loop."""

from ma2ml_agents.search.run import run_search

__all__ = ["run_search"]
