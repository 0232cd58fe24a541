"""What the noise allows: how well the truth, which has none, would agree with measurements."""

from __future__ import annotations

import numpy as np

from ma2ml_env.surrogate.noise import Floats, Noise, logistic
from ma2ml_env.surrogate.quality import Agreement

DRAWS = 30
ROUNDS = 30
SCORES = np.linspace(-3.9, 6.2, 203)
"""Logits, evenly spread, of what can be a true accuracy."""
LEAST_NOISE = 1e-4


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
    """
    return _simulated(measured, noise, step, seed, against_truth=False)


def measurements(truth: Floats, noise: Noise, step: float, rng: np.random.Generator) -> Floats:
    """True accuracies as they would be measured, in [0, 1].

    Args:
        truth: shape (N,).
        noise: of a measurement.
        step: as of `reachable`.
        rng: of the noise.
    """
    noisy = truth + noise(truth) * rng.standard_normal(len(truth))
    return np.asarray(np.clip((noisy / step).round() * step if step else noisy, 0.0, 1.0))


def smallest_step(measured: Floats) -> float:
    """In which measurements come: the smallest difference between any; 0 if all are equal."""
    values = np.unique(measured)
    return float(np.diff(values).min()) if len(values) > 1 else 0.0


def true_accuracies(measured: Floats, noise: Noise) -> Floats:
    """How likely the true accuracies behind measurements are at each of `SCORES`: shape (SCORES,), of sum one.

    Measured accuracies are spread more widely than the true ones by the noise, which is taken out again. Likelihood
    alone would end in a few points, so that it is stopped after 30 rounds from an even start. Held to simulated
    searches whose truth is known (`experiments/noise_floor.py`), what it says of tau is right within 0.02 for most, and
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
    draws = []
    for _ in range(DRAWS):
        score = rng.choice(SCORES, len(measured), p=chance) + apart * rng.uniform(-0.5, 0.5, len(measured))
        truth = logistic(score)
        one = measurements(truth, noise, step, rng)
        draws.append(Agreement.of(one, truth if against_truth else measurements(truth, noise, step, rng)))
    return Agreement.mean(draws)
