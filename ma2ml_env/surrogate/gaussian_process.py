"""Gaussian-process regression under noise of known shape: learned with torch, evaluated with NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.errors import MA2MLError
from ma2ml_env.surrogate.noise import Floats

if TYPE_CHECKING:
    from torch import Tensor

Matrix = TypeVar("Matrix", Floats, "Tensor")

LEARNED_FROM, WORST = 1000, 0.1
"""Maximum number of measurements that length scales are learned from; time grows with its third power. Share of the
lowest ones that they are not learned from: without the lowest half, R2 was .67 instead of .79."""
POINTS = 1500
"""Maximum number of measurements that become points; more changed tau by 0.001 and cost time."""
STEPS, RATE = 80, 0.05
"""Steps and learning rate of Adam, on the mean and on logarithms of all else."""
TAILS, ROUNDS = 4.0, 5
"""Degrees of freedom of the Student-t noise; number of reweighting iterations."""
JITTER = 1e-6
"""Jitter added to the points' variances, so that equal points have a Cholesky factor."""
AT_ONCE = 256
"""Rows evaluated together, so that their covariances fit in a cache."""


@dataclass(frozen=True)
class Term:
    """One of the functions that a process is the sum of.

    Attributes:
        variance: prior variance of the function.
        columns: those that it depends on.
        scale: factor of each of them, the reciprocal of its length scale.

    Source: additive Gaussian processes (Duvenaud, Nickisch and Rasmussen 2011).
    """

    variance: float
    columns: tuple[int, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior mean of a Gaussian process, a sum of independent ones; its mode where noise has heavy tails.

    Attributes:
        mean: mean of the process.
        center: offset subtracted from each column.
        terms: those that it is the sum of.
        points: inducing points, M rows of columns.
        weights: weight of each point, M.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), equation 2.27.
    """

    mean: float
    center: tuple[float, ...]
    terms: tuple[Term, ...]
    points: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> GaussianProcess:
        """Inverse of `dataclasses.asdict`, after a round trip through JSON.

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
        terms = (rational_quadratic(rows[:, at] * scale, *of_term) for at, scale, *of_term in self._scaled)
        return reduce(np.add, terms)

    @cached_property
    def _center(self) -> Floats:
        return np.array(self.center)

    @cached_property
    def _weights(self) -> Floats:
        return np.array(self.weights)

    @cached_property
    def _scaled(self) -> list[tuple[Any, ...]]:
        """Each term's columns, scale, scaled points, variance and the squared lengths of the points."""
        points = np.array(self.points) - self._center
        terms = [(np.array(term.columns, int), np.array(term.scale, float), term.variance) for term in self.terms]
        scaled = [(at, scale, points[:, at] * scale, variance) for at, scale, variance in terms]
        return [(*term, (term[2] ** 2).sum(axis=1)) for term in scaled]


def rational_quadratic(one: Matrix, other: Matrix, variance: Any, squares: Matrix | None = None) -> Matrix:
    """The covariance s^2 / (1 + |x - y|^2 / 2) of each pair of rows, shape (N, M): smooth, with long tails.

    Args:
        one: arrays or tensors, shape (N, columns), divided by the length scales.
        other: likewise, shape (M, columns).
        variance: s^2.
        squares: squared lengths of the rows of `other`, shape (M,), if they are known.

    Source: Rasmussen and Williams, equation 4.19 with alpha = 1 and a length scale for each column.
    """
    lengths = (one * one).sum(1)[:, None] + ((other * other).sum(1) if squares is None else squares)
    return cast("Matrix", variance / (1.0 + 0.5 * lengths - one @ other.T))


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
    return cast("Tensor", 0.5 * (whitened**2).sum() + factor.diagonal().log().sum())


def heavy_tailed(variance: Tensor, residual: Tensor) -> Tensor:
    """Variances of normal noise that weight outliers as Student's t does.

        s^2 (nu + (r / s)^2) / (nu + 1)

    Args:
        variance: s^2, the squared scale of the noise, shape (N,).
        residual: r, measured less expected, shape (N,).

    Source: the t distribution as a mixture of normal ones (Lange, Little and Taylor 1989), but for nu, `TAILS`.
    """
    return (TAILS * variance + residual**2) / (TAILS + 1.0)


def fit_gaussian_process(
    table: Floats, target: Floats, noise: Callable[[Floats], Floats], groups: Sequence[Sequence[int]] = ()
) -> GaussianProcess:
    """Learns a Gaussian process from noisy measurements.

    The process is the sum of a function of all columns and one function of each group of columns, so that the effect of
    a group is learned across all values of the others; a group's length scales are those of the whole, multiplied by
    one factor. Length scales, variances of the terms and the level of the noise are learned from at most 1,000 of the
    measurements, drawn at random from all but the worst tenth, among which are trainings that diverged. The posterior
    is then computed from all measurements, through inducing points drawn among them at random. The noise level is
    looked up at the measured accuracy first and at the posterior mean afterwards, since an unluckily high measurement
    would otherwise get too little noise. The noise has heavy tails, so that outliers count less.

    Args:
        table: shape (N, columns).
        target: measured values of the order of one, such as logits, shape (N,).
        noise: function from true values, shape (N,), to the standard deviation of their measurements, shape (N,);
            its share of the noise variance is learned under normal noise, and used as the scale of Student's t.
        groups: the columns of each group.

    Source: Rasmussen and Williams, equation 5.8 (with normal priors on the logarithms of the length scales and of the
    factors), and 8.14, the subset of regressors, which is nearly the exact process where all measurements are points.
    Neither leaves out the worst or reweights under Student's t.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the split of sums among threads affects their last digits
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
    parts = [np.arange(len(varying)), *filter(len, (np.flatnonzero(np.isin(varying, group)) for group in groups))]
    but_worst = np.argsort(-target, kind="stable")[: len(target) - int(WORST * len(target))]
    some = rng.permutation(but_worst)[:LEARNED_FROM]
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
        """Covariance of the process at each pair of rows."""
        import torch

        one, other = one * self.scale, other * self.scale
        pairs = zip(self.parts, self.factors, self.variances, strict=True)
        terms = [rational_quadratic(one[:, part] * by, other[:, part] * by, variance) for part, by, variance in pairs]
        return torch.stack(terms).sum(0)

    def variance_of(self, deviation: Tensor) -> Tensor:
        """Variance of measurements of a known standard deviation."""
        return self.noise + self.share * deviation**2

    def terms(self, varying: NDArray[np.int64], deviation: Floats) -> Iterator[Term]:
        """Terms in units of the table."""
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
