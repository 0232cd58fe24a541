"""How well a surrogate predicts what it has not seen, against what the noise allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.surrogate.fit import LEAST, Data, fit_accuracy
from ma2ml_env.surrogate.noise import Floats, Noise, logistic

FOLDS = 5
DRAWS = 30
ROUNDS = 30
SCORES = np.linspace(-3.9, 6.2, 203)
"""Logits, evenly spread, of what can be a true accuracy."""
LEAST_NOISE = 1e-4


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
        """Of two arrays of one shape; what is constant orders nothing, so that its tau is 0."""
        from scipy.stats import kendalltau
        from sklearn.metrics import mean_absolute_error, r2_score

        tau = float(np.nan_to_num(kendalltau(measured, other).statistic))
        return cls(float(r2_score(measured, other)), tau, float(mean_absolute_error(measured, other)))

    @classmethod
    def mean(cls, agreements: Sequence[Agreement]) -> Agreement:
        """Of each figure by itself."""
        return cls(*np.mean([astuple(agreement) for agreement in agreements], axis=0).tolist())

    def __str__(self) -> str:
        return f"R2 {self.r2:6.3f}   tau {self.tau:6.3f}   MAE {self.mae:.4f}"


def held_out_pipelines(data: Data, seed: int = 0) -> Floats:
    """Predicted accuracies, each by models that have not seen that pipeline; shape (N,).

    Raises:
        ValueError: if there are fewer than five pipelines.

    Source: cross-validation in 5 folds of pipelines.
    """
    names, which = np.unique(data.key, return_inverse=True)
    if len(names) < FOLDS:
        raise ValueError(f"to hold pipelines out takes at least {FOLDS} of them, these are {len(names)}")
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


def second_evaluations(data: Data, of: Sequence[str] | NDArray[np.str_] | None = None) -> Agreement | None:
    """How well a second evaluation of a pipeline agrees with a first.

    Args:
        data: all evaluations.
        of: keys of pipelines; None for all that were evaluated again.

    Returns:
        None if fewer than `LEAST` pipelines were, or fewer than half of those that are asked for: what was evaluated
        again is then no sample of them.

    Source: ours.
    """
    groups = (data if of is None else data[np.isin(data.key, of)]).repeats
    repeated = [group for group in groups if len(group) > 1]
    if len(repeated) < LEAST or (of is not None and 2 * len(repeated) < len(groups)):
        return None
    pairs = np.array([pair for group in repeated for pair in combinations(group, 2)])
    return Agreement.of(pairs[:, 0], pairs[:, 1])


def reachable(measured: Floats, noise: Noise, step: float = 0.0, seed: int = 0) -> Agreement:
    """How well the true accuracies, as predictions, would agree with the measured ones, which differ by noise.

    Args:
        measured: shape (N,).
        noise: of a measurement.
        step: in which measurements come, as one over a number of test images; 0 if they come in none.
        seed: of the simulation.

    Source: ours; truths are drawn as `true_accuracies` finds them, and measured anew.
    """
    return _simulated(measured, noise, step, seed, against_truth=True)


def repeatable(measured: Floats, noise: Noise, step: float = 0.0, seed: int = 0) -> Agreement:
    """How well two measurements would agree: to hold what `reachable` is drawn from to `second_evaluations`.

    Args:
        measured: shape (N,).
        noise: of a measurement.
        step: as of `reachable`.
        seed: of the simulation.

    Source: ours.
    """
    return _simulated(measured, noise, step, seed, against_truth=False)


def smallest_step(measured: Floats) -> float:
    """In which measurements come: the smallest difference between any; 0 if all are equal."""
    values = np.unique(measured)
    return float(np.diff(values).min()) if len(values) > 1 else 0.0


def true_accuracies(measured: Floats, noise: Noise) -> Floats:
    """How likely the true accuracies behind measurements are at each of `SCORES`: shape (SCORES,), of sum one.

    Measured accuracies are spread more widely than the true ones by the noise, which is taken out again. Likelihood
    alone would end in a few points, so that it is stopped after 30 rounds from an even start. Held to simulated
    searches whose truth is known (`benchmarks/noise_floor.py`), what it says of tau is right within 0.02 for most, and
    up to 0.07 too high for those that change little. Noise far below a step of `SCORES` (0.003 at an accuracy of 0.94)
    is not resolved.

    Args:
        measured: shape (N,).
        noise: of a measurement; what is less than `LEAST_NOISE` counts as that.

    Source: the nonparametric maximum likelihood of Kiefer and Wolfowitz (1956), by the EM algorithm of Laird (1978),
    stopped early.
    """
    truth = logistic(SCORES)
    deviation = np.maximum(noise(truth), LEAST_NOISE)
    likelihood = np.exp(-0.5 * ((measured[:, None] - truth) / deviation) ** 2) / deviation
    likelihood = np.maximum(likelihood, np.finfo(float).tiny)
    chance = np.full(len(SCORES), 1.0 / len(SCORES))
    for _ in range(ROUNDS):
        responsible = likelihood * chance
        chance = (responsible / responsible.sum(axis=1, keepdims=True)).mean(axis=0)
    return chance


def _simulated(measured: Floats, noise: Noise, step: float, seed: int, against_truth: bool) -> Agreement:
    if not any(noise.deviation):
        return Agreement.of(measured, measured)
    rng = np.random.default_rng(seed)
    chance = true_accuracies(measured, noise)
    apart = SCORES[1] - SCORES[0]

    def measure(truth: Floats) -> Floats:
        noisy = truth + noise(truth) * rng.standard_normal(len(truth))
        return np.asarray(np.clip((noisy / step).round() * step if step else noisy, 0.0, 1.0))

    draws = []
    for _ in range(DRAWS):
        score = rng.choice(SCORES, len(measured), p=chance) + apart * rng.uniform(-0.5, 0.5, len(measured))
        truth = logistic(score)
        draws.append(Agreement.of(measure(truth), truth if against_truth else measure(truth)))
    return Agreement.mean(draws)


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
