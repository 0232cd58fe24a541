"""The best of the trials of a search."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ma2ml_env.types import Trial


def best(trials: Iterable[Trial]) -> Trial | None:
    """The earliest trial of the highest reward among those that did not fail; None if there is none."""
    complete = [trial for trial in trials if not trial.result.failed]
    return max(complete, key=lambda trial: (trial.reward, -trial.number), default=None)


def top_k(trials: Iterable[Trial], k: int) -> list[Trial]:
    """The best k distinct pipelines, each by its earliest trial, best first.

    Pipelines are deduplicated, so that proposing one pipeline often does not help.

    Source: the paper's figures, but for the deduplication.
    """
    first: dict[str, Trial] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        first.setdefault(trial.pipeline.key, trial)
    return sorted(first.values(), key=lambda trial: (-trial.reward, trial.number))[:k]


def top_k_mean(trials: Iterable[Trial], k: int) -> float:
    """Mean reward of the best k distinct pipelines (of fewer where there are fewer); NaN of none.

    Source: the paper's figures, which show it for k = 20 and k = 30.
    """
    rewards = [trial.reward for trial in top_k(trials, k)]
    return math.fsum(rewards) / len(rewards) if rewards else math.nan
