"""Decisions without a meaning, for environments whose evaluator reads the action itself."""

from __future__ import annotations

from collections.abc import Sequence

from ma2ml_env.search_space import Decision, SearchSpace


def plain(nvec: Sequence[int], repeat: int = 1) -> SearchSpace:
    """A space of numbered decisions; what it builds is the dict of the choices.

    Args:
        nvec: number of choices of each decision, each at least 1.
        repeat: how many times the list is repeated.

    Source: ours.
    """
    sizes = list(nvec) * repeat
    return SearchSpace(tuple(Decision(f"x{i}", tuple(range(n))) for i, n in enumerate(sizes)), dict)
