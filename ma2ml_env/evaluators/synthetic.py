"""A closed form with a known optimum, interactions inside and between modules, and noise."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import JointSpace, SearchSpace
from ma2ml_env.types import AgentID, Cost, JointAction, Pipeline, Result

MOST_ENTRIES = 50_000_000
STRUCTURE = 0x5EED
"""Keeps the tables' random stream apart from that of a learner with the same small seed."""


@dataclass(frozen=True)
class SyntheticEvaluator:
    """Scores an action by tables of its decisions, alone and in pairs.

        accuracy = (sum_d u_d[x_d] + sum_{(d, e) in one module} v_de[x_d, x_e]
                    + sum_{(d, e) across modules} v_de[x_d, x_e]) / number of terms

    Every table has its largest entry, 1, at a planted optimum x*, so accuracy is 1 there and below 1
    elsewhere. Entries away from it are uniform in [0, 0.9]. FLOPs and parameters grow with the choices
    of the second agent (the first where there is one only).

    Args:
        nvec: number of choices of each decision, by agent.
        structure_seed: draws tables, pairs and optimum.
        pairs_within: number of pairs inside modules.
        pairs_across: number of pairs between modules.
        noise: standard deviation of the observed accuracy, seeded by environment and pipeline.

    Raises:
        ValueError: for a seed, a number of pairs or a noise below 0.
    """

    nvec: Mapping[AgentID, tuple[int, ...]]
    structure_seed: int = 0
    pairs_within: int = 60
    pairs_across: int = 30
    noise: float = 0.0
    instant: ClassVar[bool] = True
    optimum_accuracy: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        for name in ("structure_seed", "pairs_within", "pairs_across", "noise"):
            if not getattr(self, name) >= 0:
                raise MA2MLError(f"{name} must be at least 0, not {getattr(self, name)}")
        sizes = sorted((n for nvec in self.nvec.values() for n in nvec), reverse=True)
        pairs = min(self.pairs_within + self.pairs_across, math.comb(len(sizes), 2))
        entries = sum(n * n for n in sizes) + pairs * math.prod(sizes[:2])
        if entries > MOST_ENTRIES:
            raise MA2MLError(
                f"its tables would hold {entries:,} numbers, at most {MOST_ENTRIES:,} are allowed; "
                f"the largest decision has {sizes[0]:,} choices"
            )

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        """The noisy score of a pipeline."""
        started = time.perf_counter()
        exact = self.expected(pipeline)
        rng = np.random.default_rng(pipeline.random_seed(seed)) if self.noise else None
        accuracy = exact.accuracy + (self.noise * rng.standard_normal() if rng else 0.0)
        return Result(float(np.clip(accuracy, 0.0, 1.0)), exact.flops, exact.params, time.perf_counter() - started)

    def expected(self, pipeline: Pipeline) -> Result:
        """The score without noise, in no time."""
        choices = np.array(JointSpace(self.nvec).join(pipeline.action))
        tables = self._tables
        entries = tables.offsets + choices[tables.first] * tables.strides + choices[tables.second]
        size = 1.0 + float((choices * tables.weights).sum())
        return Result(
            float(tables.values[entries].mean()), flops=round(1e6 * size), params=round(1e4 * size), seconds=0.0
        )

    def cost(self, pipeline: Pipeline) -> Cost:
        """FLOPs and parameters of a pipeline."""
        exact = self.expected(pipeline)
        return Cost(int(exact.flops), int(exact.params))

    @property
    def optimum(self) -> JointAction:
        """The joint action whose accuracy is 1."""
        return JointSpace(self.nvec).split(self._tables.optimum)

    @cached_property
    def _tables(self) -> _Tables:
        return _draw_tables(self)


@dataclass(frozen=True)
class _Tables:
    """All tables, flat: the entry of a term is offsets + choices[first] * strides + choices[second]."""

    values: NDArray[np.float64]
    offsets: NDArray[np.int64]
    strides: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    weights: NDArray[np.float64]
    optimum: NDArray[np.int64]


def _draw_tables(evaluator: SyntheticEvaluator) -> _Tables:
    rng = np.random.default_rng([STRUCTURE, evaluator.structure_seed])
    sizes = np.array(JointSpace(evaluator.nvec).sizes)
    module = np.repeat(np.arange(len(evaluator.nvec)), [len(nvec) for nvec in evaluator.nvec.values()])
    optimum = rng.integers(sizes)
    every_pair = np.stack(np.triu_indices(len(sizes), k=1), axis=1)
    same_module = module[every_pair[:, 0]] == module[every_pair[:, 1]]
    pairs = [
        rng.permutation(every_pair[same_module])[: evaluator.pairs_within],
        rng.permutation(every_pair[~same_module])[: evaluator.pairs_across],
    ]
    singles = np.stack([np.arange(len(sizes))] * 2, axis=1)
    terms = np.concatenate([singles, *pairs])
    values, offsets = [], [0]
    for first, second in terms:
        table = rng.uniform(0.0, 0.9, size=(sizes[first], sizes[second]))
        table[optimum[first], optimum[second]] = 1.0
        values.append(table.ravel())
        offsets.append(offsets[-1] + table.size)
    costly = module == min(1, len(evaluator.nvec) - 1)
    return _Tables(
        values=np.concatenate(values),
        offsets=np.array(offsets[:-1]),
        strides=sizes[terms[:, 1]],
        first=terms[:, 0],
        second=terms[:, 1],
        weights=costly * rng.uniform(0.0, 1.0, size=len(sizes)) / np.maximum(sizes - 1, 1) / max(1, costly.sum()),
        optimum=optimum,
    )


def synthetic(
    search_spaces: Mapping[AgentID, SearchSpace],
    structure_seed: int = 0,
    pairs_within: int = 60,
    pairs_across: int = 30,
    noise: float = 0.0,
) -> SyntheticEvaluator:
    """A `SyntheticEvaluator` over the decisions of given search spaces."""
    nvec = {agent: tuple(int(n) for n in space.nvec) for agent, space in search_spaces.items()}
    return SyntheticEvaluator(nvec, structure_seed, pairs_within, pairs_across, noise)
