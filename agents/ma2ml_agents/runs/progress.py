"""What a running search shows: a live bar on a terminal, a few plain lines anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from ma2ml_env import Trial

PLAIN_LINES = 10


class LiveBar:
    """A context in which a bar is live, if the console is a terminal.

    Args:
        label: what is counted.
        total: how many there are.
        console: where to show it.
        *columns: more of it, before the time that is left.

    Source: ours.
    """

    def __init__(self, label: str, total: int, console: Console, *columns: ProgressColumn) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn(label),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            *columns,
            TextColumn("left"),
            TimeRemainingColumn(),
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


class SearchProgress(LiveBar):
    """Shows evaluated / budget, best reward and accuracy so far, seconds a pipeline, time left.

    Args:
        budget: of the search.
        console: where to show it; live if it is a terminal.

    Source: ours.
    """

    def __init__(self, budget: int, console: Console) -> None:
        self._budget = budget
        self._best: Trial | None = None
        self._done = self._failed = self._fresh = 0
        self._started = time.monotonic()
        super().__init__("pipelines", budget, console)

    def show(self, trial: Trial, fresh: bool) -> None:
        """Tell one more finished trial, and whether it was evaluated now."""
        self._done += 1
        self._fresh += fresh
        self._failed += trial.result.failed
        if not trial.result.failed and (self._best is None or trial.reward > self._best.reward):
            self._best = trial
        self._bar.update(self._task, completed=self._done, description=self.summary())
        step = max(1, self._budget // PLAIN_LINES)
        if not self._console.is_terminal and (self._done % step == 0 or self._done == self._budget):
            self._console.print(
                f"{self._done}/{self._budget} pipelines, {self.summary()}", highlight=False, soft_wrap=True
            )

    def notice(self, sentence: str) -> None:
        """Show a sentence that the user should read."""
        self._console.print(f"note: {sentence}", highlight=False, markup=False, soft_wrap=True)

    def summary(self) -> str:
        """The figures so far, in one line."""
        parts = [
            f"best reward {self._best.reward:.4f}, accuracy {self._best.result.accuracy:.2%}"
            if self._best
            else "none yet"
        ]
        if self._fresh:
            parts.append(f"{(time.monotonic() - self._started) / self._fresh:.1f} s a pipeline")
        if self._failed:
            parts.append(f"{self._failed} failed")
        return ", ".join(parts)
