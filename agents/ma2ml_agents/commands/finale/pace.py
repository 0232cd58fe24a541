"""Plan of a search under a time limit in words: before it, when evaluations are slower than planned, and after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ma2ml_agents.commands.finale.time_split import FEW, TimeSplit
from ma2ml_agents.runs.progress import duration
from ma2ml_agents.runs.words import counted
from ma2ml_env import Trial
from ma2ml_env.image_proxy import in_seconds

SLOWER = 2.0
"""Ratio of the measured to the expected seconds of an evaluation from which a warning is printed."""


class PlanWatch:
    """Says how many pipelines fit in the time limit: before the search, and again if evaluations are slower.

    Args:
        split: split of the time limit.
        budget: number of pipelines of the search.
        say: prints a line.

    Attributes:
        fresh: number of trials of this session.
    """

    def __init__(self, split: TimeSplit, budget: int, say: Callable[[str], None]) -> None:
        self._split, self._budget, self._say = split, budget, say
        self._expected = split.expected
        self.fresh = 0
        self._trials: list[Trial] = []
        self._keys: set[str] = set()
        self._measured, self._settled = 0, False

    def announce(self, stored: Sequence[Trial] = ()) -> None:
        """Prints the plan, if the speed of evaluations is known already.

        Args:
            stored: trials of earlier sessions, which tell the speed.
        """
        self._expected = self._split.pace(stored) or self._split.expected
        fitting = self._split.fitting(stored)
        if stored and fitting == len(stored) < self._budget:
            self._say(f"plan: no further pipeline fits in the time limit of {duration(self._split.limit)}")
        else:
            self._print("plan: ", fitting)

    def see(self, trial: Trial, fresh: bool) -> None:
        """Compares a trial's seconds with the plan; its arguments are those of `Callbacks.on_trial`.

        Pipelines that failed, were too large or are repeated tell nothing of the speed.
        """
        self.fresh += fresh
        if self._settled:
            return
        self._trials.append(trial)
        self._measured += fresh and not trial.result.failed and trial.pipeline.key not in self._keys
        self._keys.add(trial.pipeline.key)
        if self._measured >= 2 * self._split.workers:
            self._settled = True
            self._compare()
            self._trials, self._keys = [], set()

    def _compare(self) -> None:
        """Prints how many pipelines fit if that was not known, or if evaluations are slower."""
        pace = self._split.pace(self._trials)
        if math.isnan(self._expected) and pace:
            self._print("plan: ", self._split.fitting(self._trials))
        elif pace > SLOWER * self._expected:
            slower = f"slower than planned: an evaluation takes {in_seconds(pace)}, not {in_seconds(self._expected)}"
            fitting = self._split.fitting(self._trials)
            if fitting is None:
                self._say(slower)
            self._print(f"{slower}; ", fitting)

    def _print(self, start: str, fitting: int | None) -> None:
        """Prints how many pipelines fit, unless that is not known."""
        if fitting is None:
            return
        limit = f"the time limit of {duration(self._split.limit)}"
        if fitting >= self._budget:
            self._say(f"{start}{limit} suffices for {counted(self._budget, 'pipeline')}")
            return
        few = "; so few tell little, a longer limit tells more" if fitting < min(FEW, self._budget) else ""
        self._say(f"{start}about {fitting} of {counted(self._budget, 'pipeline')} fit in {limit}{few}")


def ended_early(split: TimeSplit, trials: Sequence[Trial], fresh: int, budget: int) -> str:
    """Returns a line on a search that the time limit ended.

    Args:
        split: split of the time limit.
        trials: all trials of the search.
        fresh: number of those that were evaluated in this session.
        budget: number of pipelines that were wanted.
    """
    were = "was" if len(trials) == 1 else "were"
    text = f"the time limit came first: {len(trials)} of {counted(budget, 'pipeline')} {were} evaluated"
    if fresh:
        return text
    pace = split.pace(trials)
    takes = f", of which each takes about {in_seconds(pace)}" if pace else ""
    return f"{text}, and it leaves no room for another one{takes}; a longer --time-limit goes on from here"
