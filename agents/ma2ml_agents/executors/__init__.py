"""Executors that evaluate in this process, in local worker processes, or on a Ray cluster."""

from ma2ml_agents.executors.base import Evaluate, Executor, Raised, failed_result
from ma2ml_agents.executors.inline import InlineExecutor
from ma2ml_agents.executors.processes import ProcessExecutor

__all__ = ["Evaluate", "Executor", "InlineExecutor", "ProcessExecutor", "Raised", "failed_result"]
