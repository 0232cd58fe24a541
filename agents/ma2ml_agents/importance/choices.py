"""All decisions of all agents, side by side, and what it means to score them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ma2ml_env import SearchSpace
from ma2ml_env.errors import MA2MLError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Score = Callable[[Integers], Floats]
"""From pipelines, shape (B, decisions), to what each of M models of the game scores them, shape (M, B)."""


@dataclass(frozen=True)
class Choices:
    """All decisions of all agents, side by side.

    Attributes:
        agents: their names.
        owner: which agent takes each decision, shape (D,).
        names: of the decisions.
        nvec: number of choices of each decision, shape (D,).
    """

    agents: tuple[str, ...]
    owner: Integers
    names: tuple[str, ...]
    nvec: Integers

    @classmethod
    def of(cls, search_spaces: Mapping[str, SearchSpace]) -> Choices:
        """Those of an environment's search spaces."""
        spaces = list(search_spaces.values())
        return cls(
            agents=tuple(search_spaces),
            owner=np.repeat(np.arange(len(spaces)), [len(space) for space in spaces]),
            names=tuple(decision.name for space in spaces for decision in space.decisions),
            nvec=np.concatenate([space.nvec for space in spaces]),
        )

    @cached_property
    def size(self) -> int:
        """The number of different pipelines, exact however large."""
        return int(np.prod(self.nvec.astype(object)))

    def split(self, pipelines: Integers) -> dict[str, Integers]:
        """The actions by agent, shape (B, its decisions) each."""
        return {agent: pipelines[:, self.owner == number] for number, agent in enumerate(self.agents)}


def check_variance(scores: Floats) -> None:
    """Raise a ValueError if all scores are equal."""
    if np.ptp(scores) <= 1e-12 * max(1.0, float(np.abs(scores).max())):
        raise MA2MLError(f"every pipeline scores {scores.flat[0]:.4g}, so nothing matters")
