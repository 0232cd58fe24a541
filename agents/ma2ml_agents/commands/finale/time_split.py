"""Split of a command's time limit among search, finalists and final training."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ma2ml_agents.runs.progress import duration
from ma2ml_agents.search.finalists import FinalistPlan
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.evaluator import Resumable, is_instant
from ma2ml_env.trials import top_k

MARGIN = 1.1
"""Factor of caution on estimated seconds."""


@dataclass(frozen=True)
class TimeSplit:
    """Split of a time limit, from the seconds that evaluations took so far.

    The final training is reserved first, then the finalists; the search has the rest.

    Attributes:
        limit: seconds of the whole command, None for no limit.
        env: environment of the search.
        finalists: extent of the finalists' evaluations.
        workers: number of parallel evaluations.
        started: `time.monotonic()` when the command began.
    """

    limit: float | None
    env: AutoMLEnv
    finalists: FinalistPlan
    workers: int
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds until the limit, infinite without one."""
        return math.inf if self.limit is None else self.started + self.limit - time.monotonic()

    def search_limit(self) -> float | None:
        """Seconds for search, finalists and final training together, at least a moment."""
        return None if self.limit is None else max(self.left, 1e-3)

    def after_search(self, trials: Sequence[Trial]) -> float:
        """Returns the seconds to keep for finalists and final training, 0 before the first result."""
        return self.finalist_seconds(trials) + self.final_seconds(trials)

    def finalist_seconds(self, trials: Sequence[Trial]) -> float:
        """Returns the estimated seconds of the finalists' evaluations."""
        if is_instant(self.env.evaluator):
            return 0.0
        seconds = [trial.result.seconds for trial in _best(trials, self.finalists.count)]
        rounds = math.ceil(len(seconds) * self.finalists.repeats / self.workers)
        return MARGIN * rounds * math.fsum(seconds) / len(seconds) if seconds else 0.0

    def final_seconds(self, trials: Sequence[Trial]) -> float:
        """Returns the estimated seconds of the final training, of the slowest pipeline that may win."""
        if not isinstance(self.env.evaluator, Resumable):
            return 0.0
        slowest = max((trial.result.seconds for trial in _best(trials, max(1, self.finalists.count))), default=0.0)
        return MARGIN * slowest * self.env.evaluator.retrain_length()

    def finalists_deadline(self, trials: Sequence[Trial]) -> float | None:
        """Returns the `time.monotonic()` at which the finalists' evaluations must end."""
        return None if self.limit is None else self.started + self.limit - self.final_seconds(trials)

    def final_epochs(self, winner: Trial) -> int | None:
        """Returns the epochs of the final training for which time is left, None if all of them."""
        evaluator = self.env.evaluator
        if self.limit is None or not isinstance(evaluator, Resumable):
            return None
        needed = winner.result.seconds * evaluator.retrain_length()
        if needed <= self.left:
            return None
        return max(1, math.floor(evaluator.retrain_epochs * self.left / needed))

    def in_words(self, trials: Sequence[Trial]) -> str:
        """Returns one line about the split, after the search."""
        parts = [f"search {duration(time.monotonic() - self.started)}"]
        if self.finalists.count:
            parts.append(f"finalists about {duration(self.finalist_seconds(trials))}")
        if isinstance(self.env.evaluator, Resumable):
            parts.append(f"final training about {duration(self.final_seconds(trials))}")
        return f"time limit {duration(self.limit)}: {', '.join(parts)}"


def _best(trials: Sequence[Trial], count: int) -> list[Trial]:
    return top_k([trial for trial in trials if not trial.result.failed], count)
