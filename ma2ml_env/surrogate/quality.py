"""Agreement of a surrogate with held-out evaluations, and of second evaluations with first ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError
from ma2ml_env.surrogate.fit import LEAST, Data, fit_accuracy
from ma2ml_env.surrogate.noise import Floats, logistic

FOLDS = 5


@dataclass(frozen=True)
class Agreement:
    """Agreement of numbers with measured accuracies.

    Attributes:
        r2: coefficient of determination.
        tau: Kendall's tau-b.
        mae: mean absolute error.

    Source: the figures of NAS-Bench-301.
    """

    r2: float
    tau: float
    mae: float

    @classmethod
    def of(cls, measured: Floats, other: Floats) -> Agreement:
        """Agreement of two arrays of one shape; tau is 0 if one of them is constant."""
        from scipy.stats import kendalltau
        from sklearn.metrics import mean_absolute_error, r2_score

        tau = float(np.nan_to_num(kendalltau(measured, other).statistic))
        return cls(float(r2_score(measured, other)), tau, float(mean_absolute_error(measured, other)))

    @classmethod
    def mean(cls, agreements: Sequence[Agreement]) -> Agreement:
        """Mean of each figure by itself."""
        return cls(*np.mean([astuple(agreement) for agreement in agreements], axis=0).tolist())

    def __str__(self) -> str:
        return f"R2 {self.r2:6.3f}   tau {self.tau:6.3f}   MAE {self.mae:.4f}"


def held_out_pipelines(data: Data, seed: int = 0) -> Floats:
    """Cross-validated accuracies: each pipeline is predicted by models without it; shape (N,).

    Raises:
        ValueError: if there are fewer than five pipelines.

    Source: cross-validation in 5 folds of pipelines.
    """
    names, which = np.unique(data.key, return_inverse=True)
    if len(names) < FOLDS:
        raise MA2MLError(f"cross-validation requires at least {FOLDS} pipelines, these are {len(names)}")
    fold = (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[which]
    predicted = np.empty(len(data))
    for number in range(FOLDS):
        predicted[fold == number] = _fitted(data[fold != number])(data.table[fold == number])
    return predicted


def held_out_runs(data: Data) -> Iterator[tuple[str, Floats, Floats]]:
    """Name, measured accuracies, and predictions of models without any of its pipelines, of each held-out run.

    Args:
        data: all runs; skipped are random searches, runs that train an earlier run's pipelines again, and runs without
            which fewer than `LEAST` evaluations remain to learn from.

    Source: NAS-Bench-301 leaves out the trajectories of an optimizer.
    """
    distinct, earlier = data.distinct, set[str]()
    for name in np.unique(data.run).tolist():
        run = data[data.run == name]
        if "random" in Path(name).name or earlier.issuperset(run.key.tolist()):
            continue
        earlier |= set(run.key.tolist())
        if (~np.isin(distinct.key, run.key)).sum() >= LEAST:
            yield name, run.accuracy, held_out(distinct, run)


def held_out(data: Data, run: Data) -> Floats:
    """Accuracies of a held-out run's evaluations, shape (N,), predicted by models without any of its pipelines.

    Args:
        data: all distinct evaluations.
        run: some of them, N.
    """
    return _fitted(data[~np.isin(data.key, run.key)])(run.table)


def second_evaluations(data: Data, of: Sequence[str] | NDArray[np.str_] | None = None) -> Agreement | None:
    """Agreement of second evaluations of pipelines with the first ones.

    Args:
        data: all evaluations.
        of: keys of pipelines; None for all that were evaluated again.

    Returns:
        None if fewer than `LEAST` pipelines were evaluated again, or fewer than half of those requested, of which they
        are then no representative sample.
    """
    asked = data if of is None else data[np.isin(data.key, of)]
    sizes = [len(group) for group in asked.repeats]
    repeated = sum(size > 1 for size in sizes)
    if repeated < LEAST or (of is not None and 2 * repeated < len(sizes)):
        return None
    return Agreement.of(*asked.pairs.T)


def learning_curve(data: Data, seed: int = 0) -> Iterator[tuple[int, Agreement]]:
    """Learning curve: agreement on held-out pipelines of models of a part of the data, (evaluations, agreement)."""
    shuffled = data[np.random.default_rng(seed).permutation(len(data))]
    sizes = [len(data) >> halvings for halvings in range(4, 0, -1)]
    for size in [size for size in sizes if size >= 50]:
        part = shuffled[np.arange(size)]
        yield size, Agreement.of(part.accuracy, held_out_pipelines(part))


def _fitted(data: Data) -> Callable[[Floats], Floats]:
    process = fit_accuracy(data)
    return lambda table: logistic(process(table))
