"""What a running grid shows: a live bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

from rich.console import Console
from rich.progress import TimeElapsedColumn

from ma2ml_agents.benchmark.grid import Cell
from ma2ml_agents.runs.progress import LiveBar


def describe(cell: Cell) -> str:
    """A cell in a few words."""
    return f"{cell.contender.name} on {cell.problem.name}, seed {cell.seed}"


class GridProgress(LiveBar):
    """Shows finished / all runs, the current one and its evaluation, time spent and left.

    Args:
        runs: of the grid.
        console: where to show it; live if it is a terminal, None for nowhere.

    Source: ours.
    """

    def __init__(self, runs: int, console: Console | None) -> None:
        self._runs, self._done = runs, 0
        super().__init__("runs", runs, console or Console(quiet=True), TimeElapsedColumn())

    def found(self, count: int) -> None:
        """Tell how many runs were finished earlier."""
        self._done = count
        self._bar.update(self._task, completed=count)
        if count:
            self.say(f"{count} of {self._runs} runs are there already")

    def evaluated(self, cell: Cell, count: int, others: int = 0) -> None:
        """Tell how many pipelines a run has evaluated, and how many other runs are under way."""
        beside = f" (and {others} more)" if others else ""
        self._bar.update(self._task, description=f"{describe(cell)}, pipeline {count}/{cell.budget}{beside}")

    def show(self, cell: Cell, error: BaseException | None) -> None:
        """Tell a run that has ended, and what it failed of."""
        self._done += error is None
        what = describe(cell)
        self._bar.update(self._task, completed=self._done, description=what)
        if error is not None:
            self.say(f"failed: {what}: {error}")
        elif not self._console.is_terminal:
            self.say(f"{self._done}/{self._runs} runs, {what}")

    def say(self, line: str) -> None:
        """Write a line above the bar."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
