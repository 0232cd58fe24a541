"""Progress of one long training: a live bar on a terminal, a few plain lines elsewhere, and its learning curve."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

from rich.console import Console

from ma2ml_agents.runs.progress import PLAIN_LINES, LiveBar, RemainingColumn, duration
from ma2ml_env.files import write_text

CURVE_FILE, CURVE_FIGURE = "curve.csv", "curve.png"
LONG = 60.0
"""Seconds without a finished epoch after which a line tells how far it is, away from a terminal; twice as many for each
further line."""
Point = tuple[int, float, float]
"""Epoch from 1, mean training loss, accuracy on the augmented training images."""


class TrainingProgress(LiveBar):
    """Progress of a training: epochs, loss, training accuracy, time left.

    Args:
        label: label of the bar.
        epochs: number of epochs.
        console: console to show it on; live if it is a terminal.

    Attributes:
        curve: the epochs so far.
        seconds: of the latest epoch, 0 before the first.
    """

    def __init__(self, label: str, epochs: int, console: Console) -> None:
        self._label, self._epochs = label, epochs
        self.curve: list[Point] = []
        self._last, self.seconds = time.monotonic(), 0.0
        self._within, self._silent = 0.0, LONG
        super().__init__(label, epochs, console, RemainingColumn(self.seconds_left))

    def show(self, epoch: int, loss: float, accuracy: float) -> None:
        """Adds a finished epoch."""
        now = time.monotonic()
        self.seconds, self._last, self._within = now - self._last, now, 0.0
        self.curve.append((epoch, loss, accuracy))
        summary = f"loss {loss:.3f}, training accuracy {accuracy:.2%}"
        self._bar.update(self._task, completed=epoch, description=summary)
        step = max(1, self._epochs // PLAIN_LINES)
        if not self._console.is_terminal and (epoch % step == 0 or epoch == self._epochs):
            left = self.seconds_left()
            remaining = f", {duration(left)} left" if left is not None and left >= 1 else ""
            line = f"{self._label}: {epoch}/{self._epochs} epochs, {summary}{remaining}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def advance(self, done: float) -> None:
        """Shows how far the training is between two epochs; `done` is the number of epochs so far, a fraction."""
        self._within = max(0.0, done - len(self.curve))
        self._bar.update(self._task, completed=done)
        if not self._console.is_terminal and time.monotonic() - self._last >= self._silent:
            self._silent *= 2
            text = f"{self._label}: {done:.2f}/{self._epochs} epochs, {duration(self.seconds_left())} left"
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def seconds_left(self) -> float | None:
        """Estimated seconds until the last epoch at the pace of the latest one, or of the first; None before any."""
        left = self._epochs - len(self.curve) - self._within
        if len(self.curve) > 1:
            return left * self.seconds
        return left * (time.monotonic() - self._last) / self._within if self._within else None


def save_curve(curve: list[Point], folder: Path, title: str) -> None:
    """Writes a learning curve as `curve.csv` and draws it as `curve.png`.

    Args:
        curve: all epochs, at least one.
        folder: receives both files.
        title: title of the figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "loss", "training_accuracy"])
    writer.writerows(curve)
    write_text(folder / CURVE_FILE, text.getvalue())
    epochs, losses, accuracies = zip(*curve, strict=True)
    figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
    axes = figure.subplots()
    marker = "o" if len(curve) == 1 else ""
    (loss,) = axes.plot(epochs, losses, color="C0", marker=marker, label="loss")
    axes.set(xlabel="epochs", ylabel="training loss", xlim=(0, None), ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    right = axes.twinx()
    (accuracy,) = right.plot(epochs, accuracies, color="C1", marker=marker, label="accuracy")
    right.set(ylabel="accuracy on augmented training images", ylim=(0, 1))
    axes.spines["top"].set_visible(False)
    right.spines["top"].set_visible(False)
    figure.legend(handles=[loss, accuracy], loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(folder / CURVE_FIGURE)
