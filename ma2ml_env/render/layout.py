"""Placement of the blocks of a cell, so that its lines stay clear of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.search_spaces.nasnet import Cell

BLOCK = (0.98, 0.46)
END = (0.62, 0.38)
TOP = 0.3
CLEARANCE = 0.05
Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Places in inches from the upper left corner of a cell's picture.

    Attributes:
        states: left edge and middle of each state's box, the two inputs first.
        output: left edge and middle of the output's box.
        lines: (state carried, start, end) of each line.
    """

    states: tuple[Point, ...]
    output: Point
    lines: tuple[tuple[int, Point, Point], ...]


def arrange(cell: Cell, width: float, height: float) -> Layout:
    """The best layout: each block has a height of its own, and stands as far right as the longest way to it.

    Of all orders of the blocks from top to bottom, the one in which lines cross the fewest boxes is chosen, and
    among those the one whose lines rise and fall least.
    """
    orders = permutations(range(len(cell.blocks)))
    return min((_place(cell, width, height, order) for order in orders), key=_disorder)


def control_points(start: Point, end: Point) -> tuple[Point, Point, Point, Point]:
    """The cubic Bezier curve of a line, level at both ends."""
    reach = min(0.45, max(0.12, (end[0] - start[0]) / 2))
    return start, (start[0] + reach, start[1]), (end[0] - reach, end[1]), end


def _place(cell: Cell, width: float, height: float, order: tuple[int, ...]) -> Layout:
    depth = [0, 0]
    for block in cell.blocks:
        depth.append(1 + max(depth[state] for state in block.inputs))
    gap = (width - 2 * END[0] - max(depth) * BLOCK[0]) / (max(depth) + 1)
    lane = (height - TOP) / len(cell.blocks)
    states = [(0.0, TOP + (height - TOP) * share) for share in (0.3, 0.7)]
    for number, row in enumerate(order):
        left = END[0] + gap + (depth[number + 2] - 1) * (BLOCK[0] + gap)
        states.append((left, TOP + lane * (row + 0.5)))
    output = (width - END[0], TOP + (height - TOP) / 2)
    ends = [(left + (END[0] if state < 2 else BLOCK[0]), middle) for state, (left, middle) in enumerate(states)]
    lines = [
        (state, ends[state], (states[number + 2][0], states[number + 2][1] + (row - 0.5) * BLOCK[1] / 2))
        for number, block in enumerate(cell.blocks)
        for row, state in enumerate(block.inputs)
    ]
    for i, state in enumerate(sorted(cell.outputs, key=lambda state: states[state][1])):
        lines.append((state, ends[state], (output[0], output[1] + 0.06 * (i - (len(cell.outputs) - 1) / 2))))
    return Layout(tuple(states), output, tuple(lines))


def _disorder(layout: Layout) -> tuple[int, float]:
    """Number of sampled points of the lines inside boxes, and sum of the lines' rises and falls (inches)."""
    controls = np.array([control_points(start, end) for _, start, end in layout.lines])
    points = np.einsum("tk,lkc->ltc", _BERNSTEIN, controls)[:, :, None]
    corners = np.array(layout.states[2:]) - (CLEARANCE, BLOCK[1] / 2 + CLEARANCE)
    inside = (points > corners).all(axis=3) & (points < corners + BLOCK + 2 * CLEARANCE).all(axis=3)
    return int(inside.sum()), float(np.abs(controls[:, 0, 1] - controls[:, 3, 1]).sum())


def _bernstein(samples: int = 24) -> NDArray[np.float64]:
    """Weights of the four control points along a curve, shape (samples, 4)."""
    t = np.linspace(0.04, 0.96, samples)
    return np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1)


_BERNSTEIN = _bernstein()
