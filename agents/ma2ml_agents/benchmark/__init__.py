"""Comparison of algorithms on environments: run a grid, summarize it, write the results page."""

from __future__ import annotations

from ma2ml_agents.benchmark.grid import Grid, make_grid
from ma2ml_agents.benchmark.page import write_results
from ma2ml_agents.benchmark.runner import run_grid
from ma2ml_agents.benchmark.summary import Summary, summarize

__all__ = ["Grid", "Summary", "make_grid", "run_grid", "summarize", "write_results"]
