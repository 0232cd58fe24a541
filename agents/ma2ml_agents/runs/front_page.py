"""Table, CSV file and picture of a run's front of accuracy against FLOPs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from ma2ml_agents.runs.front import Bound, Point, with_suffix

COLUMNS = ("trial", "accuracy", "evaluations", "flops", "params", "seconds")
DECADE = 10
"""Ratio of the largest FLOPs to the smallest above which their axis is logarithmic."""


def front_table(front: Sequence[Point], picked: Point | None) -> Table:
    """Returns the front as a table, the picked pipeline marked and added if it is not on the front."""
    table = Table(*COLUMNS, "", box=None, header_style="bold")
    for column in table.columns[:-1]:
        column.justify = "right"
    shown = front if picked is None or picked in front else [*front, picked]
    for point in sorted(shown, key=lambda point: (point.flops, point.accuracy)):
        notes = ["picked"] * (point == picked) + ["not on the front"] * (point not in front)
        measured = [str(point.number), f"{point.accuracy:.2%}", str(point.evaluations)]
        cost = [with_suffix(point.flops), with_suffix(point.params), f"{point.seconds:.1f}"]
        table.add_row(*measured, *cost, ", ".join(notes))
    return table


def front_csv(front: Sequence[Point]) -> str:
    """Returns the front as CSV with the columns `COLUMNS`, a pipeline a row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((p.number, p.accuracy, p.evaluations, int(p.flops), int(p.params), p.seconds) for p in front)
    return text.getvalue()


def draw_front(
    points: Sequence[Point],
    front: Sequence[Point],
    picked: Point | None,
    bounds: Sequence[Bound],
    file: Path,
    title: str,
    colors: Sequence[str],
) -> None:
    """Draws accuracy against FLOPs: all pipelines, the front as a staircase, and the picked one.

    Args:
        points: all distinct pipelines, with FLOPs above 0.
        front: those on the front, by ascending FLOPs.
        picked: None for none.
        bounds: that on FLOPs is drawn if it separates pipelines.
        file: the picture.
        title: of the picture.
        colors: of the front, and of the picked pipeline and the bound.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

    figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
    axes = figure.subplots()
    smallest, largest = min(p.flops for p in points), max(p.flops for p in points)
    if largest > DECADE * smallest:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.scatter([p.flops for p in points], [p.accuracy for p in points], s=14, color="0.75", label="all pipelines")
    ends = [*(p.flops for p in front), largest]
    heights = [*(p.accuracy for p in front), front[-1].accuracy]
    axes.step(ends, heights, where="post", color=colors[0], linewidth=1.6)
    axes.plot(ends[:-1], heights[:-1], "o", color=colors[0], markersize=5, label="front")
    for bound in bounds:
        if bound.name == "flops" and smallest <= bound.limit <= largest:
            axes.axvline(bound.limit, color=colors[1], linewidth=1.0, linestyle="dashed", label=str(bound))
    if picked is not None:
        label = f"picked: trial {picked.number}"
        axes.plot(picked.flops, picked.accuracy, "*", color=colors[1], markersize=13, label=label)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("multiply-accumulates of one picture")
    axes.set_ylabel("validation accuracy")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: with_suffix(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=4)
    figure.savefig(file)
