"""The `Executor` protocol, and evaluations that turn an exception into a failed result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from ma2ml_env import Pipeline, Result

Evaluate = Callable[..., Result]
"""`env.evaluate`: (pipeline, seed, **fidelity) -> Result."""


class Executor(Protocol):
    """Evaluates pipelines, in the manner of `concurrent.futures`.

    Attributes:
        capacity: how many pipelines it can evaluate at the same time, at least 1.

    Source: ours.
    """

    capacity: int

    def submit(self, pipeline: Pipeline, seed: int, **fidelity: Any) -> Future[Result]:
        """Begin an evaluation; the future never raises what the pipeline did, it holds a failed result.

        Args:
            pipeline: to evaluate.
            seed: of the environment.
            **fidelity: what `env.evaluate` is told beside, such as `stop_below`.
        """
        ...

    def shutdown(self) -> None:
        """Stop, abandoning evaluations that are not finished; may be called twice."""
        ...


def guarded(evaluate: Evaluate, pipeline: Pipeline, seed: int, fidelity: Mapping[str, Any]) -> Result:
    """Evaluates a pipeline; an exception becomes a failed result."""
    started = time.monotonic()
    try:
        return evaluate(pipeline, seed, **fidelity)
    except Exception as error:
        return failed_result(f"{type(error).__name__}: {error}", time.monotonic() - started)


def failed_result(error: str, seconds: float = 0.0) -> Result:
    """The result of a pipeline that failed outside the evaluator's own judgment.

    Args:
        error: why.
        seconds: that it took.

    Source: ours.
    """
    return Result(accuracy=0.0, flops=0, params=0, seconds=seconds, error=error)
