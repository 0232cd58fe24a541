"""A page of panels side by side, measured in inches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

DPI = 100
HEADER = 1.25
MARGIN = 0.3
GAP = 0.35
MINIMAL_WIDTH = 5.0
INK = "#1f2933"
MUTED = "#7b8794"
ACCENT = "#2563a8"
STRIPE = "#f2f5f8"
WARNING = "#b4232a"


@dataclass(frozen=True)
class Area:
    """A rectangle of a figure, in inches from its upper left corner.

    Attributes:
        figure: figure that contains it.
        left: from the left edge.
        top: from the upper edge.
        width: inches.
        height: inches.
    """

    figure: Figure
    left: float
    top: float
    width: float
    height: float

    def part(self, left: float, top: float, width: float, height: float) -> Area:
        """A rectangle inside this one, in inches from its upper left corner."""
        return Area(self.figure, self.left + left, self.top + top, width, height)

    def axes(self) -> Axes:
        """Empty axes of this size whose unit is the inch, the origin in the upper left corner."""
        axes = self.plot()
        axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        axes.axis("off")
        return axes

    def plot(self) -> Axes:
        """Ordinary axes of this size."""
        width, height = self.figure.get_size_inches()
        bottom = height - self.top - self.height
        return self.figure.add_axes((self.left / width, bottom / height, self.width / width, self.height / height))


@dataclass(frozen=True)
class Panel:
    """A drawing of known size.

    Attributes:
        width: inches.
        height: inches.
        draw: draws it into an area of that size.
    """

    width: float
    height: float
    draw: Callable[[Area], None]


@dataclass(frozen=True)
class Page:
    """A title above panels.

    Attributes:
        title: in large type.
        subtitle: below it.
        panels: from left to right, {heading: panel}.
    """

    title: str
    subtitle: str
    panels: Mapping[str, Panel]

    def figure(self) -> Figure:
        """The page as a figure of its own, outside pyplot."""
        width = max(MINIMAL_WIDTH, 2 * MARGIN + sum(panel.width + GAP for panel in self.panels.values()) - GAP)
        height = HEADER + max(panel.height for panel in self.panels.values()) + MARGIN
        figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        head = Area(figure, MARGIN, 0.0, width - 2 * MARGIN, HEADER).axes()
        head.text(0.0, 0.34, self.title, fontsize=16, weight="bold", color=INK, va="center", parse_math=False)
        head.text(0.0, 0.66, self.subtitle, fontsize=11, color=MUTED, va="center", parse_math=False)
        left = MARGIN
        for heading, panel in self.panels.items():
            rule = Area(figure, left, HEADER - 0.36, panel.width, 0.3).axes()
            rule.text(0.0, 0.12, heading, fontsize=11, weight="bold", color=ACCENT, va="center", parse_math=False)
            rule.plot([0.0, panel.width], [0.28, 0.28], color=ACCENT, linewidth=1.2)
            panel.draw(Area(figure, left, HEADER, panel.width, panel.height))
            left += panel.width + GAP
        return figure

    def pixels(self) -> NDArray[np.uint8]:
        """The page as an RGB image, (height, width, 3)."""
        canvas = FigureCanvasAgg(self.figure())
        canvas.draw()  # type: ignore[no-untyped-call]
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
