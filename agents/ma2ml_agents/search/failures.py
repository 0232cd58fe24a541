"""Evaluations that raise: shown at once, and an end to a search in which nothing else happens."""

from __future__ import annotations

from collections.abc import Callable

from ma2ml_agents.executors import Raised
from ma2ml_env import Result
from ma2ml_env.errors import MA2MLError


class EvaluatorError(MA2MLError):
    """The first evaluations of a search all raised the same exception; the message ends with its traceback."""


class FailureWatch:
    """Watches the evaluations of one session of a search.

    Args:
        give_up_after: raise when the first so many all raised the same exception; None to go on.
        notice: receives a sentence about the first one that raised.
    """

    def __init__(self, give_up_after: int | None, notice: Callable[[str], None]) -> None:
        self._give_up_after = give_up_after
        self._notice = notice
        self._raised = 0
        self._first: Raised | None = None
        self._others = False

    def see(self, number: int, result: Result) -> None:
        """Takes note of an evaluation that has just finished.

        Raises:
            EvaluatorError: if nothing but the same exception has come of the first `give_up_after`.
        """
        if not isinstance(result, Raised):
            self._others = True
            return
        if self._first is None:
            self._first = result
            self._notice(f"pipeline {number} failed: {result.error}; it counts with reward 0")
        self._others |= result.cause != self._first.cause
        self._raised += 1
        if not self._others and self._raised == self._give_up_after:
            raise EvaluatorError(
                f"all of the first {self._raised} evaluations raised the same exception, so the search stops. Mend "
                "the evaluator and evaluate them again with retry_failed (--retry-failed); give_up_after=None "
                f"(--ignore-failures) goes on regardless.\n\n{self._first.traceback}"
            )
