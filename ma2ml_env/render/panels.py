"""Panels for the parts of a pipeline, by type."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial, singledispatch
from typing import Any

from ma2ml_env.render.cells import draw_cell
from ma2ml_env.render.page import ACCENT, INK, MUTED, STRIPE, WARNING, Area, Panel
from ma2ml_env.render.policy import draw_policy
from ma2ml_env.render.stages import draw_stack, stack_size
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.search_spaces import darts, nasnet, residual
from ma2ml_env.search_spaces.autoaugment import Policy
from ma2ml_env.search_spaces.recipe import Recipe
from ma2ml_env.types import Result, Trial

LINE = 0.24
LETTER = 0.078
ROWS = 25
TEXT_LINE = 0.17
TEXT_LINES = 38
PICTURES = 6.8


@singledispatch
def panel(part: Any, images: Any = None) -> Panel:
    """The panel that shows a part of a pipeline; an unknown type is shown as the text that `str` makes of it.

    `panel.register` adds a type.

    Args:
        part: decoded choice of an agent.
        images: sample images, uint8 (N, C, H, W), or None.
    """
    wrapped = (textwrap.wrap(line, 64, subsequent_indent="   ") or [""] for line in str(part).strip().splitlines())
    lines = [piece for pieces in wrapped for piece in pieces]
    if len(lines) > TEXT_LINES:
        lines = [*lines[: TEXT_LINES - 1], f"... and {len(lines) - TEXT_LINES + 1} more lines"]
    return Panel(3.9, TEXT_LINE * len(lines) + 0.1, partial(_draw_lines, lines=lines))


@panel.register(nasnet.Genotype)
@panel.register(darts.Genotype)
def _genotype_panel(part: nasnet.Genotype | darts.Genotype, images: Any = None) -> Panel:
    def draw(area: Area) -> None:
        height = area.height / 2
        draw_cell(area.part(0.0, 0.0, area.width, height - 0.15), "normal cell", part.normal)
        draw_cell(area.part(0.0, height, area.width, height), "reduction cell", part.reduction)

    return Panel(7.4, PICTURES, draw)


@panel.register
def _residual_panel(part: residual.Architecture, images: Any = None) -> Panel:
    return Panel(*stack_size(part), partial(draw_stack, architecture=part))


@panel.register
def _policy_panel(part: Policy, images: Any = None) -> Panel:
    return Panel(1.6 if images is None else 4.9, PICTURES, partial(draw_policy, policy=part, images=images))


@panel.register
def _recipe_panel(part: Recipe, images: Any = None) -> Panel:
    return name_value_panel({name.replace("_", " "): value for name, value in asdict(part).items()})


@panel.register(Mapping)
def _mapping_panel(part: Mapping[str, Any], images: Any = None) -> Panel:
    return name_value_panel(part)


def name_value_panel(values: Mapping[str, Any]) -> Panel:
    """A table of names and values, in as many columns as its length needs."""
    rows = [(str(name), _short(value)) for name, value in values.items()]
    columns = [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]
    widths = [max(0.8, LETTER * max(len(name) + len(value) for name, value in column) + 0.4) for column in columns]

    def draw(area: Area) -> None:
        left = 0.0
        for column, width in zip(columns, widths, strict=True):
            _draw_rows(area.part(left, 0.05, width, area.height), column)
            left += width + 0.1

    height = LINE * min(len(rows), ROWS) + 0.05
    return Panel(sum(widths) + 0.1 * (len(widths) - 1), height, draw)


def overview(search_spaces: Mapping[str, SearchSpace]) -> Panel:
    """Number of decisions and actions of each agent, before anything is evaluated."""
    return name_value_panel(
        {agent: f"{len(space)} decisions, {_count(space.size)} possibilities" for agent, space in search_spaces.items()}
    )


def result_panel(trial: Trial, constraint: float | None) -> Panel:
    """Outcome of a trial: accuracy, cost against the constraint, learning curve."""
    result = trial.result
    costs = (("multiply-accumulates", result.flops), ("parameters", result.params))
    rows = [
        ("reward", f"{trial.reward:.4f}"),
        *((name, _count(number)) for name, number in costs if number),
        ("seconds", f"{result.seconds:.1f}"),
        ("seed", str(trial.seed)),
    ]
    parts = [(1.35 if result.failed else 1.0, partial(_draw_outcome, result=result))]
    parts.append((len(rows) * LINE + 0.3, partial(_draw_rows, rows=rows)))
    if constraint is not None and result.flops:
        parts.append((1.15, partial(_draw_constraint, flops=result.flops, constraint=constraint)))
    if result.curve:
        parts.append((2.3, partial(_draw_curve, curve=result.curve)))

    def draw(area: Area) -> None:
        top = 0.0
        for height, draw_part in parts:
            draw_part(area.part(0.0, top, area.width, height))
            top += height

    return Panel(2.7, sum(height for height, _ in parts), draw)


def _draw_outcome(area: Area, result: Result) -> None:
    axes = area.axes()
    if result.failed:
        axes.text(0.0, 0.3, "failed", fontsize=20, color=WARNING, va="center")
        text = textwrap.shorten(str(result.error), 170, placeholder=" ...")
        axes.text(0.0, 0.55, textwrap.fill(text, 42), fontsize=8, color=INK, va="top", parse_math=False)
    else:
        axes.text(0.0, 0.3, f"{result.accuracy:.2%}", fontsize=24, color=INK, va="center")
        axes.text(0.0, 0.68, "validation accuracy", fontsize=8.5, color=MUTED, va="center")


def _draw_constraint(area: Area, flops: float, constraint: float) -> None:
    """A bar of the network's FLOPs and a line where they are as many as allowed."""
    axes = area.axes()
    longest = max(flops, constraint) * 1.08
    allowed = area.width * constraint / longest
    color = WARNING if flops > constraint else ACCENT
    axes.text(0.0, 0.08, f"{flops / constraint:.0%} of the FLOPs constraint", fontsize=8.5, color=INK, va="center")
    axes.barh(0.38, area.width, height=0.2, color=STRIPE)
    axes.barh(0.38, area.width * flops / longest, height=0.2, color=color)
    axes.plot([allowed, allowed], [0.24, 0.56], color=INK, linewidth=1.5)
    side = "right" if allowed > area.width / 2 else "left"
    axes.text(allowed, 0.68, f"{_count(constraint)} allowed", fontsize=7.5, color=MUTED, ha=side, va="center")


def _draw_curve(area: Area, curve: Sequence[float]) -> None:
    axes = area.part(0.38, 0.3, area.width - 0.42, area.height - 0.6).plot()
    epochs = range(1, len(curve) + 1)
    axes.plot(epochs, [100 * accuracy for accuracy in curve], color=ACCENT, marker="o", markersize=3, linewidth=1.5)
    axes.set_title("accuracy after each measured epoch, %", fontsize=8.5, color=INK, loc="left", x=-0.16, pad=10)
    axes.tick_params(labelsize=7, colors=MUTED, length=2)
    low, high = 10 * math.floor(10 * min(curve)), 10 * math.ceil(10 * max(curve) + 1e-9)
    axes.set_yticks([low, (low + high) / 2, high])
    axes.set_xticks(list(epochs)[:: max(1, len(curve) // 6)])
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)


def _draw_rows(area: Area, rows: Sequence[tuple[str, str]]) -> None:
    axes = area.axes()
    for i, (name, value) in enumerate(rows):
        middle = (i + 0.5) * LINE
        if i % 2 == 0:
            axes.barh(middle, area.width, height=LINE, color=STRIPE)
        axes.text(0.06, middle, name, fontsize=8.5, color=MUTED, va="center", parse_math=False)
        axes.text(area.width - 0.06, middle, value, fontsize=8.5, color=INK, ha="right", va="center", parse_math=False)


def _draw_lines(area: Area, lines: Sequence[str]) -> None:
    axes = area.axes()
    for i, line in enumerate(lines):
        axes.text(0.0, (i + 0.5) * TEXT_LINE + 0.05, line, fontsize=7.5, color=INK, va="center", parse_math=False)


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return textwrap.shorten(text, 44, placeholder=" ...") or "-"


def _count(number: float) -> str:
    """A large number in few letters."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if unit <= number < 1000 * unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.0f}" if number < 1e3 else f"{number:.2g}"
