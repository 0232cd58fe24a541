"""Gaussian-process regression under noise of known shape: learned with torch, answered with numpy alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError
from ma2ml_env.surrogate.noise import Floats

if TYPE_CHECKING:
    from torch import Tensor

Matrix = TypeVar("Matrix", Floats, "Tensor")

LEARNED_FROM = 1000
"""At most so many measurements tell the length scales; the time that takes grows with the third power."""
POINTS = 1500
"""At most so many measurements are points; more of them changed tau by 0.001, and take their time."""
STEPS, RATE = 80, 0.05
"""Of Adam, on the mean and on logarithms of all else."""
TAILS, ROUNDS = 4.0, 5
"""Degrees of freedom of the noise, Student's t, and how often the process is told anew by it."""
JITTER = 1e-6
"""What is added to the points' variances, so that equal points have a Cholesky factor."""
AT_ONCE = 256
"""Rows that are answered together, as their covariances then fit in a cache."""


@dataclass(frozen=True)
class Term:
    """One of the functions that a process is the sum of.

    Attributes:
        variance: of it.
        columns: which it depends on.
        scale: what each of them is multiplied by, the reciprocal of its length scale.

    Source: additive Gaussian processes (Duvenaud, Nickisch and Rasmussen 2011).
    """

    variance: float
    columns: tuple[int, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior mean of a Gaussian process, a sum of independent ones; its mode where noise has heavy tails.

    Attributes:
        mean: of the process.
        center: what is subtracted from each column.
        terms: which it is the sum of.
        points: where the process was seen, M rows of columns.
        weights: of each point, M.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), equation 2.27.
    """

    mean: float
    center: tuple[float, ...]
    terms: tuple[Term, ...]
    points: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> GaussianProcess:
        """From what `dataclasses.asdict` and JSON made of one.

        Raises:
            ValueError: if its parts do not fit together, or a number is not finite.
        """
        terms = tuple(Term(term["variance"], tuple(term["columns"]), tuple(term["scale"])) for term in body["terms"])
        points = tuple(map(tuple, body["points"]))
        made = cls(body["mean"], tuple(body["center"]), terms, points, tuple(body["weights"]))
        fits = {len(made.center)} == set(map(len, points)) and len(points) == len(made.weights) and len(terms) > 0
        fits = fits and all(len(term.columns) == len(term.scale) for term in terms)
        inside = all(0 <= column < len(made.center) for term in terms for column in term.columns)
        scales = [[term.variance, *term.scale] for term in terms]
        finite = all(np.isfinite(row).all() for row in ([made.mean], made.center, made.weights, *points, *scales))
        if not (fits and inside and finite):
            raise MA2MLError("its points, weights, terms and columns do not fit together, or are not finite")
        return made

    def __call__(self, table: Floats) -> Floats:
        """The mean at each row, shape (B,).

        Args:
            table: shape (B, columns).
        """
        parts = (table[start : start + AT_ONCE] for start in range(0, max(1, len(table)), AT_ONCE))
        return np.concatenate([self.mean + self._covariance(part) @ self._weights for part in parts])

    def _covariance(self, table: Floats) -> Floats:
        rows = table - self._center
        return reduce(
            np.add, (rational_quadratic(rows[:, at] * scale, points, v) for v, at, scale, points in self._scaled)
        )

    @cached_property
    def _center(self) -> Floats:
        return np.array(self.center)

    @cached_property
    def _weights(self) -> Floats:
        return np.array(self.weights)

    @cached_property
    def _scaled(self) -> list[tuple[float, NDArray[np.int64], Floats, Floats]]:
        """Each term's variance, columns, scale and scaled points."""
        points = np.array(self.points) - self._center
        arrays = [(term.variance, np.array(term.columns, int), np.array(term.scale, float)) for term in self.terms]
        return [(variance, at, scale, points[:, at] * scale) for variance, at, scale in arrays]


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


def heavy_tailed(variance: Tensor, residual: Tensor) -> Tensor:
    """The variances that normal noise would have, for what is far off to count as it does under Student's t.

        s^2 (nu + (r / s)^2) / (nu + 1)

    Args:
        variance: s^2, the squared scale of the noise, shape (N,).
        residual: r, measured less expected, shape (N,).

    Source: the t distribution as a mixture of normal ones (Lange, Little and Taylor 1989); nu, `TAILS`, is ours.
    """
    return (TAILS * variance + residual**2) / (TAILS + 1.0)


def fit_gaussian_process(
    table: Floats, target: Floats, noise: Callable[[Floats], Floats], groups: Sequence[Sequence[int]] = ()
) -> GaussianProcess:
    """Learn a Gaussian process from noisy measurements.

    It is the sum of a function of all columns and one of each group's alone, so that what a group does is learned
    wherever the others are; a group's length scales are those of the whole, all multiplied by one factor. The length
    scales, the terms' variances, and how much noise there is beside what is known are sought where a search compares,
    in the better half of the measurements (the best 250 at least, 1,000 of them at most): columns that tell the bad
    from the worse do not count there. All measurements then say where the process is, through points among them that
    are drawn at random. Their noise is first that of what was measured, then that of what the process says was true,
    as an unlucky one would else seem too sure; and it has heavy tails, so that what is far off counts less.

    Args:
        table: shape (N, columns).
        target: measured values of the order of one, as logits are, shape (N,).
        noise: the standard deviation of measurements, shape (N,), where the truth is its argument, shape (N,); its
            share of the whole is learned, as of normal noise, and taken for the scale of Student's t.
        groups: the columns of each.

    Source: Rasmussen and Williams, equation 5.8 (with normal priors on the logarithms of the length scales and of the
    factors), and 8.14, the subset of regressors, which is nearly the exact process where all measurements are points.
    The better half, and the rounds with Student's t, are ours.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # how sums are split among threads shows in their last digits
    try:
        return _fit(table, target, noise, groups)
    finally:
        torch.set_num_threads(threads)


def _fit(
    table: Floats, target: Floats, noise: Callable[[Floats], Floats], groups: Sequence[Sequence[int]]
) -> GaussianProcess:
    rng = np.random.default_rng(0)
    center, deviation = table.mean(axis=0), table.std(axis=0)
    varying = np.flatnonzero(deviation > 1e-9 * (1.0 + np.abs(center)))
    rows = (table - center)[:, varying] / deviation[varying]
    own = [np.flatnonzero(np.isin(varying, group)) for group in groups]
    parts = [np.arange(len(varying)), *filter(len, own)]
    better = np.argsort(-target, kind="stable")[: max(len(target) // 2, min(len(target), LEARNED_FROM // 4))]
    some = rng.permutation(better)[:LEARNED_FROM]
    learned = _learn(rows[some], target[some], noise(target[some]), parts)
    _, distinct = np.unique(table, axis=0, return_index=True)
    points = np.sort(rng.permutation(distinct)[:POINTS])
    return GaussianProcess(
        mean=float(learned.mean),
        center=tuple(center.tolist()),
        terms=tuple(learned.terms(varying, deviation)),
        points=tuple(map(tuple, table[points].tolist())),
        weights=tuple(_weights(learned, rows, target, noise, points).tolist()),
    )


@dataclass(frozen=True)
class _Learned:
    mean: Tensor
    parts: Sequence[NDArray[np.int64]]
    variances: Tensor
    scale: Tensor
    factors: Tensor
    noise: Tensor
    share: Tensor

    def covariance(self, one: Tensor, other: Tensor) -> Tensor:
        """Of the process at each pair of rows."""
        import torch

        one, other = one * self.scale, other * self.scale
        pairs = zip(self.parts, self.factors, self.variances, strict=True)
        terms = [rational_quadratic(one[:, part] * by, other[:, part] * by, variance) for part, by, variance in pairs]
        return torch.stack(terms).sum(0)

    def variance_of(self, deviation: Tensor) -> Tensor:
        """Of measurements of a known standard deviation."""
        return self.noise + self.share * deviation**2

    def terms(self, varying: NDArray[np.int64], deviation: Floats) -> Iterator[Term]:
        """In units of the table."""
        for part, by, variance in zip(self.parts, self.factors, self.variances, strict=True):
            columns = varying[part]
            scale = (self.scale[part] * by).numpy() / deviation[columns]
            yield Term(float(variance), tuple(columns.tolist()), tuple(scale.tolist()))


def _learn(rows: Floats, target: Floats, noise: Floats, parts: Sequence[NDArray[np.int64]]) -> _Learned:
    import torch

    x, y, deviation = (torch.from_numpy(array) for array in (rows, target, noise))
    sizes = torch.tensor([max(1, len(part)) for part in parts], dtype=y.dtype)
    usual = float(np.log(1.2 * float(sizes[0]) ** 0.5))
    lengths = torch.full((rows.shape[1],), usual, dtype=y.dtype, requires_grad=True)
    mean = y.mean().clone().requires_grad_()
    variances = torch.full((len(parts),), 0.3 / len(parts), dtype=y.dtype).log_().requires_grad_()
    factors = torch.zeros(len(parts) - 1, dtype=y.dtype, requires_grad=True)
    noises = torch.tensor([0.1, 1.0], dtype=y.dtype).log_().requires_grad_()

    def current() -> _Learned:
        by = torch.cat([torch.zeros(1, dtype=y.dtype), factors]).exp() * (sizes[0] / sizes).sqrt()
        return _Learned(mean, parts, variances.exp(), (-lengths).exp(), by, *noises.exp())

    optimizer = torch.optim.Adam([lengths, mean, variances, factors, noises], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        now = current()
        covariance = now.covariance(x, x) + now.variance_of(deviation).diag()
        prior = 0.5 * ((lengths - usual) ** 2).sum() + 0.5 * (factors**2).sum()
        torch.autograd.backward(misfit(y - now.mean, covariance) + prior)
        optimizer.step()
    with torch.no_grad():
        return replace(current(), mean=mean.detach())


def _weights(
    learned: _Learned, rows: Floats, target: Floats, noise: Callable[[Floats], Floats], points: NDArray[np.int64]
) -> Floats:
    import torch

    x, y = torch.from_numpy(rows), torch.from_numpy(target)
    unit = torch.eye(len(points), dtype=y.dtype)
    factor = torch.linalg.cholesky(learned.covariance(x[points], x[points]) + JITTER * unit)
    seen = torch.linalg.solve_triangular(factor, learned.covariance(x[points], x), upper=False)
    values = y
    for _ in range(ROUNDS):
        variance = learned.variance_of(torch.from_numpy(noise(values.numpy())))
        root = heavy_tailed(variance, y - values).sqrt()
        scaled = seen / root
        solved = torch.linalg.solve(unit + scaled @ scaled.T, scaled @ ((y - learned.mean) / root))
        values = learned.mean + seen.T @ solved
    weights = torch.linalg.solve_triangular(factor.T, solved[:, None], upper=True)
    return np.asarray(weights[:, 0].numpy())
