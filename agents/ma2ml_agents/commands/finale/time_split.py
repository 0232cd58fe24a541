"""Split of a command's time limit among search, finalists and final training."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ma2ml_agents.runs.progress import duration
from ma2ml_agents.search.finalists import FinalistPlan
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.evaluator import Resumable, is_instant

MARGIN = 1.1
"""Factor of caution on estimated seconds."""
MOST_FINALISTS, MOST_FINAL = 0.15, 0.4
"""Largest shares of the limit that are kept for the finalists and for the final training."""


@dataclass(frozen=True)
class TimeSplit:
    """Split of a time limit, from the seconds that evaluations took so far.

    The search has what finalists and final training are not expected to need, but at least 45 % of the limit. A final
    training that does not fit has fewer epochs.

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
        """Returns the seconds to keep for the finalists' evaluations."""
        seconds = self._usual_seconds(trials)
        if is_instant(self.env.evaluator) or not seconds:
            return 0.0
        rounds = math.ceil(self.finalists.cost / self.workers)
        return self._within(MARGIN * rounds * statistics.fmean(seconds), MOST_FINALISTS)

    def final_seconds(self, trials: Sequence[Trial]) -> float:
        """Returns the seconds to keep for the final training, enough for nine pipelines of ten."""
        seconds = self._usual_seconds(trials)
        if not isinstance(self.env.evaluator, Resumable) or not seconds:
            return 0.0
        needed = MARGIN * sorted(seconds)[math.ceil(0.9 * len(seconds)) - 1] * self.env.evaluator.retrain_length()
        return self._within(needed, MOST_FINAL)

    def finalists_deadline(self, trials: Sequence[Trial]) -> float | None:
        """Returns the `time.monotonic()` at which the finalists' evaluations must end."""
        return None if self.limit is None else self.started + self.limit - self.final_seconds(trials)

    def final_epochs(self, winner: Trial, trials: Sequence[Trial]) -> int | None:
        """Returns the epochs of the final training for which time is left, None if all of them."""
        evaluator = self.env.evaluator
        if self.limit is None or not isinstance(evaluator, Resumable):
            return None
        slowest = max(self._usual_seconds(trials), default=winner.result.seconds)
        needed = min(winner.result.seconds, slowest) * evaluator.retrain_length()
        if needed <= self.left:
            return None
        return max(1, math.floor(evaluator.retrain_epochs * self.left / needed))

    def _usual_seconds(self, trials: Sequence[Trial]) -> list[float]:
        """Seconds of the evaluations that succeeded, without the first of each worker, which loads libraries."""
        done = [trial.result.seconds for trial in trials if not trial.result.failed]
        return done[self.workers :] or done

    def _within(self, seconds: float, share: float) -> float:
        """Seconds, at most a share of the limit."""
        return seconds if self.limit is None else min(seconds, share * self.limit)

    def in_words(self, trials: Sequence[Trial]) -> str:
        """Returns one line about the split, after the search."""
        parts = [f"search {duration(time.monotonic() - self.started)}"]
        if self.finalists.count:
            parts.append(f"finalists about {duration(self.finalist_seconds(trials))}")
        if isinstance(self.env.evaluator, Resumable):
            parts.append(f"final training about {duration(self.final_seconds(trials))}")
        return f"time limit {duration(self.limit)}: {', '.join(parts)}"
