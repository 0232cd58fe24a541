"""Report of a search: a description of its best pipelines, its curves, and figures of them."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.runs.words import counted
from ma2ml_env import AutoMLEnv, Trial
from ma2ml_env.files import replacing
from ma2ml_env.trials import top_k

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP_K = 20
FIGURE_BATCH = 10
POINTS, BEST, MEAN, FAILED = "#9aa5b1", "#0072b2", "#d55e00", "#b4232a"
BEST_FIGURE = "best.png"
MANY = 30
"""Number of trials above which their points are small."""


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
        if not trials:
            return "no pipeline was finished"
        return f"no pipeline succeeded in {counted(len(trials), 'trial')}: {'; '.join(reasons)}"
    return "\n\n".join(str(trial) for trial in top_k(complete, count))


def best_curve(trials: Sequence[Trial]) -> list[float]:
    """Returns the best reward so far after each trial, by number; NaN before the first that succeeded."""
    curve, highest = [], math.nan
    for trial in _ordered(trials):
        if not trial.result.failed and not trial.reward <= highest:
            highest = trial.reward
        curve.append(highest)
    return curve


def top_k_curve(trials: Sequence[Trial], k: int = TOP_K) -> list[float]:
    """Returns the mean reward of the best k distinct pipelines so far after each trial, by number.

    It is NaN while there are fewer than k distinct pipelines, so it never falls.

    Source: the paper's first figure, but for the deduplication.
    """
    curve: list[float] = []
    seen: set[str] = set()
    highest: list[float] = []
    for trial in _ordered(trials):
        if trial.pipeline.key not in seen:
            seen.add(trial.pipeline.key)
            bisect.insort(highest, trial.reward)
            del highest[:-k]
        curve.append(math.fsum(highest) / k if len(highest) == k else math.nan)
    return curve


def figure_batch(batch_size: int) -> int:
    """Returns the number of trials per batch in figures: the learner's, or 10 if it learns from each trial."""
    return batch_size if batch_size > 1 else FIGURE_BATCH


def batch_means(trials: Sequence[Trial], batch_size: int) -> list[float]:
    """Returns the mean reward of each batch, in the order of the trials' numbers; the last may be smaller.

    Source: the paper's second figure.
    """
    rewards = [trial.reward for trial in _ordered(trials)]
    parts = [rewards[start : start + batch_size] for start in range(0, len(rewards), batch_size)]
    return [math.fsum(part) / len(part) for part in parts]


def draw_figures(trials: Sequence[Trial], batch_size: int, folder: Path, title: str, k: int = TOP_K) -> list[Path]:
    """Draws the progress of a search and the mean reward of its batches.

    Args:
        trials: trials of one search, at least one.
        batch_size: trials per batch.
        folder: receives `top_reward.png` and `batch_reward.png`.
        title: learner and environment.
        k: number of pipelines averaged in the first figure.

    Returns:
        The two files.

    Source: the paper's figures: mean reward of the top k pipelines, here against pipelines and beside the best one and
        all trials, and each batch's mean reward.
    """
    files = [folder / "top_reward.png", folder / "batch_reward.png"]
    means = batch_means(trials, batch_size)

    def draw_batches(axes: Axes) -> None:
        axes.scatter(range(1, len(means) + 1), means, s=24, alpha=0.8, color=BEST)
        axes.set_xlabel(f"batches of {batch_size}")
        axes.set_ylabel("mean reward of the batch")

    _figure(files[0], title, lambda axes: _draw_progress(axes, trials, k))
    _figure(files[1], title, draw_batches)
    return files


def _draw_progress(axes: Axes, trials: Sequence[Trial], k: int) -> None:
    """Draws every trial, the best so far, the mean of the best k, and failures at the foot of the axes."""
    ordered, numbers = _ordered(trials), range(1, len(trials) + 1)
    shown = [x for x in numbers if not ordered[x - 1].result.failed]
    failed = [x for x in numbers if ordered[x - 1].result.failed]
    if shown:
        rewards = [ordered[x - 1].reward for x in shown]
        size = 9 if len(trials) > MANY else 28
        axes.scatter(shown, rewards, s=size, color=POINTS, alpha=0.7, linewidths=0, label="pipeline")
        axes.step(numbers, best_curve(trials), where="post", color=BEST, linewidth=1.8, label="best so far")
    if shown and len({trial.pipeline.key for trial in trials}) >= k:
        axes.plot(numbers, top_k_curve(trials, k), color=MEAN, linewidth=1.8, label=f"mean of the best {k}")
    if failed:
        foot = axes.get_xaxis_transform()
        axes.scatter(failed, [0.015] * len(failed), s=14, marker="x", color=FAILED, transform=foot, label="failed")
    axes.set_xlabel("pipelines")
    axes.set_ylabel("reward")


def _ordered(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: trial.number)


def draw_best(env: AutoMLEnv, trial: Trial, folder: Path, remark: str = "") -> tuple[Path, NDArray[np.uint8]]:
    """Draws a pipeline on sample images of its task.

    Args:
        env: environment of the search.
        trial: trial to draw.
        folder: receives `best.png`.
        remark: for its subtitle.

    Returns:
        The file, and its pixels, (height, width, 3).
    """
    from matplotlib.image import imsave

    from ma2ml_env.render import draw

    pixels = draw(env, trial, remark)
    with replacing(folder / BEST_FIGURE) as temporary:
        imsave(temporary, pixels, format="png")
    return folder / BEST_FIGURE, pixels


def _figure(file: Path, title: str, draw: Callable[[Axes], None]) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
    axes = figure.subplots()
    draw(axes)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=4)
    axes.set_title(title, fontsize=10)
    axes.set_xlim(0, None)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)
