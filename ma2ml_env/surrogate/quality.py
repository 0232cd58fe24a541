"""How well a surrogate predicts what it has not seen, against what the noise allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from ma2ml_env.surrogate.fit import LEAST, Data, fit_accuracy
from ma2ml_env.surrogate.noise import Floats, Noise, logistic

FOLDS = 5
DRAWS = 60


@dataclass(frozen=True)
class Agreement:
    """How well numbers agree with measured accuracies.

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
        """Of two arrays of one shape."""
        from scipy.stats import kendalltau
        from sklearn.metrics import mean_absolute_error, r2_score

        tau = float(kendalltau(measured, other).statistic)
        return cls(float(r2_score(measured, other)), tau, float(mean_absolute_error(measured, other)))

    @classmethod
    def mean(cls, agreements: Sequence[Agreement]) -> Agreement:
        """Of each figure by itself."""
        return cls(*np.mean([astuple(agreement) for agreement in agreements], axis=0).tolist())

    def __str__(self) -> str:
        return f"R2 {self.r2:6.3f}   tau {self.tau:6.3f}   MAE {self.mae:.4f}"


def held_out_pipelines(data: Data, seed: int = 0) -> Floats:
    """Predicted accuracies, each by models that have not seen that pipeline; shape (N,).

    Source: cross-validation in 5 folds of pipelines.
    """
    names, which = np.unique(data.key, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[which]
    predicted = np.empty(len(data))
    for number in range(FOLDS):
        predicted[fold == number] = _fitted(data[fold != number])(data.table[fold == number])
    return predicted


def held_out_runs(data: Data) -> Iterator[tuple[str, Floats, Floats]]:
    """Name, measured accuracies, and those that models predict which have seen none of its pipelines, of each run.

    Args:
        data: all runs; passed over are random searches, what trains an earlier run's pipelines again, and a run where
            fewer than `LEAST` evaluations are left to learn from.

    Source: NAS-Bench-301 leaves out the trajectories of an optimizer.
    """
    distinct, earlier = data.distinct, set[str]()
    for name in np.unique(data.run).tolist():
        run = data[data.run == name]
        if "random" in Path(name).name or earlier.issuperset(run.key.tolist()):
            continue
        earlier |= set(run.key.tolist())
        seen = ~np.isin(distinct.key, run.key)
        if seen.sum() >= LEAST:
            yield name, run.accuracy, _fitted(distinct[seen])(run.table)


def second_evaluations(data: Data) -> Agreement | None:
    """How well a second evaluation of a pipeline agrees with a first; None if fewer than `LEAST` pipelines have two."""
    repeated = [group for group in data.repeats if len(group) > 1]
    if len(repeated) < LEAST:
        return None
    pairs = np.array([pair for group in repeated for pair in permutations(group, 2)])
    return Agreement.of(pairs[:, 0], pairs[:, 1])


def reachable(measured: Floats, noise: Noise, seed: int = 0) -> Agreement:
    """How well the true accuracies, as predictions, would agree with the measured ones, which differ by noise.

    Measured accuracies are spread more widely than the true ones, so that they stand in for them too well. How much
    less measurements agree with a further one the more noise they have tells how the truth, which has none, would do.

    Args:
        measured: shape (N,).
        noise: of a measurement.
        seed: of the simulation.

    Source: Cook and Stefanski, "Simulation-Extrapolation Estimation in Parametric Measurement Error Models" (1994),
    with their quadratic; where the truth is spread less than the noise it is still rather too high.
    """
    normal = np.random.default_rng(seed).standard_normal((DRAWS, 2, len(measured)))
    deviation = noise(measured)
    levels = []
    for added in range(3):
        pairs = [(measured + np.sqrt(added) * deviation * one, deviation * two) for one, two in normal]
        draws = [Agreement.of(np.clip(one + two, 0.0, 1.0), np.clip(one, 0.0, 1.0)) for one, two in pairs]
        levels.append(astuple(Agreement.mean(draws)))
    none, once, twice = np.array(levels)
    return Agreement(*(3.0 * none - 3.0 * once + twice).tolist())


def learning_curve(data: Data, seed: int = 0) -> Iterator[tuple[int, Agreement]]:
    """Agreement on held-out pipelines of models that learn from a part of the data: (evaluations, agreement)."""
    shuffled = data[np.random.default_rng(seed).permutation(len(data))]
    sizes = [len(data) >> halvings for halvings in range(4, 0, -1)]
    for size in [size for size in sizes if size >= 50]:
        part = shuffled[np.arange(size)]
        yield size, Agreement.of(part.accuracy, held_out_pipelines(part))


def _fitted(data: Data) -> Callable[[Floats], Floats]:
    process = fit_accuracy(data)
    return lambda table: logistic(process(table))
