"""A residual network as a stack of blocks: as wide as their channels, in the colors of their kinds."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from ma2ml_env.render.page import ACCENT, INK, MUTED, Area
from ma2ml_env.search_spaces.residual import EXPANDING, Architecture, Stage

COLORS = {"plain": "#c9d3df", "basic": "#8fb8de", "bottleneck": "#f2c078", "inverted": "#9fd3b4"}
BOX, GAP, STAGE_GAP = 0.16, 0.05, 0.5
FULL_WIDTH, WORDS = 2.2, 2.4
SHOWN = 6
"""Maximum number of blocks drawn per stage; the words beside it count them all."""


def stack_size(architecture: Architecture) -> tuple[float, float]:
    """Width and height of the drawing, inches."""
    boxes = 1 + sum(max(1, min(SHOWN, stage.depth)) for stage in architecture.stages)
    return FULL_WIDTH + WORDS, boxes * (BOX + GAP) + STAGE_GAP * (1 + len(architecture.stages))


def draw_stack(area: Area, architecture: Architecture) -> None:
    """Draws the stem and every stage from top to bottom, with its words beside it.

    Args:
        area: place to draw in, of `stack_size`.
        architecture: architecture to draw.
    """
    axes = area.axes()
    widest = max(architecture.stem, *(stage.width for stage in architecture.stages))
    top = 0.1
    _draw_box(axes, top, architecture.stem / widest, "white")
    _draw_words(axes, top, "stem", f"3x3, {architecture.stem} channels, {architecture.activation}")
    top += BOX + GAP
    for number, stage in enumerate(architecture.stages, start=1):
        top += STAGE_GAP - GAP
        if number > 1:
            axes.text(FULL_WIDTH / 2, top - 0.14, "half the size", fontsize=7, color=MUTED, ha="center", va="center")
        _draw_words(axes, top, f"stage {number}", *_words(stage))
        for _ in range(min(SHOWN, stage.depth)):
            _draw_box(axes, top, stage.width / widest, COLORS[stage.kind], stage.squeeze)
            top += BOX + GAP
        top += 0.0 if stage.depth else BOX + GAP


def _words(stage: Stage) -> tuple[str, ...]:
    """Words beside a stage, one line each."""
    if not stage.depth:
        return ("no blocks",)
    expansion = f", expansion {stage.expansion}" if stage.kind in EXPANDING else ""
    squeeze = ", squeeze-excite" if stage.squeeze else ""
    return f"{stage.depth} x {stage.kind}{expansion}", f"{stage.kernel}x{stage.kernel}, {stage.width} channels{squeeze}"


def _draw_words(axes: Axes, top: float, title: str, *lines: str) -> None:
    axes.text(FULL_WIDTH + 0.15, top + BOX / 2, title, fontsize=8.5, weight="bold", color=INK, va="center")
    for number, line in enumerate(lines):
        axes.text(FULL_WIDTH + 0.75, top + BOX / 2 + 0.16 * number, line, fontsize=7.5, color=MUTED, va="center")


def _draw_box(axes: Axes, top: float, share: float, color: str, squeeze: bool = False) -> None:
    """A block in the middle of the stack; one with squeeze-excite has a strong edge."""
    width = share * (FULL_WIDTH - 0.1)
    edge, line = (ACCENT, 1.4) if squeeze else (MUTED, 0.7)
    style = "round,pad=0,rounding_size=0.04"
    place = ((FULL_WIDTH - width) / 2, top)
    axes.add_patch(FancyBboxPatch(place, width, BOX, boxstyle=style, facecolor=color, edgecolor=edge, linewidth=line))
