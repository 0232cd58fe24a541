"""Report of a search: a description of its best pipelines, and the paper's two figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ma2ml_env import Trial
from ma2ml_env.trials import top_k, top_k_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP_K = 20


def best_in_words(trials: Sequence[Trial], count: int = 3) -> str:
    """Returns a description of the best distinct pipelines: each agent's choices, and the result.

    Args:
        trials: trials of one search.
        count: number of pipelines, at least 1.
    """
    complete = [trial for trial in trials if not trial.result.failed]
    if not complete:
        too_large = sum(trial.result.infeasible for trial in trials)
        reasons = sorted({str(trial.result.error) for trial in trials if not trial.result.infeasible})
        reasons += [f"{too_large} too large"] if too_large else []
        return f"no pipeline succeeded in {len(trials)} trials: {'; '.join(reasons) or 'none was finished'}"
    return "\n\n".join(str(trial) for trial in top_k(complete, count))


def batches(trials: Sequence[Trial], size: int) -> list[Sequence[Trial]]:
    """Returns the trials in batches of `size`, in the order of their numbers; the last may be smaller."""
    ordered = sorted(trials, key=lambda trial: trial.number)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def top_k_curve(trials: Sequence[Trial], batch_size: int, k: int = TOP_K) -> list[float]:
    """Returns the mean reward of the best k distinct pipelines so far, after each batch.

    Source: the paper's first figure.
    """
    parts = batches(trials, batch_size)
    return [top_k_mean([t for part in parts[: i + 1] for t in part], k) for i in range(len(parts))]


def batch_means(trials: Sequence[Trial], batch_size: int) -> list[float]:
    """Returns the mean reward of each batch.

    Source: the paper's second figure.
    """
    return [math.fsum(t.reward for t in part) / len(part) for part in batches(trials, batch_size)]


def draw_figures(trials: Sequence[Trial], batch_size: int, folder: Path, title: str, k: int = TOP_K) -> list[Path]:
    """Draws the paper's two figures.

    Args:
        trials: trials of one search, at least one.
        batch_size: trials per batch.
        folder: receives `top_reward.png` and `batch_reward.png`.
        title: learner and environment.
        k: number of pipelines averaged in the first figure.

    Returns:
        The two files.

    Source: the paper's figures: mean reward of the top k pipelines against batches, and each batch's mean reward.
    """
    means = batch_means(trials, batch_size)
    numbers = list(range(1, len(means) + 1))
    files = [folder / "top_reward.png", folder / "batch_reward.png"]

    def line(axes: Axes) -> None:
        axes.plot(numbers, top_k_curve(trials, batch_size, k), marker="o", markersize=4)
        axes.set_ylabel(f"mean reward of the top {k} pipelines")

    def scatter(axes: Axes) -> None:
        axes.scatter(numbers, means, s=24, alpha=0.8)
        axes.set_ylabel("mean reward of the batch")

    for file, draw in zip(files, (line, scatter), strict=True):
        _figure(file, f"{title}, batches of {batch_size}", draw)
    return files


def _figure(file: Path, title: str, draw: Callable[[Axes], None]) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
    axes = figure.subplots()
    draw(axes)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("batches")
    axes.set_xlim(0, None)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)
