"""A cell of a network as a graph that runs from left to right."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from ma2ml_env.render.layout import BLOCK, END, arrange, control_points
from ma2ml_env.render.page import INK, MUTED, Area
from ma2ml_env.search_spaces.nasnet import Block, Cell

FAMILIES = {"sep": "#cfe1f5", "dil": "#d9d4f2", "conv": "#bfe3e0", "pool": "#d8ecc8", "other": "#e8ebee"}
STATES = ("#3e4c59", "#9aa5b1", "#2563a8", "#c2571a", "#2f855a", "#7b4fb5", "#b83280")


def draw_cell(area: Area, title: str, cell: Cell) -> None:
    """Draws a cell: inputs at the left, a box per block with its two operations, the output at the right.

    A line has the color of the state that it carries.
    """
    axes = area.axes()
    axes.text(0.0, 0.12, title, fontsize=9, color=MUTED, va="center")
    margin = 0.03
    layout = arrange(cell, area.width - 2 * margin, area.height)
    axes.set_xlim(-margin, area.width - margin)
    for state, start, end in layout.lines:
        codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        path = Path(control_points(start, end), codes)
        axes.add_patch(PathPatch(path, facecolor="none", edgecolor=STATES[state], linewidth=1.1, alpha=0.8, zorder=1))
    for state in (0, 1):
        words = cell.input_names[state].removeprefix("the ").replace(" ", "\n")
        _draw_end(axes, *layout.states[state], STATES[state], words)
    for number, block in enumerate(cell.blocks):
        left, middle = layout.states[number + 2]
        _draw_block(axes, left, middle - BLOCK[1] / 2, number, block)
    _draw_end(axes, *layout.output, INK, "output\n(concat)")


def short_name(operation: str) -> tuple[str, str]:
    """An operation's label and its color."""
    family, _, size = operation.partition("_")
    if family in ("avg", "max"):
        return f"{family} {size.removeprefix('pool_')}", FAMILIES["pool"]
    if family in ("sep", "dil"):
        return f"{family} {size.removeprefix('conv_')}", FAMILIES[family]
    if family == "conv":
        return (size if "_" in size else f"conv {size}").replace("_", "-"), FAMILIES["conv"]
    return family, FAMILIES["other"]


def _draw_block(axes: Axes, left: float, top: float, number: int, block: Block) -> None:
    width, height = BLOCK
    row_height = (height - 0.06) / 2
    axes.add_patch(_rounded(left, top, width, height, "white", STATES[number + 2]))
    for row, operation in enumerate(block.operations):
        label, color = short_name(operation)
        y = top + 0.03 + row * row_height
        axes.add_patch(_rounded(left + 0.03, y + 0.01, 0.68, row_height - 0.02, color, "none"))
        axes.text(left + 0.37, y + row_height / 2, label, fontsize=7, color=INK, ha="center", va="center")
    sign, size = ("+", 9.0) if block.combine == "add" else ("cat", 6.5)
    middle = left + 0.845
    axes.text(middle, top + 0.15, str(number + 1), fontsize=7.5, weight="bold", color=INK, ha="center", va="center")
    axes.text(middle, top + 0.32, sign, fontsize=size, color=MUTED, ha="center", va="center")


def _draw_end(axes: Axes, left: float, middle: float, edge: str, text: str) -> None:
    width, height = END
    axes.add_patch(_rounded(left, middle - height / 2, width, height, "white", edge))
    axes.text(left + width / 2, middle, text, fontsize=6.5, color=INK, ha="center", va="center")


def _rounded(left: float, top: float, width: float, height: float, face: str, edge: str) -> FancyBboxPatch:
    style = "round,pad=0,rounding_size=0.04"
    return FancyBboxPatch((left, top), width, height, style, facecolor=face, edgecolor=edge, linewidth=1.3, zorder=2)
