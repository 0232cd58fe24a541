"""Progress of a running grid: a live bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.progress import TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ma2ml_agents.benchmark.grid import Cell
from ma2ml_agents.runs.progress import LiveBar


def describe(cell: Cell) -> str:
    """Returns a short description of a cell."""
    return f"{cell.contender.name} on {cell.problem.name}, seed {cell.seed}"


@dataclass(frozen=True)
class Failure:
    """Failure of a run.

    Attributes:
        reason: one-line reason.
        details: the traceback of a bug; empty for the project's own errors.
    """

    reason: str
    details: str = ""


class GridProgress(LiveBar):
    """Progress of a grid: finished runs of all, the current run and evaluation, elapsed and remaining time.

    Args:
        runs: number of runs in the grid.
        console: console to show it on; live on a terminal, None for no output.
    """

    def __init__(self, runs: int, console: Console | None) -> None:
        self._runs, self._done = runs, 0
        super().__init__(
            "runs", runs, console or Console(quiet=True), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()
        )

    def found(self, count: int) -> None:
        """Sets the number of runs finished in earlier sessions."""
        self._done = count
        self._bar.update(self._task, completed=count)
        if count:
            self.say(f"{count} of {self._runs} runs are there already")

    def evaluated(self, cell: Cell, count: int, others: int = 0) -> None:
        """Shows the number of pipelines a run has evaluated, and the number of other active runs."""
        beside = f" (and {others} more)" if others else ""
        self._bar.update(self._task, description=f"{describe(cell)}, pipeline {count}/{cell.budget}{beside}")

    def show(self, cell: Cell, failure: Failure | None) -> None:
        """Counts a finished run, or shows its failure."""
        self._done += failure is None
        what = describe(cell)
        self._bar.update(self._task, completed=self._done, description=what)
        if failure is not None:
            self.say(f"failed: {what}: {failure.details or failure.reason}")
        elif not self._console.is_terminal:
            self.say(f"{self._done}/{self._runs} runs, {what}")

    def say(self, line: str) -> None:
        """Writes a line above the bar."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
