"""Gaussian-process regression under noise of known shape: learned with torch, answered with numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.surrogate.noise import Floats

if TYPE_CHECKING:
    from torch import Tensor

Matrix = TypeVar("Matrix", Floats, "Tensor")

LEARNED_FROM = 1000
"""At most so many measurements tell the length scales; the time that takes grows with the third power. Source: ours."""
POINTS = 1500
"""At most so many measurements are points; more of them changed tau by 0.001, and take their time. Source: ours."""
STEPS, RATE = 80, 0.05
"""Of Adam, on logarithms. Source: ours."""
JITTER = 1e-6
"""What is added to the points' variances, so that equal points have a Cholesky factor. Source: ours."""
AT_ONCE = 256
"""Rows that are answered together, as their covariances then fit in a cache. Source: ours."""


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior mean of a Gaussian process.

    Attributes:
        mean: of the process.
        variance: of the process.
        center: what is subtracted from each column.
        scale: what each column is multiplied by then, the reciprocal of its length scale.
        points: where the process was seen, M rows of columns.
        weights: of each point, M.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), equation 2.27.
    """

    mean: float
    variance: float
    center: tuple[float, ...]
    scale: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> GaussianProcess:
        """From what `dataclasses.asdict` and JSON made of one."""
        rows = {name: tuple(body[name]) for name in ("center", "scale", "weights")}
        made = cls(body["mean"], body["variance"], points=tuple(map(tuple, body["points"])), **rows)
        shapes = {len(made.center), len(made.scale), *map(len, made.points)}
        if len(shapes) != 1 or len(made.points) != len(made.weights) or not np.isfinite(made.weights).all():
            raise ValueError("its points, weights and columns do not fit together")
        return made

    def __call__(self, table: Floats) -> Floats:
        """The mean at each row, shape (B,).

        Args:
            table: shape (B, columns).
        """
        center, scale, points, weights = self._arrays
        rows = (table - center) * scale
        parts = (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))
        return np.concatenate([self.mean + rational_quadratic(part, points, self.variance) @ weights for part in parts])

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats, Floats]:
        center, scale, points, weights = map(np.array, (self.center, self.scale, self.points, self.weights))
        return center, scale, (points - center) * scale, weights


def rational_quadratic(one: Matrix, other: Matrix, variance: Any) -> Matrix:
    """The covariance s^2 / (1 + |x - y|^2 / 2) of each pair of rows, shape (N, M): smooth, with long tails.

    Args:
        one: arrays or tensors, shape (N, columns), divided by the length scales.
        other: likewise, shape (M, columns).
        variance: s^2.

    Source: Rasmussen and Williams, equation 4.19 with alpha = 1 and a length scale for each column.
    """
    squares = (one * one).sum(1)[:, None] + (other * other).sum(1)
    covariance: Matrix = variance / (1.0 + 0.5 * squares - one @ other.T)
    return covariance


def misfit(residual: Tensor, covariance: Tensor) -> Tensor:
    """The negative logarithm of a normal density, but for its constant N / 2 log 2 pi.

    Args:
        residual: measured less expected, shape (N,).
        covariance: shape (N, N), positive definite.

    Source: Rasmussen and Williams, equation 5.8.
    """
    import torch

    factor = torch.linalg.cholesky(covariance)
    whitened = torch.linalg.solve_triangular(factor, residual[:, None], upper=False)
    density: Tensor = 0.5 * (whitened**2).sum() + factor.diagonal().log().sum()
    return density


def fit_gaussian_process(table: Floats, target: Floats, noise: Floats) -> GaussianProcess:
    """Learn a Gaussian process from noisy measurements.

    The length scales, and how much noise there is beside what is known, are sought where a search compares, in the
    better half of the measurements (the best 250 at least, 1,000 of them at most): columns that tell the bad from the
    worse do not count there. All measurements then say where the process is, through points among them that are drawn
    at random.

    Args:
        table: shape (N, columns).
        target: measured values of the order of one, as logits are, shape (N,).
        noise: standard deviation of each of them, shape (N,); its share of the whole is learned.

    Source: Rasmussen and Williams, equation 5.8 (with normal priors on the logarithms of the length scales), and 8.14,
    the subset of regressors, which is nearly the exact process where all measurements are points.
    """
    rng = np.random.default_rng(0)
    center, deviation = table.mean(axis=0), table.std(axis=0)
    varies = deviation > 1e-9
    rows = (table - center)[:, varies] / deviation[varies]
    better = np.argsort(-target, kind="stable")[: max(len(target) // 2, min(len(target), LEARNED_FROM // 4))]
    some = rng.permutation(better)[:LEARNED_FROM]
    learned = _learn(rows[some], target[some], noise[some])
    points = np.sort(rng.permutation(len(target))[:POINTS])
    weights = _weights(learned, rows, target, noise, points)
    scale = np.zeros(len(center))
    scale[varies] = learned.scale.numpy() / deviation[varies]
    return GaussianProcess(
        mean=float(learned.mean),
        variance=float(learned.variance),
        center=tuple(center.tolist()),
        scale=tuple(scale.tolist()),
        points=tuple(map(tuple, table[points].tolist())),
        weights=tuple(weights.tolist()),
    )


@dataclass(frozen=True)
class _Learned:
    mean: Tensor
    variance: Tensor
    scale: Tensor
    noise: Tensor
    share: Tensor

    def variance_of(self, deviation: Tensor) -> Tensor:
        """Of measurements of a known standard deviation."""
        return self.noise + self.share * deviation**2


def _learn(rows: Floats, target: Floats, noise: Floats) -> _Learned:
    import torch

    x, y, deviation = (torch.from_numpy(array) for array in (rows, target, noise))
    usual = float(np.log(1.2 * max(1, rows.shape[1]) ** 0.5))
    lengths = torch.full((rows.shape[1],), usual, dtype=y.dtype, requires_grad=True)
    mean = y.mean().clone().requires_grad_()
    logarithms = torch.tensor([0.3, 0.1, 1.0], dtype=y.dtype).log_().requires_grad_()

    def current() -> _Learned:
        variance, noise, share = logarithms.exp()
        return _Learned(mean, variance, (-lengths).exp(), noise, share)

    optimizer = torch.optim.Adam([lengths, mean, logarithms], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        now = current()
        scaled = x * now.scale
        covariance = rational_quadratic(scaled, scaled, now.variance) + now.variance_of(deviation).diag()
        torch.autograd.backward(misfit(y - now.mean, covariance) + 0.5 * ((lengths - usual) ** 2).sum())
        optimizer.step()
    with torch.no_grad():
        return replace(current(), mean=mean.detach())


def _weights(learned: _Learned, rows: Floats, target: Floats, noise: Floats, points: NDArray[np.int64]) -> Floats:
    import torch

    x, y, deviation = (torch.from_numpy(array) for array in (rows, target, noise))
    x = x * learned.scale
    root = learned.variance_of(deviation).sqrt()
    among = rational_quadratic(x[points], x[points], learned.variance) + JITTER * torch.eye(len(points), dtype=y.dtype)
    factor = torch.linalg.cholesky(among)
    seen = torch.linalg.solve_triangular(factor, rational_quadratic(x[points], x, learned.variance) / root, upper=False)
    inner = torch.eye(len(points), dtype=y.dtype) + seen @ seen.T
    solved = torch.linalg.solve(inner, seen @ ((y - learned.mean) / root))
    weights = torch.linalg.solve_triangular(factor.T, solved[:, None], upper=True)
    return np.asarray(weights[:, 0].numpy())
