"""Detection of evaluations that raise: the first is reported at once, and a search of nothing else is stopped."""

from __future__ import annotations

from collections.abc import Callable

from ma2ml_agents.executors import Raised
from ma2ml_env import Result
from ma2ml_env.errors import MA2MLError


class EvaluatorError(MA2MLError):
    """Error of a search whose first evaluations all raised the same exception; its message ends with the traceback."""


class FailureWatch:
    """Monitor of the evaluations in one session of a search.

    Args:
        give_up_after: number of evaluations after which to raise if all raised the same exception; None for never.
        notice: receives a message about the first one that raised.
    """

    def __init__(self, give_up_after: int | None, notice: Callable[[str], None]) -> None:
        self._give_up_after = give_up_after
        self._notice = notice
        self._raised = 0
        self._first: Raised | None = None
        self._others = False

    def see(self, number: int, result: Result) -> None:
        """Records a finished evaluation.

        Raises:
            EvaluatorError: if all of the first `give_up_after` raised the same exception.
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
