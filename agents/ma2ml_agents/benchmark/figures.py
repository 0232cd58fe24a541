"""The figures of a results page: the paper's two, and performance profiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.benchmark.curves import ANYTIME_STEP, TOP_K
from ma2ml_agents.benchmark.statistics import FEWEST_RUNS, Estimate, Scores, estimate, iqm, profile
from ma2ml_agents.benchmark.styles import Style, label_lines, list_lines, styles
from ma2ml_agents.benchmark.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS_A_ROW = 2
AXES, LEFT, BELOW, ABOVE = (3.6, 2.8), 0.6, 0.5, 0.35
RIGHT, LETTER = 0.6, 0.053
"""Size of a panel in inches, with room for the longest name right of its axes."""
THRESHOLDS = np.linspace(0.0, 1.0, 101)
Curves = tuple[NDArray[np.float64], Mapping[str, Estimate]]
"""Positions on the x axis, and {algorithm: estimates at them}."""
Tell = Callable[["Axes", Mapping[str, tuple[float, float]], Mapping[str, Style]], None]
"""Function that writes the algorithms' names beside the axes, from the ends of their lines."""


def draw_figures(summary: Summary, aggregate: Mapping[str, Scores], out: Path) -> list[Path]:
    """Draws all figures of a results page.

    Args:
        summary: summary of the benchmark.
        aggregate: {algorithm: normalized scores, shape (runs, environments)}.
        out: receives `top_reward.png`, `batch_reward.png` and `profiles.png`.

    Returns:
        The files.

    Source: the paper's figures: mean reward of the top k pipelines, and of each batch; rliable's performance profiles.
    """
    looks, envs = styles(summary.index.algos), summary.envs()
    evaluations = "evaluated pipelines"
    pages: dict[str, tuple[Mapping[str, Curves], tuple[str, str], Tell]] = {
        "top_reward.png": (
            {env: top_curves(summary, env) for env in envs},
            (evaluations, f"mean true value of the top {TOP_K}"),
            label_lines,
        ),
        "batch_reward.png": (
            {env: batch_curves(summary, env) for env in envs},
            (evaluations, f"mean reward of {ANYTIME_STEP} pipelines"),
            label_lines,
        ),
        "profiles.png": (
            {_environments(aggregate): (THRESHOLDS, _bands(aggregate, profile(THRESHOLDS)))},
            ("normalized score", "fraction of runs above it"),
            list_lines,
        ),
    }
    for name, (panels, labels, tell) in pages.items():
        _draw(out / name, panels, labels, looks, tell)
    return [out / name for name in pages]


def top_curves(summary: Summary, env: str) -> Curves:
    """Returns the paper's first figure on one environment: interquartile means over runs against evaluations."""
    table = summary.anytime[summary.anytime.env == env]
    return _estimates(summary.algos(env), lambda algo: table[table.algo == algo], "evaluations", "top_mean")


def batch_curves(summary: Summary, env: str) -> Curves:
    """Returns the paper's second figure on one environment: interquartile means over runs of batch rewards."""
    trials = summary.trials[summary.trials.env == env]
    ends = (trials.number // ANYTIME_STEP + 1) * ANYTIME_STEP
    batches = trials.assign(end=ends.clip(upper=summary.index.budget))
    means = batches.groupby(["algo", "seed", "end"], as_index=False).reward.mean()
    return _estimates(summary.algos(env), lambda algo: means[means.algo == algo], "end", "reward")


def _estimates(algos: Sequence[str], rows: Callable[[str], object], place: str, value: str) -> Curves:
    """Returns estimates of curves; positions that some run of an algorithm lacks are left out."""
    curves, places = {}, np.array([])
    for algo in algos:
        matrix = rows(algo).pivot(index="seed", columns=place, values=value).dropna(axis=1)  # type: ignore[attr-defined]
        found = matrix.columns.to_numpy(dtype=np.float64)
        places = found if len(found) > len(places) else places
        curves[algo] = matrix.to_numpy()[:, None, :]
    return places, _bands(curves, iqm)


def _bands(scores: Mapping[str, Scores], function: Callable[..., NDArray[np.float64]]) -> dict[str, Estimate]:
    """Returns estimates whose intervals are empty where there are too few runs for one."""
    found = estimate(scores, function)
    few = [algo for algo in scores if len(scores[algo]) < FEWEST_RUNS]
    return found | {algo: replace(found[algo], low=found[algo].point, high=found[algo].point) for algo in few}


def _environments(aggregate: Mapping[str, Scores]) -> str:
    count = next((scores.shape[1] for scores in aggregate.values()), 0)
    return f"all runs on {count} environment{'s' if count != 1 else ''}"


def _draw(
    file: Path, panels: Mapping[str, Curves], labels: tuple[str, str], looks: Mapping[str, Style], tell: Tell
) -> None:
    """Draws one panel per environment."""
    from matplotlib.figure import Figure

    columns = min(PANELS_A_ROW, len(panels))
    rows = -(-len(panels) // columns)
    right = RIGHT + LETTER * max(map(len, looks))
    width, height = columns * (LEFT + AXES[0] + right), rows * (BELOW + AXES[1] + ABOVE)
    figure = Figure(figsize=(width, height), dpi=150)
    figure.subplots_adjust(
        left=LEFT / width,
        right=1 - right / width,
        bottom=BELOW / height,
        top=1 - ABOVE / height,
        wspace=(LEFT + right) / AXES[0],
        hspace=(BELOW + ABOVE) / AXES[1],
    )
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in every[len(panels) :]:
        axes.set_visible(False)
    for axes, (title, curves) in zip(every, panels.items(), strict=False):
        ends = _panel(axes, title, curves, labels, looks)
        tell(axes, ends, looks)
    figure.savefig(file, bbox_inches="tight")


def _panel(
    axes: Axes, title: str, curves: Curves, labels: tuple[str, str], looks: Mapping[str, Style]
) -> dict[str, tuple[float, float]]:
    """Draws the lines; returns the ends of each."""
    places, estimates = curves
    ends = {}
    for algo, found in list(estimates.items())[::-1]:  # the first is drawn last, above the others
        look, x = looks[algo], places[: len(found.point)]
        axes.plot(x, found.point, color=look.color, linestyle=look.dash, linewidth=look.width)
        axes.fill_between(x, found.low, found.high, color=look.color, alpha=0.1, linewidth=0)
        ends[algo] = (float(x[-1]), float(found.point[-1]))
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel(labels[0], fontsize=8)
    axes.set_ylabel(labels[1], fontsize=8)
    axes.tick_params(labelsize=7)
    axes.margins(x=0)
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(axes.get_ylim())
    return dict(list(ends.items())[::-1])
