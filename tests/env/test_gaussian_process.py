"""Gaussian processes: equal to scikit-learn's, and what is learned of columns and noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal
from scipy.stats import t as student_t
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, RationalQuadratic

from ma2ml_env.surrogate import gaussian_process
from ma2ml_env.surrogate.gaussian_process import (
    ROUNDS,
    TAILS,
    fit_gaussian_process,
    heavy_tailed,
    misfit,
    rational_quadratic,
)


def measurements(count: int = 120, noise: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A table of four columns, of which the second tells nothing and the third is constant, and what is measured."""
    rng = np.random.default_rng(seed)
    table = rng.uniform(-1.0, 1.0, (count, 4)) * [1.0, 1.0, 0.0, 50.0] + [0.0, 3.0, 7.0, 0.0]
    truth = 2.0 + np.sin(3.0 * table[:, 0]) + table[:, 3] / 50.0
    return table, truth, truth + noise * rng.standard_normal(count)


def always(deviation: float) -> Callable[[np.ndarray], np.ndarray]:
    """A noise that is the same everywhere."""
    return lambda truth: np.full(len(truth), deviation)


def test_the_covariance_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((5, 3)), rng.standard_normal((7, 3))
    expected = (ConstantKernel(1.7) * RationalQuadratic(length_scale=1.0, alpha=1.0))(one, other)
    np.testing.assert_allclose(rational_quadratic(one, other, 1.7), expected)


def test_the_misfit_is_the_normal_densitys_negative_logarithm() -> None:
    rng = np.random.default_rng(0)
    root, residual = rng.standard_normal((6, 9)), rng.standard_normal(6)
    covariance = root @ root.T
    found = float(misfit(torch.from_numpy(residual), torch.from_numpy(covariance)))
    assert found == pytest.approx(-multivariate_normal(cov=covariance).logpdf(residual) - 3 * np.log(2 * np.pi))


def test_what_matters_only_among_the_worst_tenth_is_not_looked_at() -> None:
    rng = np.random.default_rng(0)
    table = rng.uniform(-1.0, 1.0, (600, 3))
    bad = np.arange(600) % 11 == 0
    target = np.where(bad, -6.0 + np.sin(3.0 * table[:, 1]), np.sin(3.0 * table[:, 0]))
    of_good, of_bad, of_none = np.array(fit_gaussian_process(table, target, always(0.05)).terms[0].scale)
    assert of_good > 3 * of_bad
    assert of_bad == pytest.approx(of_none, rel=0.5)


def test_the_mean_is_scikit_learns_with_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    weigh = gaussian_process._weights
    monkeypatch.setattr(gaussian_process, "_weights", lambda *given: seen.append(given) or weigh(*given))
    monkeypatch.setattr(gaussian_process, "ROUNDS", 50)
    table, _, measured = measurements()
    fitted = fit_gaussian_process(table, measured, lambda truth: 0.05 + 0.05 * np.abs(truth))
    ((learned, _, _, noise, _),) = seen
    (term,) = fitted.terms
    kernel = ConstantKernel(term.variance) * RationalQuadratic(length_scale=1.0, alpha=1.0)
    variance = learned.variance_of(torch.from_numpy(noise(fitted(table))))
    theirs = GaussianProcessRegressor(
        kernel, alpha=heavy_tailed(variance, torch.from_numpy(measured - fitted(table))).numpy(), optimizer=None
    )

    def scaled(rows: np.ndarray) -> np.ndarray:
        return (rows - fitted.center)[:, list(term.columns)] * term.scale

    theirs.fit(scaled(table), measured - fitted.mean)
    unseen, _, _ = measurements(seed=1)
    np.testing.assert_allclose(fitted(unseen), fitted.mean + theirs.predict(scaled(unseen)), atol=1e-3)


def test_a_sum_of_terms_is_what_the_sum_of_their_covariances_gives() -> None:
    table, _, measured = measurements()
    fitted = fit_gaussian_process(table, measured, always(0.1), groups=((0, 1), (2,), (3,)))
    assert [term.columns for term in fitted.terms] == [(0, 1, 3), (0, 1), (3,)], "a constant column is not looked at"
    points, unseen = np.array(fitted.points), measurements(seed=1)[0]
    covariance = np.zeros((len(unseen), len(points)))
    for term in fitted.terms:
        for row, x in enumerate(unseen):
            squares = ((x - points)[:, list(term.columns)] * term.scale) ** 2
            covariance[row] += term.variance / (1 + squares.sum(axis=1) / 2)
    np.testing.assert_allclose(fitted(unseen), fitted.mean + covariance @ fitted.weights, atol=1e-9)


def test_what_a_group_does_is_learned_wherever_the_others_are() -> None:
    rng = np.random.default_rng(0)
    table = rng.uniform(-1.0, 1.0, (300, 8))
    measured = np.sin(3.0 * table[:, 0]) + 0.3 * rng.standard_normal(300)
    groups = ((0,), tuple(range(1, 8)))
    alone, together = (fit_gaussian_process(table, measured, always(0.3), groups=given) for given in (groups, ()))
    far = np.concatenate([rng.uniform(-1.0, 1.0, (200, 1)), rng.choice([-3.0, 3.0], (200, 7))], axis=1)
    error, of_together = (np.abs(process(far) - np.sin(3.0 * far[:, 0])).mean() for process in (alone, together))
    assert error < of_together


def test_noise_is_first_that_of_what_was_measured_and_then_of_what_was_learned() -> None:
    asked: list[np.ndarray] = []
    table, truth, measured = measurements(noise=0.5)
    fit_gaussian_process(table, measured, lambda value: asked.append(value.copy()) or np.full(len(value), 0.5))
    _, first, *later = asked
    assert first.tolist() == measured.tolist()
    assert len(later) == ROUNDS - 1
    for values in later:
        assert np.abs(values - truth).mean() < 0.5 * np.abs(measured - truth).mean()


def test_heavy_tails_lead_to_where_students_t_is_likeliest() -> None:
    rng = np.random.default_rng(0)
    measured = np.concatenate([rng.standard_normal(30), [8.0, 9.0]])
    scale = 0.7
    center = 0.0
    for _ in range(200):
        variance = heavy_tailed(torch.full((32,), scale**2), torch.from_numpy(measured - center)).numpy()
        center = np.average(measured, weights=1 / variance)
    likeliest = minimize_scalar(lambda at: -student_t.logpdf(measured, TAILS, at, scale).sum(), bounds=(-5, 5))
    assert center == pytest.approx(likeliest.x, abs=1e-4)


def test_measurements_that_are_far_off_hardly_count() -> None:
    table, _, measured = measurements(300)
    unlucky = measured.copy()
    unlucky[::15] -= 10.0
    unseen, truth, _ = measurements(seed=1)
    assert np.abs(fit_gaussian_process(table, unlucky, always(0.1))(unseen) - truth).mean() < 0.1


@pytest.mark.parametrize(("count", "learned_from"), [(100, 90), (300, 270), (2500, 1000)])
def test_columns_are_learned_from_all_but_the_worst_tenth(
    monkeypatch: pytest.MonkeyPatch, count: int, learned_from: int
) -> None:
    seen: list[np.ndarray] = []
    learn = gaussian_process._learn
    monkeypatch.setattr(gaussian_process, "STEPS", 1)
    monkeypatch.setattr(gaussian_process, "_learn", lambda *given: seen.append(given[1]) or learn(*given))
    table, _, measured = measurements(count)
    fit_gaussian_process(table, measured, always(0.1))
    (target,) = seen
    assert len(target) == learned_from
    assert target.min() >= np.sort(measured)[count // 10]


def test_before_anything_is_learned_distances_within_each_term_are_of_order_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gaussian_process, "STEPS", 0)
    table = np.random.default_rng(0).standard_normal((200, 9))
    fitted = fit_gaussian_process(table, table[:, 0], always(0.1), groups=((0,), tuple(range(1, 9))))
    for term in fitted.terms:
        relative = np.array(term.scale) * table.std(axis=0)[list(term.columns)]
        np.testing.assert_allclose(relative, 1 / (1.2 * len(term.columns) ** 0.5))


def test_a_row_of_nothing_is_answered_by_nothing() -> None:
    table, _, measured = measurements()
    assert fit_gaussian_process(table, measured, always(0.1))(table[:0]).shape == (0,)


def test_the_number_of_threads_does_not_matter_and_stays() -> None:
    table, _, measured = measurements()
    before = torch.get_num_threads()
    try:
        fitted = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            fitted.append(fit_gaussian_process(table, measured, always(0.1)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert fitted[0] == fitted[1]


def test_points_are_distinct() -> None:
    table, _, measured = measurements()
    twice = fit_gaussian_process(np.repeat(table, 2, axis=0), np.repeat(measured, 2), always(0.1))
    assert len(set(twice.points)) == len(twice.points) == len(table)


def test_it_finds_the_truth_behind_noise_and_which_columns_tell_it() -> None:
    table, _, measured = measurements()
    fitted = fit_gaussian_process(table, measured, always(0.1))
    unseen, truth, _ = measurements(seed=1)
    assert np.abs(fitted(unseen) - truth).mean() < 0.1
    (term,) = fitted.terms
    assert term.columns == (0, 1, 3), "a constant column is not looked at"
    lengths = 1.0 / (np.array(term.scale) * table.std(axis=0)[[0, 1, 3]])
    assert lengths[1] > max(lengths[0], lengths[2]), "what tells nothing has the longest length scale"


def test_fewer_points_than_measurements_still_learn_from_all(monkeypatch: pytest.MonkeyPatch) -> None:
    table, _, measured = measurements(400, noise=0.5)
    unseen, truth, _ = measurements(seed=1)
    exact = fit_gaussian_process(table, measured, always(0.5))
    monkeypatch.setattr(gaussian_process, "POINTS", 40)
    sparse = fit_gaussian_process(table, measured, always(0.5))
    few = fit_gaussian_process(table[:40], measured[:40], always(0.5))
    assert len(sparse.points) == 40
    error, of_exact, of_few = (np.abs(process(unseen) - truth).mean() for process in (sparse, exact, few))
    assert error < 1.25 * of_exact < of_few


def test_a_row_is_answered_alike_in_any_company() -> None:
    table, _, measured = measurements()
    fitted = fit_gaussian_process(table, measured, always(0.0))
    unseen, _, _ = measurements(600, seed=1)
    alone = np.concatenate([fitted(row[None]) for row in unseen])
    np.testing.assert_allclose(fitted(unseen), alone, rtol=0, atol=1e-10)


@pytest.mark.parametrize("repeated", [1, 100])
def test_a_table_that_tells_nothing_gives_what_is_measured_on_average(repeated: int) -> None:
    measured = np.repeat(np.random.default_rng(0).standard_normal(30), repeated)
    fitted = fit_gaussian_process(np.ones((len(measured), 4)), measured, always(0.0))
    seen = fitted(np.ones((3, 4)))
    np.testing.assert_allclose(seen, seen[0])
    assert measured.min() < seen[0] < measured.max()


def test_measurements_that_are_all_equal_are_given_back() -> None:
    table = np.repeat(np.random.default_rng(0).standard_normal((25, 3)), 4, axis=0)
    fitted = fit_gaussian_process(table, np.full(100, -3.9), always(0.0))
    np.testing.assert_allclose(fitted(table), -3.9, atol=1e-3)
