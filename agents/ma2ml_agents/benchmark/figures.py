"""The figures of a results page: the paper's two, error distributions, and performance profiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.benchmark.curves import ANYTIME_STEP, TOP_K
from ma2ml_agents.benchmark.statistics import FEWEST_RUNS, Estimate, Scores, estimate, iqm, profile
from ma2ml_agents.benchmark.styles import COLORS, FIRST_WIDTH, WIDTH, Style, label_lines, list_lines, styles
from ma2ml_agents.benchmark.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PANELS_A_ROW = 2
AXES, LEFT, BELOW, ABOVE = (3.6, 2.8), 0.6, 0.5, 0.35
RIGHT, LETTER = 0.6, 0.053
"""Size of a panel in inches, with room for the longest name right of its axes."""
THRESHOLDS = np.linspace(0.0, 1.0, 101)
DPI, SMALL_DPI, FEW_COLORS = 150, 80, 64
SMALL_COLORS = (COLORS[0], COLORS[1], COLORS[-1], COLORS[2], COLORS[3])
TOP_LABELS = ("evaluated pipelines", f"mean true value of the top {TOP_K}")
LEAST_ERROR = 1e-4
"""Least error on a logarithmic axis."""
Curves = tuple[NDArray[np.float64], Mapping[str, Estimate]]
"""Positions on the x axis, and {algorithm: estimates at them}."""
Tell = Callable[["Axes", Mapping[str, tuple[float, float]], Mapping[str, Style]], None]
"""Function that writes the algorithms' names beside the axes, from the ends of their lines."""


@dataclass(frozen=True)
class Sheet:
    """Content of one figure.

    Attributes:
        panels: {title: curves}.
        labels: labels of the x and the y axis.
        tell: function that writes the algorithms' names.
        scale: matplotlib's scale of the x axis.
    """

    panels: Mapping[str, Curves]
    labels: tuple[str, str]
    tell: Tell = label_lines
    scale: str = "linear"


def draw_figures(summary: Summary, aggregate: Mapping[str, Scores], out: Path) -> list[Path]:
    """Draws all figures of a results page.

    Args:
        summary: summary of the benchmark.
        aggregate: {algorithm: normalized scores, shape (runs, environments)}.
        out: receives `top_reward.png`, `batch_reward.png`, `errors.png` and `profiles.png`.

    Returns:
        The files.

    Source: the paper's figures: mean reward of the top k pipelines, and of each batch; error distributions as of
    Radosavovic et al., "Designing Network Design Spaces"; rliable's performance profiles.
    """
    looks, envs = styles(summary.index.algos), summary.envs()
    sheets = {
        "top_reward.png": Sheet({env: top_curves(summary, env) for env in envs}, TOP_LABELS),
        "batch_reward.png": Sheet(
            {env: batch_curves(summary, env) for env in envs},
            (TOP_LABELS[0], f"mean reward of {ANYTIME_STEP} pipelines"),
        ),
        "errors.png": Sheet(
            {env: error_curves(summary, env) for env in envs},
            ("error: 1 - true value", "fraction of pipelines below it"),
            list_lines,
            "log",
        ),
        "profiles.png": Sheet(
            {_environments(aggregate): (THRESHOLDS, _bands(aggregate, profile(THRESHOLDS)))},
            ("normalized score", "fraction of runs above it"),
            list_lines,
        ),
    }
    for name, sheet in sheets.items():
        _draw(out / name, sheet, looks)
    return [out / name for name in sheets]


def draw_small(panels: Mapping[str, Curves], algos: Sequence[str], file: Path) -> None:
    """Draws the curves of an algorithm and up to four others, small.

    Args:
        panels: {title: curves of these algorithms and any others}.
        algos: the algorithms, the main one first.
        file: receives the figure, a PNG of less than 30 kB.
    """
    from PIL import Image

    looks = {algo: Style(color, "solid", WIDTH) for algo, color in zip(algos, SMALL_COLORS, strict=False)}
    looks[algos[0]] = replace(looks[algos[0]], width=FIRST_WIDTH)
    chosen = {title: (places, {algo: curves[algo] for algo in algos}) for title, (places, curves) in panels.items()}
    _draw(file, Sheet(chosen, TOP_LABELS), looks, dpi=SMALL_DPI)
    with Image.open(file) as drawn:
        drawn.convert("RGB").quantize(FEW_COLORS).save(file, optimize=True)


def top_curves(summary: Summary, env: str) -> Curves:
    """Returns the paper's first figure on one environment: interquartile means over runs against evaluations."""
    return anytime_curves(summary.anytime[summary.anytime.env == env], summary.algos(env))


def anytime_curves(anytime: pd.DataFrame, algos: Sequence[str]) -> Curves:
    """Returns the paper's first figure from one environment's rows of `Summary.anytime`."""
    return _estimates(algos, lambda algo: anytime[anytime.algo == algo], "evaluations", "top_mean")


def batch_curves(summary: Summary, env: str) -> Curves:
    """Returns the paper's second figure on one environment: interquartile means over runs of batch rewards."""
    trials = summary.trials[summary.trials.env == env]
    ends = (trials.number // ANYTIME_STEP + 1) * ANYTIME_STEP
    batches = trials.assign(end=ends.clip(upper=summary.index.budget))
    means = batches.groupby(["algo", "seed", "end"], as_index=False).reward.mean()
    return _estimates(summary.algos(env), lambda algo: means[means.algo == algo], "end", "reward")


def error_curves(summary: Summary, env: str) -> Curves:
    """Returns the distribution of errors, 1 - true value, over the distinct pipelines that an algorithm evaluated.

    That of random search is the environment's own: the distribution over its pipelines.

    Source: RegNet's error empirical distribution functions, of pipelines that a search proposed instead of samples of
    a design space; means over runs.
    """
    trials = summary.trials[summary.trials.env == env].drop_duplicates(["algo", "seed", "key"])
    errors = (1 - trials.true_value).clip(lower=LEAST_ERROR)
    low, high = errors.min(), errors.max()
    places = np.geomspace(low, max(high, 1.01 * low), len(THRESHOLDS))
    below = {
        algo: np.stack([(run.to_numpy()[:, None] <= places).mean(0) for _, run in mine.groupby(trials.seed)])
        for algo in summary.algos(env)
        for mine in [errors[trials.algo == algo]]
    }
    return places, _bands({algo: runs[:, None, :] for algo, runs in below.items()}, lambda runs: runs.mean(axis=(0, 1)))


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


def _draw(file: Path, sheet: Sheet, looks: Mapping[str, Style], dpi: int = DPI) -> None:
    """Draws one panel per environment."""
    from matplotlib.figure import Figure

    panels = sheet.panels
    columns = min(PANELS_A_ROW, len(panels))
    rows = -(-len(panels) // columns)
    right = RIGHT + LETTER * max(map(len, looks))
    width, height = columns * (LEFT + AXES[0] + right), rows * (BELOW + AXES[1] + ABOVE)
    figure = Figure(figsize=(width, height), dpi=dpi)
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
        axes.set_xscale(sheet.scale)
        ends = _panel(axes, title, curves, sheet.labels, looks)
        sheet.tell(axes, ends, looks)
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
    axes.tick_params(which="both", labelsize=7)
    axes.margins(x=0)
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(axes.get_ylim())
    return dict(list(ends.items())[::-1])
