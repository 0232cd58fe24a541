"""Progress of a running search: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from ma2ml_agents.runs.words import counted
from ma2ml_env import Trial

PLAIN_LINES = 10
"""Number of plain lines about many items, of which none takes long."""
LONG = 0.5
"""Seconds from which an evaluation has a plain line of its own."""


class RemainingColumn(ProgressColumn):
    """Progress column of the remaining time.

    Args:
        seconds: returns the remaining seconds, None while unknown.
    """

    def __init__(self, seconds: Callable[[], float | None]) -> None:
        super().__init__()
        self._seconds = seconds

    def render(self, task: Task) -> Text:
        """Returns the time as hours, minutes and seconds."""
        return Text(f"{duration(self._seconds())} left", style="progress.remaining")


def duration(seconds: float | None) -> str:
    """Returns seconds formatted as 0:01:30, or dashes if unknown."""
    return "-:--:--" if seconds is None else str(timedelta(seconds=round(seconds)))


class LiveBar:
    """Context manager of a progress bar, live if the console is a terminal.

    Args:
        label: label of the bar.
        total: number of items.
        console: console to show it on.
        *columns: further columns, at its end.
    """

    def __init__(self, label: str, total: int, console: Console, *columns: ProgressColumn) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn(label),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            *columns,
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class CountProgress(LiveBar):
    """Progress of a known number of items, with a line on each away from a terminal."""

    def __init__(self, label: str, total: int, console: Console) -> None:
        self._label, self._total, self._done = label, total, 0
        super().__init__(label, total, console)

    def advance(self, summary: str) -> None:
        """Adds a finished item with a summary of it."""
        self._done += 1
        self._bar.update(self._task, completed=self._done, description=summary)
        if not self._console.is_terminal:
            line = f"{self._label}: {self._done}/{self._total}, {summary}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class SearchProgress(LiveBar):
    """Progress of a search: evaluated pipelines, best reward and accuracy so far, seconds per pipeline, time left.

    Away from a terminal each evaluation of this session that takes long has a line; of others there are about ten.

    Args:
        budget: budget of the search.
        console: console to show it on; live if it is a terminal.
        workers: number of pipelines evaluated in parallel, at least 1.
        simulated: whether the seconds of results are those of a simulated clock, so that the remaining time is
            estimated from this process's clock alone.
        limit: returns the seconds that a time limit leaves for the search, from the trials so far; infinite without.
    """

    def __init__(
        self,
        budget: int,
        console: Console,
        workers: int = 1,
        simulated: bool = False,
        limit: Callable[[Sequence[Trial]], float] = lambda trials: math.inf,
    ) -> None:
        self._budget, self._workers, self._simulated, self._limit = budget, workers, simulated, limit
        self._trials: list[Trial] = []
        self._best: Trial | None = None
        self._done = self._failed = self._too_large = self._fresh = 0
        self._seconds: dict[str, float] = {}
        self._started = time.monotonic()
        super().__init__("pipelines", budget, console, RemainingColumn(self.seconds_left))
        self._bar.update(self._task, description=self.summary())

    def show(self, trial: Trial, fresh: bool) -> None:
        """Adds a finished trial; `fresh` is true if it was evaluated in this session."""
        self._done += 1
        self._trials.append(trial)
        self._fresh += fresh
        infeasible = trial.result.infeasible
        self._too_large += infeasible
        self._failed += trial.result.failed and not infeasible
        self._seconds.setdefault(trial.pipeline.key, trial.result.seconds)
        if not trial.result.failed and (self._best is None or trial.reward > self._best.reward):
            self._best = trial
        self._bar.update(self._task, completed=self._done, description=self.summary())
        line = None if self._console.is_terminal else self._plain_line(trial, fresh)
        if line is not None:
            left = self.seconds_left()
            self._print(f"{line}, {duration(left)} left" if left is not None and left >= 1 else line)

    def notice(self, sentence: str) -> None:
        """Shows a message that the user should read."""
        self._print(f"note: {sentence}")

    def seconds_per_pipeline(self) -> float | None:
        """Mean seconds per evaluation, where repeated pipelines count as 0; None before the first one."""
        if self._simulated:
            return (time.monotonic() - self._started) * self._workers / self._fresh if self._fresh else None
        return sum(self._seconds.values()) / self._done if self._done else None

    def seconds_left(self) -> float | None:
        """Estimated seconds until the search ends: remaining pipelines times their mean, at most to a time limit."""
        mean = self.seconds_per_pipeline()
        if mean is None:
            return None
        return min((self._budget - self._done) * mean / self._workers, max(0.0, self._limit(self._trials)))

    def summary(self) -> str:
        """Returns a one-line summary of the search so far."""
        if not self._done:
            return f"starting {counted(self._workers, 'worker')}"
        parts = ["none yet"]
        if self._best:
            parts = [f"best reward {self._best.reward:.4f}, accuracy {self._best.result.accuracy:.2%}"]
        mean = self.seconds_per_pipeline()
        if mean is not None:
            parts.append(f"{mean:.1f} s per pipeline")
        counts = ((self._failed, "failed"), (self._too_large, "too large"))
        parts += [f"{count} {word}" for count, word in counts if count]
        return ", ".join(parts)

    def _plain_line(self, trial: Trial, fresh: bool) -> str | None:
        """Returns the line on a trial, or on all so far; None for none."""
        if fresh and not self._simulated and trial.result.seconds >= LONG:
            return self._line(trial)
        if self._done % max(1, self._budget // PLAIN_LINES) == 0 or self._done == self._budget:
            return f"{self._done}/{counted(self._budget, 'pipeline')}, {self.summary()}"
        return None

    def _line(self, trial: Trial) -> str:
        """Returns a line on one trial: its accuracy, the best so far, and its seconds."""
        place = f"pipeline {trial.number} ({self._done}/{self._budget})"
        seconds = f"{trial.result.seconds:.1f} s"
        if trial.result.failed or self._best is None:
            return f"{place}: {trial.summary}, {seconds}"
        of_rewards = self._best.reward != self._best.result.accuracy
        reward = f", reward {trial.reward:.4f}" if of_rewards else ""
        highest = f"reward {self._best.reward:.4f}" if of_rewards else f"{self._best.result.accuracy:.2%}"
        return f"{place}: accuracy {trial.result.accuracy:.2%}{reward}, best so far {highest}, {seconds}"

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
