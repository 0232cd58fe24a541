"""Evaluation in this process, one pipeline at a time."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from ma2ml_agents.executors.base import Evaluate, ManagedExecutor, guarded
from ma2ml_env import Pipeline, Result


class InlineExecutor(ManagedExecutor):
    """Evaluates in this process, one pipeline at a time, before `submit` returns.

    An exception becomes a failed result. Its side effects on the process remain, so a pipeline that corrupts the
    process also makes later ones fail; worker processes are replaced instead.

    Args:
        evaluate: function such as `env.evaluate`.
    """

    capacity = 1

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate

    def submit(self, pipeline: Pipeline, seed: int, **fidelity: Any) -> Future[Result]:
        """Evaluates before it returns."""
        future: Future[Result] = Future()
        future.set_result(guarded(self._evaluate, pipeline, seed, fidelity))
        return future

    def shutdown(self) -> None:
        """Does nothing, since no evaluation is pending."""
