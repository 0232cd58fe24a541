"""The `Executor` protocol, and evaluations that turn an exception into a failed result."""

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
"""`env.evaluate`: (pipeline, seed, **fidelity) -> Result."""
INSTALLED = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")})


class Executor(Protocol):
    """Evaluates pipelines, in the manner of `concurrent.futures`.

    Attributes:
        capacity: number of pipelines that it can evaluate at the same time, at least 1.
    """

    capacity: int

    def submit(self, pipeline: Pipeline, seed: int, **fidelity: Any) -> Future[Result]:
        """Begin an evaluation; the future never raises what the pipeline did, it holds a failed result.

        An evaluation that raised is a `Raised`, so that a search can stop when all of them raise the same.

        Args:
            pipeline: to evaluate.
            seed: of the environment.
            **fidelity: passed on to `env.evaluate`, such as `stop_below`.
        """
        ...

    def shutdown(self) -> None:
        """Stop, abandoning evaluations that are not finished; may be called twice."""
        ...


class ManagedExecutor(ABC):
    """Executor that is shut down at the end of a `with` statement."""

    @abstractmethod
    def shutdown(self) -> None:
        """Stop, abandoning evaluations that are not finished; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()


@dataclass(frozen=True, slots=True)
class Raised(Result):
    """Failed result of an evaluation that raised: an exception that the evaluator did not turn into a result itself.

    Attributes:
        cause: type of the exception and the line that raised it, equal for the same mistake.
        traceback: its text.
    """

    cause: str = ""
    traceback: str = ""

    def plain(self) -> Result:
        """Returns the failed result without cause and traceback."""
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
        seconds: that the evaluation took.
        context: precedes the exception in the reason.
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
    """Returns the result of a pipeline that failed outside the evaluator's own judgment.

    Args:
        error: the reason.
        seconds: that it took.
    """
    return Result(accuracy=0.0, flops=0, params=0, seconds=seconds, error=error)


def is_installed(filename: str) -> bool:
    """Whether a source file belongs to Python or an installed package, not to the user's own code."""
    return filename.startswith((*INSTALLED, "<frozen"))


def in_background(call: Callable[..., Result], *arguments: Any) -> Future[Result]:
    """Calls a function in a thread of its own that does not keep the process from ending."""
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
