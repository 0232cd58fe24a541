"""Split of a command's time limit among search, finalists and final training."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ma2ml_agents.runs.progress import duration
from ma2ml_agents.search.finalists import FinalistPlan
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.evaluator import Resumable, Shortenable, is_instant

MARGIN = 1.1
"""Factor of caution on estimated seconds."""
MOST_FINALISTS, MOST_FINAL = 0.15, 0.4
"""Largest shares of the limit that are kept for the finalists and for the final training."""
LEAST_SEARCH = 1 - MOST_FINALISTS - MOST_FINAL
LOADING = 3.0
"""Largest usual ratio of a worker's first evaluation, which loads libraries, to a later one."""
LATEST = 10
"""Number of the latest evaluations that predict the next one."""
FEW = 20
"""Number of pipelines below which a search is little more than a guess."""
FEWEST_EPOCHS = 3
"""Epochs of a final training below which it has fewer images instead: their pace is known before the last of them."""

ROUNDING = 1e-9


class Length(NamedTuple):
    """Length of a final training.

    Attributes:
        epochs: number of epochs, at least 1.
        share: share of the images that it trains on, in (0, 1].
    """

    epochs: int
    share: float = 1.0

    @property
    def passes(self) -> float:
        """Number of epochs on all images that take as long."""
        return self.epochs * self.share

    @classmethod
    def fitting(cls, evaluator: Resumable, passes: float) -> Length:
        """Returns the length of a final training for which there is time.

        Args:
            evaluator: of the training.
            passes: number of epochs on all images that fit into the time; any number.
        """
        whole = evaluator.retrain_epochs
        least = evaluator.least_share() if isinstance(evaluator, Shortenable) else 1.0
        share = min(1.0, max(least, passes / min(FEWEST_EPOCHS, whole)))
        return cls(max(1, math.floor(min(whole, passes / share + ROUNDING))), share)


@dataclass(frozen=True)
class TimeSplit:
    """Split of a time limit, from the seconds that evaluations took so far.

    The search has what finalists and final training are not expected to need, but at least 45 % of the limit. A final
    training that does not fit has fewer epochs, finalists that do not fit are fewer.

    Attributes:
        limit: seconds of the whole command, None for no limit.
        env: environment of the search.
        finalists: extent of the finalists' evaluations if the whole budget is spent.
        workers: number of parallel evaluations.
        started: `time.monotonic()` when the command began.
        expected: seconds of an evaluation by the clock, measured beforehand; NaN if it was not.
        loading: seconds by the clock of a worker before its first evaluation.
        fixed_finalists: whether their number was asked for, so that it does not follow from that of the pipelines.
        repeats: evaluations of each finalist that were asked for; None if they follow from the number of pipelines.
    """

    limit: float | None
    env: AutoMLEnv
    finalists: FinalistPlan
    workers: int
    started: float = field(default_factory=time.monotonic)
    expected: float = math.nan
    loading: float = 0.0
    fixed_finalists: bool = False
    repeats: int | None = None

    @property
    def left(self) -> float:
        """Seconds until the limit, infinite without one."""
        return math.inf if self.limit is None else self.started + self.limit - time.monotonic()

    def search_limit(self) -> float | None:
        """Seconds for search, finalists and final training together, at least a moment."""
        return None if self.limit is None else max(self.left, 1e-3)

    def pace(self, trials: Sequence[Trial]) -> float:
        """Returns the expected seconds of the next evaluation: the mean of the latest ones; 0 before the first."""
        if is_instant(self.env.evaluator) or not (seconds := self._usual_seconds(trials)):
            return 0.0
        return statistics.fmean(seconds[-LATEST:])

    def after_search(self, trials: Sequence[Trial]) -> float:
        """Returns the seconds to keep for finalists and final training, 0 before the first result."""
        return self.finalist_seconds(trials) + self.final_seconds(trials)

    def finalist_seconds(self, trials: Sequence[Trial]) -> float:
        """Returns the seconds to keep for the finalists' evaluations, as many as suit the pipelines that fit."""
        pace = self.pace(trials)
        return self._finalist_seconds(pace, self._reachable(len(trials), pace)) if pace else 0.0

    def final_seconds(self, trials: Sequence[Trial]) -> float:
        """Returns the seconds to keep for the final training, enough for nine pipelines of ten."""
        return self._final_seconds(self._usual_seconds(trials))

    def fitting(self, trials: Sequence[Trial] = ()) -> int | None:
        """Returns the number of pipelines that the search can evaluate within the limit; None if that is not known.

        Args:
            trials: trials of the search so far.
        """
        pace = self.pace(trials) or self.expected
        if self.limit is None or is_instant(self.env.evaluator) or math.isnan(pace):
            return None
        kept = self.loading if len(trials) < 2 * self.workers else 0.0
        kept += self._finalist_seconds(pace, self._reachable(len(trials), pace))
        kept += self._final_seconds(self._usual_seconds(trials) or [pace])
        return len(trials) + max(0, math.floor((self.left - kept) / pace)) * self.workers

    def extent(
        self, trials: Sequence[Trial], missing: Callable[[FinalistPlan], int] = lambda plan: plan.cost
    ) -> FinalistPlan:
        """Returns the extent of the finalists' evaluations that suits the trials and fits into the time.

        It is never below that of evaluations which need no time, since they are stored.

        Args:
            trials: all trials of the search.
            missing: returns the number of evaluations of an extent that are not stored.
        """
        plan, deadline, pace = self._suiting(len(trials)), self.finalists_deadline(trials), self.pace(trials)
        if deadline is None or not pace:
            return plan
        fit = max(0, math.floor((deadline - time.monotonic()) / pace)) * self.workers
        stored = next((each for each in _smaller(self.finalists) if not missing(each)), FinalistPlan(0, 1))
        for each in _smaller(plan, plan.count if self.fixed_finalists else 2):
            if each.count >= stored.count and each.repeats >= stored.repeats and missing(each) <= fit:
                return each
        return stored if stored.count else replace(plan, count=0)

    def finalists_deadline(self, trials: Sequence[Trial]) -> float | None:
        """Returns the `time.monotonic()` at which the finalists' evaluations must end."""
        return None if self.limit is None else self.started + self.limit - self.final_seconds(trials)

    def final_length(self, evaluator: Resumable, winner: Trial, trials: Sequence[Trial]) -> Length:
        """Returns the length of the final training for which time is left."""
        if math.isinf(self.left):
            return Length(evaluator.retrain_epochs)
        return Length.fitting(evaluator, self.left / self.final_epoch_seconds(evaluator, winner, trials))

    def final_epoch_seconds(self, evaluator: Resumable, winner: Trial, trials: Sequence[Trial]) -> float:
        """Returns the expected seconds of an epoch of the final training of a pipeline, on all images."""
        slowest = max(self._usual_seconds(trials), default=winner.result.seconds)
        seconds = MARGIN * min(winner.result.seconds, slowest) * evaluator.retrain_length() / evaluator.retrain_epochs
        return max(seconds, 1e-9)

    def _reachable(self, done: int, pace: float) -> int | None:
        """Number of trials at which the search ends, if it had the least share of the limit from now on.

        None without a limit, which is the whole budget.
        """
        if self.limit is None:
            return None
        left = max(0.0, self.left - (1 - LEAST_SEARCH) * self.limit)
        return done + math.floor(left / pace) * self.workers

    def _suiting(self, trials: int | None) -> FinalistPlan:
        """The finalists that suit so many trials, no more than were wanted."""
        if self.fixed_finalists or trials is None:
            return self.finalists
        return min(self.finalists, FinalistPlan.of_search(trials, self.repeats), key=lambda plan: plan.cost)

    def _finalist_seconds(self, pace: float, trials: int | None) -> float:
        rounds = math.ceil(self._suiting(trials).cost / self.workers)
        return self._within(MARGIN * rounds * pace, MOST_FINALISTS)

    def _final_seconds(self, seconds: Sequence[float]) -> float:
        if not isinstance(self.env.evaluator, Resumable) or not seconds:
            return 0.0
        needed = MARGIN * sorted(seconds)[math.ceil(0.9 * len(seconds)) - 1] * self.env.evaluator.retrain_length()
        return self._within(needed, MOST_FINAL)

    def _usual_seconds(self, trials: Sequence[Trial]) -> list[float]:
        """Seconds of the evaluations that succeeded, without the first of each worker, which loads libraries.

        If there are no others, the expected seconds count, unless even those first ones are much longer.
        """
        done = [trial.result.seconds for trial in trials if not trial.result.failed]
        if len(done) > self.workers:
            return done[self.workers :]
        if not done or math.isnan(self.expected):
            return done
        return [max(self.expected, min(done) / LOADING)]

    def _within(self, seconds: float, share: float) -> float:
        """Seconds, at most a share of the limit."""
        return seconds if self.limit is None else min(seconds, share * self.limit)

    def in_words(self, trials: Sequence[Trial], evaluations: int) -> str:
        """Returns one line about the split, after the search.

        Args:
            trials: all trials of the search.
            evaluations: number of the finalists' evaluations that follow.
        """
        parts = [f"search {duration(time.monotonic() - self.started)}"]
        if evaluations:
            seconds = MARGIN * math.ceil(evaluations / self.workers) * self.pace(trials)
            parts.append(f"finalists about {duration(seconds)}")
        if isinstance(self.env.evaluator, Resumable):
            parts.append(f"final training about {duration(self.final_seconds(trials))}")
        return f"time limit {duration(self.limit)}: {', '.join(parts)}"


def _smaller(plan: FinalistPlan, least: int = 2) -> Iterator[FinalistPlan]:
    """Yields the extents up to one, fewer evaluations of each before fewer finalists, which are at least so many."""
    for count in range(plan.count, min(least, plan.count or 1) - 1, -1):
        for repeats in range(plan.repeats, 0, -1):
            yield replace(plan, count=count, repeats=repeats)
