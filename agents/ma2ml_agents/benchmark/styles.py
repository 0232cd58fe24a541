"""Line styles of algorithms in all figures: color, dash and width, and names beside the lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
"""Okabe and Ito's color-blind-safe palette, without its yellow, which vanishes on white."""
Dash = Literal["solid", "dashed", "dotted", "dashdot"]
DASHES: tuple[Dash, ...] = ("solid", "dashed", "dotted", "dashdot")
KNOWN = (
    "ma2ml", "ma2ml_lite", "ma2ml_on_policy", "regularized_evolution", "one_plus_one", "nsga2", "random_search",
    "ppo", "mappo", "tpe", "smac", "sb3_ppo", "sb3_a2c",
)  # fmt: skip
"""Learners with the same style on every page."""
FIRST_WIDTH, WIDTH = 2.4, 1.4
LABEL_SIZE = 7.0


@dataclass(frozen=True)
class Style:
    """Line style of one algorithm.

    Attributes:
        color: color of line, band and name.
        dash: matplotlib's line style.
        width: line width in points.
    """

    color: str
    dash: Dash
    width: float


def styles(algos: Sequence[str]) -> dict[str, Style]:
    """Returns a line style per algorithm: fixed for built-in ones, the least-used remaining style for others.

    The first color is reserved for the first built-in one; the others share the rest and differ in their dashes.
    """
    shared = [Style(color, dash, WIDTH) for dash in DASHES for color in COLORS[1:]]
    own = dict(zip(KNOWN, [Style(COLORS[0], DASHES[0], FIRST_WIDTH), *shared], strict=False))
    left = sorted(shared, key=lambda look: look in own.values())
    looks = {algo: own[algo] for algo in algos if algo in own}
    for algo in algos:
        if algo not in looks:
            looks[algo] = _rarest(left, list(looks.values()))
    return {algo: looks[algo] for algo in algos}


def _rarest(looks: Sequence[Style], shown: Sequence[Style]) -> Style:
    """Returns the first of the least-used styles in a least-used color."""
    colors = [look.color for look in shown]
    return min(looks, key=lambda look: (shown.count(look), colors.count(look.color)))


def label_lines(axes: Axes, ends: Mapping[str, tuple[float, float]], looks: Mapping[str, Style]) -> None:
    """Writes every algorithm's name right of the axes, at the height of its line's end where that is free.

    Args:
        axes: axes with final limits.
        ends: {algorithm: (x, y) of its line's last point}.
        looks: {algorithm: its style}.
    """
    low, high = axes.get_ylim()
    _, top = axes.transAxes.transform((0, 1))
    _, bottom = axes.transAxes.transform((0, 0))
    gap = 1.25 * LABEL_SIZE / 72 * axes.figure.dpi / (top - bottom) * (high - low)
    names = sorted(ends, key=lambda name: ends[name][1])
    for name, height in zip(names, spread([ends[name][1] for name in names], gap, low, high), strict=True):
        axes.annotate(
            name,
            xy=ends[name],
            xytext=(1.05, (height - low) / (high - low)),
            textcoords="axes fraction",
            va="center",
            fontsize=LABEL_SIZE,
            color=looks[name].color,
            fontweight="bold" if looks[name].width == FIRST_WIDTH else "normal",
            arrowprops={"arrowstyle": "-", "color": looks[name].color, "lw": 0.6, "relpos": (0, 0.5), "shrinkB": 0},
            annotation_clip=False,
        )


def list_lines(axes: Axes, ends: Mapping[str, tuple[float, float]], looks: Mapping[str, Style]) -> None:
    """Writes every algorithm's name into a legend right of the axes, for lines that end at the same place.

    Args:
        axes: axes of the lines.
        ends: {algorithm: anything}, in the order of the legend.
        looks: {algorithm: its style}.
    """
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=looks[name].color, linestyle=looks[name].dash, linewidth=looks[name].width, label=name)
        for name in ends
    ]
    axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        fontsize=LABEL_SIZE,
        handlelength=3,
    )


def spread(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Returns heights at least a gap apart, moved as little as possible, within [low, high] where they fit.

    Args:
        heights: ascending.
        gap: least distance.
        low: lower limit of the axes.
        high: upper limit of the axes.
    """
    steps = np.arange(len(heights)) * gap
    up = np.maximum.accumulate(np.maximum(heights, low) - steps) + steps
    down = np.minimum(up, high - steps[::-1])
    return [float(height) for height in down]
