"""Decisions without a meaning, for environments whose evaluator reads the action itself."""

from __future__ import annotations

from collections.abc import Sequence

from ma2ml_env.decision import MOST_CHOICES
from ma2ml_env.errors import require_range
from ma2ml_env.search_space import Decision, SearchSpace

MOST_DECISIONS = 2_000


def plain(nvec: Sequence[int], repeat: int = 1) -> SearchSpace:
    """A space of numbered decisions; it builds the dict of the choices.

    Args:
        nvec: number of choices of each decision, each 1 to 1,000,000.
        repeat: repetitions of the list, at least 1; there are at most 2,000 decisions.

    Raises:
        MA2MLError: for a number out of range.
    """
    require_range("repeat", repeat, 1, MOST_DECISIONS)
    require_range("the number of decisions", len(nvec) * repeat, 1, MOST_DECISIONS)
    for size in nvec:
        require_range("each number of nvec", size, 1, MOST_CHOICES)
    sizes = list(nvec) * repeat
    return SearchSpace(tuple(Decision(f"x{i}", tuple(range(n))) for i, n in enumerate(sizes)), dict)
