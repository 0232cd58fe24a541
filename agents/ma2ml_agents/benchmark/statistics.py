"""Estimates over seeds with confidence intervals, by rliable."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import missing_extra

PACKAGES = ("rliable", "pandas", "pyarrow")
REPETITIONS = 1000
FEWEST_RUNS = 5
"""Least number of runs for an interval or a probability of improvement."""
Scores = NDArray[np.float64]
"""Scores of shape (runs, environments), or (runs, environments, points of a curve)."""


@dataclass(frozen=True)
class Estimate:
    """Point estimate of a number or a curve, with its 95 % stratified bootstrap interval.

    Attributes:
        point: the estimate, shape (points,).
        low: lower bound, shape (points,).
        high: upper bound, shape (points,).

    Source: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice.
    """

    point: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def check_packages() -> None:
    """Raises a MissingExtraError if a package of the extra `benchmark` is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise missing_extra(f"a benchmark needs {' and '.join(missing)}", "benchmark")


def estimate(scores: Mapping[str, Any], function: Callable[..., NDArray[np.float64]]) -> dict[str, Estimate]:
    """Returns a statistic of every algorithm with its interval, independent of what else is compared.

    Args:
        scores: {algorithm: `Scores`, or a list of several for a function of several arguments}.
        function: statistic, from scores to an array of shape (points,).

    Source: rliable, `get_interval_estimates`.
    """
    from rliable.library import get_interval_estimates

    estimates = {}
    for name, values in scores.items():
        with _same_draws():
            points, intervals = get_interval_estimates({name: values}, function, reps=REPETITIONS)
        estimates[name] = Estimate(np.atleast_1d(points[name]), *np.atleast_2d(intervals[name]))
    return estimates


@contextmanager
def _same_draws() -> Iterator[None]:
    """Seeds NumPy's global random state, the only one rliable draws from, and restores it afterwards."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def iqm(scores: Scores) -> NDArray[np.float64]:
    """Returns the interquartile mean over runs and environments, shape (1,), or (points,) of curves.

    Source: rliable, `aggregate_iqm`, at all points at once.
    """
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(scores.reshape(scores.shape[0] * scores.shape[1], -1), proportiontocut=0.25, axis=0))


def improvement(ours: Scores, theirs: Scores) -> NDArray[np.float64]:
    """Returns the probability that a run of `ours` is better than one of `theirs`, shape (1,).

    Source: rliable, `probability_of_improvement`, without its test of significance, which takes most of its time.
    """
    better, equal = ours[:, None] > theirs[None], ours[:, None] == theirs[None]
    return np.array([better.mean() + equal.mean() / 2])


def middle(scores: Scores) -> NDArray[np.float64]:
    """Returns the median over runs, the upper of the two middle ones where there are two, shape (1,).

    It is always one of the values, so values beyond the budget need no exact number.
    """
    return np.array([np.quantile(scores, 0.5, method="higher")])


def profile(thresholds: NDArray[np.float64]) -> Callable[[Scores], NDArray[np.float64]]:
    """Returns the function from scores to the fraction of runs above each threshold, shape (thresholds,).

    Source: rliable, `create_performance_profile`.
    """
    from rliable.library import score_distributions

    return lambda scores: np.asarray(score_distributions(scores, thresholds))
