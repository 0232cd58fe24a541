"""Evaluation in this process, one pipeline at a time."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from ma2ml_agents.executors.base import Evaluate, guarded
from ma2ml_env import Pipeline, Result


class InlineExecutor:
    """Evaluates in this process, one pipeline at a time, before `submit` returns.

    Args:
        evaluate: as `env.evaluate`. What it raises becomes a failed result.

    Source: ours.
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
