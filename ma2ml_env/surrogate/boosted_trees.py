"""Gradient-boosted regression trees, evaluated with NumPy alone from LightGBM's model text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError
from ma2ml_env.surrogate.noise import Floats

MOST_LEAVES = 64
"""Leaves of one tree; each is a bit of a 64-bit integer."""
NUMERIC_DECISIONS = (0, 2)
"""LightGBM's `decision_type` of a numeric split without missing values, with either default direction."""
AT_ONCE = 256
"""Rows evaluated together, so that their split results fit into a cache."""


@dataclass(frozen=True)
class BoostedTrees:
    """A sum of T regression trees of at most N splits each.

    Every split is tested for every row, without following paths: a split that sends a row to the right removes the
    leaves of its left subtree from a bit set, and the leftmost leaf that remains is the one that the row reaches.

    Attributes:
        columns: column that each split tests, shape (T, N).
        thresholds: largest value that goes left, shape (T, N); infinity where a tree has fewer splits.
        right: bit set of the leaves that remain after a step to the right, shape (T, N).
        leaves: value of each leaf from left to right, shape (T, N + 1).

    Source: QuickScorer (Lucchese et al. 2015).
    """

    columns: NDArray[np.int64]
    thresholds: Floats
    right: NDArray[np.uint64]
    leaves: Floats

    @classmethod
    def from_lightgbm(cls, text: str) -> BoostedTrees:
        """Reads the text of a LightGBM model of numeric splits.

        Args:
            text: from `Booster.model_to_string()`.

        Raises:
            ValueError: if it holds no tree, a split that is not numeric, or more than 64 leaves in a tree.
        """
        trees = [_Tree.parse(block) for block in text.partition("end of trees")[0].split("\nTree=")[1:]]
        if not trees:
            raise MA2MLError("a model of boosted trees needs at least one tree; the text holds none")
        splits = max(1, max(len(tree.columns) for tree in trees))
        padding = [splits - len(tree.columns) for tree in trees]
        everything = np.uint64(2**MOST_LEAVES - 1)
        return cls(
            np.stack([np.pad(t.columns, (0, p)) for t, p in zip(trees, padding, strict=True)]),
            np.stack(
                [np.pad(t.thresholds, (0, p), constant_values=np.inf) for t, p in zip(trees, padding, strict=True)]
            ),
            np.stack(
                [np.pad(t.right, (0, p), constant_values=everything) for t, p in zip(trees, padding, strict=True)]
            ),
            np.stack([np.pad(t.leaves, (0, p)) for t, p in zip(trees, padding, strict=True)]),
        )

    def __call__(self, table: Floats) -> Floats:
        """Predicts each row.

        Args:
            table: finite numbers, shape (B, columns).

        Returns:
            Shape (B,).
        """
        parts = (table[start : start + AT_ONCE] for start in range(0, max(1, len(table)), AT_ONCE))
        return np.concatenate([self._sums(part) for part in parts])

    def _sums(self, table: Floats) -> Floats:
        goes_left = table[:, self.columns] <= self.thresholds
        remaining = np.bitwise_and.reduce(np.where(goes_left, ~np.uint64(0), self.right), axis=2)
        leftmost = np.log2((remaining & (~remaining + np.uint64(1))).astype(float)).astype(np.int64)
        values = self.leaves[np.arange(len(self.leaves)), leftmost]
        return np.asarray(np.cumsum(values, axis=1)[:, -1])  # in LightGBM's order of addition


@dataclass(frozen=True)
class _Tree:
    columns: NDArray[np.int64]
    thresholds: Floats
    right: NDArray[np.uint64]
    leaves: Floats

    @classmethod
    def parse(cls, block: str) -> _Tree:
        """Reads the lines NAME=VALUES of one tree."""
        lines = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        values = np.array(lines["leaf_value"].split(), dtype=float)
        if len(values) > MOST_LEAVES:
            raise MA2MLError(f"a tree may have at most {MOST_LEAVES} leaves, not {len(values)}")
        if len(values) == 1:
            return cls(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.uint64), values)
        if not {int(kind) for kind in lines["decision_type"].split()} <= set(NUMERIC_DECISIONS):
            raise MA2MLError("only numeric splits without missing values are supported")
        children = [[int(child) for child in lines[f"{side}_child"].split()] for side in ("left", "right")]
        order, right = _leaves(*children)
        return cls(
            np.array(lines["split_feature"].split(), dtype=np.int64),
            np.array(lines["threshold"].split(), dtype=float),
            np.array(right, dtype=np.uint64),
            values[order],
        )


def _leaves(left: Sequence[int], right: Sequence[int]) -> tuple[list[int], list[int]]:
    """The leaves from left to right, and per split the bit set of the leaves that remain after a step to the right.

    Args:
        left: left child of every split; leaf i is the number -i - 1.
        right: right child of every split.
    """
    order, remaining = list[int](), [0] * len(left)

    def leaves_below(node: int) -> int:
        if node < 0:
            order.append(-node - 1)
            return 1 << (len(order) - 1)
        left_of_it = leaves_below(left[node])
        remaining[node] = (2**MOST_LEAVES - 1) ^ left_of_it
        return left_of_it | leaves_below(right[node])

    leaves_below(0)
    return order, remaining
