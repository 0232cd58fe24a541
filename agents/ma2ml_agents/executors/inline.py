"""Evaluation in this process, one pipeline at a time."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from ma2ml_agents.executors.base import Evaluate, ManagedExecutor, guarded
from ma2ml_env import Pipeline, Result


class InlineExecutor(ManagedExecutor):
    """Evaluates in this process, one pipeline at a time, before `submit` returns.

    An exception becomes a failed result. What it has done to the process cannot be undone, so a pipeline that leaves
    its process broken also fails those after it; worker processes are replaced instead.

    Args:
        evaluate: as `env.evaluate`.
    """

    capacity = 1

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate

    def submit(self, pipeline: Pipeline, seed: int, **fidelity: Any) -> Future[Result]:
        """Evaluate at once."""
        future: Future[Result] = Future()
        future.set_result(guarded(self._evaluate, pipeline, seed, fidelity))
        return future

    def shutdown(self) -> None:
        """Nothing to stop."""
