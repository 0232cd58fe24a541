"""Progress of a running grid: a live bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.progress import TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ma2ml_agents.benchmark.grid import Cell
from ma2ml_agents.runs.progress import LiveBar


def describe(cell: Cell) -> str:
    """Returns a cell in a few words."""
    return f"{cell.contender.name} on {cell.problem.name}, seed {cell.seed}"


@dataclass(frozen=True)
class Failure:
    """The end of a run that failed.

    Attributes:
        reason: in one line.
        details: the traceback of a bug, empty for one of the project's own errors.
    """

    reason: str
    details: str = ""


class GridProgress(LiveBar):
    """Finished / all runs, the current one and its evaluation, time spent and left.

    Args:
        runs: of the grid.
        console: where to show it; live if it is a terminal, None for nowhere.
    """

    def __init__(self, runs: int, console: Console | None) -> None:
        self._runs, self._done = runs, 0
        super().__init__(
            "runs", runs, console or Console(quiet=True), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()
        )

    def found(self, count: int) -> None:
        """Sets the number of runs that were finished earlier."""
        self._done = count
        self._bar.update(self._task, completed=count)
        if count:
            self.say(f"{count} of {self._runs} runs are there already")

    def evaluated(self, cell: Cell, count: int, others: int = 0) -> None:
        """Shows the number of pipelines that a run has evaluated, and of other runs under way."""
        beside = f" (and {others} more)" if others else ""
        self._bar.update(self._task, description=f"{describe(cell)}, pipeline {count}/{cell.budget}{beside}")

    def show(self, cell: Cell, failure: Failure | None) -> None:
        """Counts a run that has ended, or shows its failure."""
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
