"""All agents' decisions, concatenated, and the type of functions that score them."""

from __future__ import annotations

import math
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
"""Function from pipelines, shape (B, decisions), to their scores by each of M models of the game, shape (M, B)."""


@dataclass(frozen=True)
class Choices:
    """All agents' decisions, concatenated.

    Attributes:
        agents: their names.
        owner: index of the agent that makes each decision, shape (D,).
        names: names of the decisions.
        nvec: number of choices of each decision, shape (D,).
        pipelines: number of distinct pipelines, of which those that differ in inactive decisions are one.
    """

    agents: tuple[str, ...]
    owner: Integers
    names: tuple[str, ...]
    nvec: Integers
    pipelines: int

    @classmethod
    def of(cls, search_spaces: Mapping[str, SearchSpace]) -> Choices:
        """Returns the choices of an environment's search spaces."""
        spaces = list(search_spaces.values())
        return cls(
            agents=tuple(search_spaces),
            owner=np.repeat(np.arange(len(spaces)), [len(space) for space in spaces]),
            names=tuple(decision.name for space in spaces for decision in space.decisions),
            nvec=np.concatenate([space.nvec for space in spaces]),
            pipelines=math.prod(space.size for space in spaces),
        )

    @cached_property
    def size(self) -> int:
        """Exact number of joint choices, those of inactive decisions among them."""
        return int(np.prod(self.nvec.astype(object)))

    def split(self, pipelines: Integers) -> dict[str, Integers]:
        """Returns each agent's actions, shape (B, its decisions)."""
        return {agent: pipelines[:, self.owner == number] for number, agent in enumerate(self.agents)}


def check_variance(scores: Floats) -> None:
    """Raises a ValueError if all scores are equal."""
    if np.ptp(scores) <= 1e-12 * max(1.0, float(np.abs(scores).max())):
        raise MA2MLError(f"every pipeline scores {scores.flat[0]:.4g}; scores must differ")
