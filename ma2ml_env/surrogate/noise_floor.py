"""Noise ceiling: the best agreement with noisy labels that a perfect predictor could reach."""

from __future__ import annotations

import numpy as np

from ma2ml_env.surrogate.noise import Floats, Noise, logistic
from ma2ml_env.surrogate.quality import Agreement

DRAWS = 30
ROUNDS = 30
SCORES = np.linspace(-3.9, 6.2, 203)
"""Grid of possible true accuracies, as evenly spaced logits."""
LEAST_NOISE = 1e-4


def reachable(measured: Floats, noise: Noise, step: float = 0.0, seed: int = 0) -> Agreement:
    """Noise ceiling: agreement of the true accuracies, as predictions, with the measured ones, which have noise.

    Args:
        measured: shape (N,).
        noise: noise of a measurement.
        step: resolution of measurements, such as one over a number of test images; 0 for continuous ones.
        seed: seed of the simulation.

    True accuracies are drawn from the distribution of `true_accuracies` and measured in a simulation.
    """
    return _simulated(measured, noise, step, seed, against_truth=True)


def repeatable(measured: Floats, noise: Noise, step: float = 0.0, seed: int = 0) -> Agreement:
    """Agreement of two simulated measurements; compared with `second_evaluations`, it tests the model of `reachable`.

    Args:
        measured: shape (N,).
        noise: noise of a measurement.
        step: as of `reachable`.
        seed: seed of the simulation.
    """
    return _simulated(measured, noise, step, seed, against_truth=False)


def measurements(truth: Floats, noise: Noise, step: float, rng: np.random.Generator) -> Floats:
    """Simulated measurements of true accuracies, in [0, 1].

    Args:
        truth: shape (N,).
        noise: noise of a measurement.
        step: as of `reachable`.
        rng: generator of the noise.
    """
    noisy = truth + noise(truth) * rng.standard_normal(len(truth))
    return np.asarray(np.clip((noisy / step).round() * step if step else noisy, 0.0, 1.0))


def smallest_step(measured: Floats) -> float:
    """Resolution of measurements: the smallest difference between any two; 0 if all are equal."""
    values = np.unique(measured)
    return float(np.diff(values).min()) if len(values) > 1 else 0.0


def true_accuracies(measured: Floats, noise: Noise) -> Floats:
    """Distribution of the true accuracies behind measurements over `SCORES`: shape (SCORES,), of sum one.

    Noise spreads measured accuracies more widely than the true ones; this removes it by deconvolution. The maximum
    likelihood alone would concentrate on a few points, so EM stops early, after 30 iterations from a uniform start. On
    simulated searches with known truth (`experiments/noise_floor.py`), the estimated tau is correct within 0.02 for
    most, and up to 0.07 too high for those that change little. Noise far below a step of `SCORES` (0.003 at an accuracy
    of 0.94) is not resolved.

    Args:
        measured: shape (N,).
        noise: noise of a measurement; at least `LEAST_NOISE` is assumed.

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
    draws = []
    for _ in range(DRAWS):
        score = rng.choice(SCORES, len(measured), p=chance) + apart * rng.uniform(-0.5, 0.5, len(measured))
        truth = logistic(score)
        one = measurements(truth, noise, step, rng)
        draws.append(Agreement.of(one, truth if against_truth else measurements(truth, noise, step, rng)))
    return Agreement.mean(draws)
