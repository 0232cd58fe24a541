"""The Gaussian process over joint actions: kernel, posterior, marginal likelihood, expectation under policies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel

from ma2ml_agents.building_blocks.gaussian_process.acquisition import expected_improvement
from ma2ml_agents.building_blocks.gaussian_process.kernel import DecisionKernel, KernelWeights
from ma2ml_agents.building_blocks.gaussian_process.process import GaussianProcess
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.standardize import normal_scores
from ma2ml_agents.learner import AgentSpec

NVEC = np.array([4, 3, 5, 2, 1])
ORDERED = np.array([True, False, True, True, False])
RNG = np.random.default_rng(0)
WEIGHTS = KernelWeights(RNG.random(5), np.array([0.4, 0.0, 0.9, 0.0, 0.0]), 0.1, 0.3)


class Precomputed(Kernel):
    """A kernel of scikit-learn's whose value is looked up in a matrix; points are row numbers."""

    def __init__(self, matrix):
        self.matrix = matrix

    def __call__(self, x, y=None, eval_gradient=False):
        return self.matrix[np.ix_(x[:, 0].astype(int), (x if y is None else y)[:, 0].astype(int))]

    def diag(self, x):
        return np.ones(len(x))

    def is_stationary(self):
        return False


def joint(rows: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(NVEC, size=(rows, len(NVEC)))


def by_hand(x: np.ndarray, y: np.ndarray) -> float:
    """The kernel as its formula is written."""
    costs = [
        WEIGHTS.different[d] * (x[d] != y[d]) + WEIGHTS.distance[d] * abs(x[d] - y[d]) / max(size - 1, 1)
        for d, size in enumerate(NVEC)
    ]
    whole = WEIGHTS.different + WEIGHTS.distance
    return 0.7 * np.prod(np.exp(-np.array(costs))) + 0.3 * np.sum(whole - costs) / np.sum(whole)


def process() -> GaussianProcess:
    return GaussianProcess(Layout([AgentSpec("a", tuple(NVEC.tolist()), 1, ordered=tuple(ORDERED.tolist()))]))


def test_the_kernel_is_the_mixture_that_its_formula_says() -> None:
    kernel, x, y = DecisionKernel(NVEC, ORDERED), joint(12), joint(7, seed=2)
    expected = np.array([[by_hand(a, b) for b in y] for a in x])
    np.testing.assert_allclose(kernel.matrix(kernel.features(x), kernel.features(y), WEIGHTS), expected, rtol=1e-12)
    factors, terms = kernel.factors(WEIGHTS), kernel.terms(WEIGHTS)
    for a, b, value in zip(x, y, expected.diagonal(), strict=False):
        parts = [[table[d, a[d], b[d]] for d in range(5)] for table in (factors, terms)]
        assert 0.7 * np.prod(parts[0]) + 0.3 * np.sum(parts[1]) == pytest.approx(value, rel=1e-12)
    assert factors[3, 2:].sum() == terms[3, 2:].sum() == 0, "choices that do not exist"


def test_both_parts_are_covariances() -> None:
    kernel, x = DecisionKernel(NVEC, ORDERED), joint(80)
    features = kernel.features(x)
    for share in (0.0, 1.0):
        matrix = kernel.matrix(features, features, replace(WEIGHTS, additive=share))
        np.testing.assert_allclose(matrix.diagonal(), 1.0)
        assert np.linalg.eigvalsh(matrix).min() > -1e-10


def test_a_near_choice_of_an_ordered_decision_is_more_alike_than_a_far_one() -> None:
    kernel = DecisionKernel(NVEC, ORDERED)
    for tables in (kernel.factors(WEIGHTS), kernel.terms(WEIGHTS)):
        assert tables[0, 0, 1] > tables[0, 0, 2] > tables[0, 0, 3]
        assert tables[1, 0, 1] == tables[1, 0, 2]


@pytest.mark.parametrize(("kernel", "share"), [("product", 0.0), ("additive", 1.0)])
def test_a_part_alone_keeps_its_share(kernel, share: float) -> None:
    gp = GaussianProcess(Layout([AgentSpec("a", tuple(NVEC.tolist()), 1)]), kernel=kernel)
    gp.learn(joint(20), np.random.default_rng(0).normal(size=20), 3)
    assert gp.weights.additive == share


def test_two_hundred_results_determine_eighty_main_effects() -> None:
    """A function without interactions of 80 decisions: the mixture predicts new pipelines better than the product."""
    rng, layout = np.random.default_rng(0), Layout([AgentSpec("a", (4,) * 80, 1)])
    effects, x, new = rng.normal(size=(80, 4)), layout.uniform(200, rng), layout.uniform(200, rng)
    seen, hidden = (effects[np.arange(80), rows].sum(axis=1) for rows in (x, new))
    errors = {}
    for kernel in ("mixed", "product"):
        gp = GaussianProcess(layout, kernel=kernel)
        gp.learn(x, seen, 40)
        errors[kernel] = np.mean((gp.condition(x, seen).predict(new)[0] - hidden) ** 2)
    assert errors["mixed"] < errors["product"]


def test_the_posterior_is_that_of_scikit_learn() -> None:
    gp, x, new = process(), joint(30), joint(9, seed=3)
    y = np.random.default_rng(4).normal(size=30)
    posterior = gp.condition(x, y)
    features = gp.kernel.features(np.concatenate([x, new]))
    matrix = gp.kernel.matrix(features, features, gp.weights)
    theirs = GaussianProcessRegressor(Precomputed(matrix), alpha=gp.weights.noise + 1e-8, optimizer=None)
    theirs.fit(np.arange(30)[:, None], y - y.mean())
    mean, deviation = theirs.predict(np.arange(30, 39)[:, None], return_std=True)
    ours, spread = posterior.predict(new)
    np.testing.assert_allclose(ours, mean + y.mean(), atol=1e-9)
    np.testing.assert_allclose(spread, deviation * np.sqrt(posterior.scale), atol=1e-7)
    np.testing.assert_allclose(posterior.fitted(), posterior.predict(x)[0])


def test_the_gradient_of_the_marginal_likelihood_is_that_of_finite_differences() -> None:
    gp, x = process(), joint(20)
    features, y = gp.kernel.features(x), np.random.default_rng(5).normal(size=20)
    gp.logs = gp.logs + np.random.default_rng(6).normal(size=len(gp.logs))
    _, gradient = gp.log_density(features, y)
    base, step = gp.logs.copy(), 1e-5
    for index in range(len(base)):
        values = []
        for sign in (1, -1):
            gp.logs = base + sign * step * (np.arange(len(base)) == index)
            values.append(gp.log_density(features, y)[0])
        assert gradient[index] == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-6)


def test_the_log_density_is_that_of_the_multivariate_normal_with_the_best_scale() -> None:
    gp, x = process(), joint(15)
    features, y = gp.kernel.features(x), np.random.default_rng(7).normal(size=15)
    covariance = gp.kernel.matrix(features, features, gp.weights) + (gp.weights.noise + 1e-8) * np.eye(15)
    centered = y - y.mean()
    scale = centered @ np.linalg.solve(covariance, centered) / 15
    exact = -0.5 * np.linalg.slogdet(scale * covariance)[1]
    assert gp.log_density(features, y)[0] == pytest.approx(exact), "at the medians of the prior"


def test_learning_finds_the_decision_that_matters() -> None:
    gp, x = process(), joint(60)
    y = normal_scores(np.where(x[:, 1] == 2, 1.0, 0.0) + 0.01 * np.random.default_rng(8).normal(size=60))
    features = gp.kernel.features(x)
    before = gp.log_density(features, y)[0]
    gp.learn(x, y, 60)
    assert gp.log_density(features, y)[0] > before
    assert gp.weights.different.argmax() == 1


def test_a_restored_process_goes_on_alike() -> None:
    first, x = process(), joint(20)
    y = np.random.default_rng(10).normal(size=20)
    first.learn(x, y, 4)
    second = process()
    second.load_state_dict(first.state_dict())
    for gp in (first, second):
        gp.learn(x, y, 3)
    assert np.array_equal(first.logs, second.logs)


def test_normal_scores_share_the_rank_of_equal_rewards() -> None:
    np.testing.assert_allclose(normal_scores(np.array([3.0, 1.0, 1e9])), norm.ppf([0.5, 1 / 6, 5 / 6]), atol=1e-12)
    np.testing.assert_allclose(normal_scores(np.ones(4)), np.zeros(4), atol=1e-12)


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.3, 0.5, 0.1), (-1.0, 0.7, 0.4), (2.0, 0.1, 0.0)])
def test_expected_improvement_is_its_integral(mean: float, deviation: float, best: float) -> None:
    exact, _ = quad(lambda f: (f - best) * norm.pdf(f, mean, deviation), best, mean + 12 * deviation + abs(best))
    assert expected_improvement(np.array([mean]), np.array([deviation]), best)[0] == pytest.approx(exact, rel=1e-6)


def test_expected_improvement_is_never_negative() -> None:
    assert expected_improvement(np.array([-40.0]), np.array([0.1]), 0.0)[0] == 0.0


def test_pipelines_without_a_conditional_decision_agree_on_it() -> None:
    """Decision 1 is active only under choice 1 of decision 0."""
    gp = GaussianProcess(Layout([AgentSpec("a", (2, 3), 1, active=((), ((0, (1,)),)))]))
    rows = np.array([[0, 0], [0, 0], [1, 0], [1, 1]])
    features = gp.features(rows)
    exponent, w = gp.kernel.exponent(features, features, gp.weights), gp.weights.different
    assert exponent[0, 1] == pytest.approx(0.0)
    assert exponent[0, 2] == pytest.approx(w.sum()), "absent is not the first choice"
    assert exponent[2, 3] == pytest.approx(w[1])
