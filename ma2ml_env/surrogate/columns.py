"""Feature columns for the search spaces that are known here, computed for many actions at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.search_spaces.autoaugment import OPERATIONS as IMAGE_OPERATIONS
from ma2ml_env.search_spaces.autoaugment import PROBABILITIES, SUBPOLICIES
from ma2ml_env.search_spaces.nasnet import CELLS, OPERATIONS, Cell
from ma2ml_env.surrogate.noise import Floats

Integers = NDArray[np.int64]
Columns = dict[str, Floats]

GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
DEPTHS = {name: 0 if name == "identity" or "pool" in name else 1 if name == "conv_1x1" else 2 for name in OPERATIONS}
"""Depth of each operation; convolutions that see more than a pixel count double."""
VISIBLE = 1 / 255
"""Threshold below which a mean change of a pixel counts as none: one of its usual 256 levels."""


def policy_columns(actions: Integers, changes: Floats) -> Columns:
    """Strength of an AutoAugment policy's changes to images, whatever the order of its sub-policies.

    Per operation the sum of probability x change, that of all and of the geometric ones, and the share of images that
    stay as they are.

    Args:
        actions: actions of the space `autoaugment`, shape (B, 30).
        changes: changes of an image by each operation at each magnitude, shape (16, 10).
    """
    slots = actions.reshape(len(actions), SUBPOLICIES, -1, 3)
    kinds, probability = slots[..., 0], slots[..., 1] / (len(PROBABILITIES) - 1)
    change = changes[kinds, slots[..., 2]]
    strength = probability * change
    one_hot = np.eye(len(IMAGE_OPERATIONS))[kinds]
    per_kind = np.einsum("bsok,bso->bk", one_hot, strength) / SUBPOLICIES
    columns = {name: per_kind[:, i] for i, name in enumerate(IMAGE_OPERATIONS)}
    geometric = per_kind[:, [IMAGE_OPERATIONS.index(name) for name in GEOMETRIC]].sum(axis=1)
    untouched = np.where(change > VISIBLE, 1.0 - probability, 1.0).prod(axis=2).mean(axis=1)
    strongest = strength.max(axis=2).mean(axis=1)
    totals = {"total": per_kind.sum(axis=1), "geometric": geometric, "untouched": untouched, "strongest": strongest}
    return columns | totals


def cell_columns(actions: Integers) -> Columns:
    """The shape of both NASNet cells: how often each operation occurs, depths, and what is concatenated.

    Args:
        actions: actions of the space `nasnet`, shape (B, 50).
    """
    of_cells = _cell_columns(actions.reshape(-1, Cell.size, 5))
    columns: Columns = {}
    for number, cell in enumerate(CELLS):
        columns |= {f"{cell}_{name}": column[number :: len(CELLS)] for name, column in of_cells.items()}
    for name in OPERATIONS:
        columns[name] = 2.0 * columns[f"normal_{name}"] + columns[f"reduction_{name}"]
    return columns


def _cell_columns(blocks: Integers) -> Columns:
    inputs, operations, concat = blocks[..., :2], blocks[..., 2:4], blocks[..., 4]
    counts = np.eye(len(OPERATIONS))[operations].sum(axis=(1, 2))
    rows = np.arange(len(blocks))[:, None]
    used = np.zeros((len(blocks), Cell.size + 2), dtype=bool)
    used[rows[:, :, None], inputs] = True
    steps = np.array([DEPTHS[name] for name in OPERATIONS])[operations]
    deepest, shallowest = np.zeros((2, len(blocks), Cell.size + 2))
    for block in range(Cell.size):
        deepest[:, block + 2] = (deepest[rows, inputs[:, block]] + steps[:, block]).max(axis=1)
        shallowest[:, block + 2] = (shallowest[rows, inputs[:, block]] + steps[:, block]).min(axis=1)
    return {
        **{name: counts[:, i] for i, name in enumerate(OPERATIONS)},
        "concats": concat.sum(axis=1).astype(float),
        "outputs": (~used).sum(axis=1).astype(float),
        "of_current": (inputs == 0).sum(axis=(1, 2)).astype(float),
        "of_previous": (inputs == 1).sum(axis=(1, 2)).astype(float),
        "deepest": np.where(used, -1.0, deepest).max(axis=1),
        "shallowest": np.where(used, np.inf, shallowest).min(axis=1),
        "mean_depth": np.where(used, 0.0, deepest).sum(axis=1) / (~used).sum(axis=1),
    }
