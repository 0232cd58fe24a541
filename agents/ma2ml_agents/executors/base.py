"""The `Executor` protocol, and conversion of exceptions into failed results."""

from __future__ import annotations

import sysconfig
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

from ma2ml_env import Pipeline, Result

Evaluate = Callable[..., Result]
"""Signature of `env.evaluate`: (pipeline, seed, **fidelity) -> Result."""
INSTALLED = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")})


class Executor(Protocol):
    """Evaluates pipelines, in the manner of `concurrent.futures`.

    Attributes:
        capacity: number of pipelines that it can evaluate in parallel, at least 1.
    """

    capacity: int

    def submit(self, pipeline: Pipeline, seed: int, **fidelity: Any) -> Future[Result]:
        """Submits an evaluation; an exception in it becomes a failed result of the future.

        That result is a `Raised`, so that a search can stop when all evaluations raise the same exception.

        Args:
            pipeline: pipeline to evaluate.
            seed: seed of the environment.
            **fidelity: arguments of `env.evaluate`, such as `stop_below`.
        """
        ...

    def shutdown(self) -> None:
        """Shuts down and abandons unfinished evaluations; may be called twice."""
        ...


class ManagedExecutor(ABC):
    """Base class of executors that shut down at the end of a `with` statement."""

    @abstractmethod
    def shutdown(self) -> None:
        """Shuts down and abandons unfinished evaluations; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()


@dataclass(frozen=True, slots=True)
class Raised(Result):
    """Failed result of an evaluation that raised an exception which the evaluator did not handle.

    Attributes:
        cause: type of the exception and the line that raised it, equal for the same bug.
        traceback: traceback as text.
    """

    cause: str = ""
    traceback: str = ""

    def plain(self) -> Result:
        """Returns a plain failed `Result` without cause and traceback."""
        return Result(**{field.name: getattr(self, field.name) for field in fields(Result)})


def guarded(evaluate: Evaluate, pipeline: Pipeline, seed: int, fidelity: Mapping[str, Any]) -> Result:
    """Evaluates a pipeline; an exception becomes a `Raised`."""
    started = time.monotonic()
    try:
        return evaluate(pipeline, seed, **fidelity)
    except Exception as error:
        return raised(error, time.monotonic() - started)


def raised(error: Exception, seconds: float = 0.0, context: str = "") -> Raised:
    """Returns the result of a pipeline whose evaluation raised.

    Args:
        error: the exception.
        seconds: duration of the evaluation.
        context: prefix of the error message.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not is_installed(frame.filename)] or frames
    place = f"{own[-1].filename}, line {own[-1].lineno}, in {own[-1].name}" if own else "no traceback"
    return Raised(
        accuracy=0.0,
        flops=0,
        params=0,
        seconds=seconds,
        error=f"{context}{type(error).__name__}: {error} ({place})",
        cause=f"{type(error).__name__} ({place})",
        traceback="".join(traceback.format_exception(error)),
    )


def failed_result(error: str, seconds: float = 0.0) -> Result:
    """Returns the result of a pipeline that failed outside the evaluator.

    Args:
        error: reason of the failure.
        seconds: duration of the evaluation.
    """
    return Result(accuracy=0.0, flops=0, params=0, seconds=seconds, error=error)


def is_installed(filename: str) -> bool:
    """Returns whether a source file belongs to Python or an installed package rather than to the user's code."""
    return filename.startswith((*INSTALLED, "<frozen"))


def in_background(call: Callable[..., Result], *arguments: Any) -> Future[Result]:
    """Calls a function in a daemon thread of its own, which does not keep the process alive."""
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = call(*arguments)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="evaluation", daemon=True).start()
    return future
