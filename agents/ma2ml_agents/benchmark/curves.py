"""Best pipelines of a run after each evaluation, and evaluations to a target."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.runs.report import TOP_K as TOP_K

ANYTIME_STEP = 25


@dataclass(frozen=True)
class Curve:
    """A run's best pipelines after each evaluation.

    Attributes:
        top: mean true value of the best k distinct pipelines by observed reward, shape (evaluations,).
        distinct: number of different pipelines proposed, shape (evaluations,).

    Source: the paper's first figure, with distinct pipelines chosen by the rewards that the algorithm observes.
    """

    top: NDArray[np.float64]
    distinct: NDArray[np.int64]


def curve(keys: Sequence[str], rewards: Sequence[float], true_values: Sequence[float], k: int = TOP_K) -> Curve:
    """Returns the curve of one run.

    Args:
        keys: keys of the pipelines, in order of evaluation; equal pipelines have equal keys.
        rewards: observed rewards, of the same length.
        true_values: noise-free rewards, of the same length.
        k: number of pipelines to average, at least 1; all of them where there are fewer.

    Source: `ma2ml_env.trials.top_k`, after every evaluation.
    """
    seen: set[str] = set()
    ranking: list[tuple[float, int]] = []
    top, distinct = np.empty(len(keys)), np.empty(len(keys), dtype=np.int64)
    for number, key in enumerate(keys):
        if key not in seen:
            seen.add(key)
            bisect.insort(ranking, (-rewards[number], number))
        top[number] = np.mean([true_values[place] for _, place in ranking[:k]])
        distinct[number] = len(seen)
    return Curve(top, distinct)


def evaluations_to(run: Curve, target: float, k: int = TOP_K) -> int | None:
    """Returns the number of evaluations after which a run's mean reaches a target, None if it never does.

    Args:
        run: its curve.
        target: a true value.
        k: least number of distinct pipelines for the mean to count, since one lucky pipeline is no mean.

    Source: sample efficiency, as in the paper's first figure.
    """
    reached = np.flatnonzero((run.top >= target) & (run.distinct >= k))
    return int(reached[0]) + 1 if len(reached) else None


def checkpoints(budget: int, step: int = ANYTIME_STEP) -> list[int]:
    """Returns the evaluations after which the anytime performance is reported: every `step`, and at the end."""
    return sorted({*range(step, budget + 1, step), budget})


def at(values: NDArray[np.float64], evaluations: int) -> float:
    """Returns a curve's value after some evaluations; a run that ended before keeps its last."""
    return float(values[min(evaluations, len(values)) - 1])
