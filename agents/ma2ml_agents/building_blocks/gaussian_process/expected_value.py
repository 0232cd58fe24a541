"""Value of policies under a Gaussian process, in closed form: expectation, baselines, regularized ascent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.gaussian_process.kernel import Floats, Joint, with_absence
from ma2ml_agents.building_blocks.gaussian_process.process import Posterior
from ma2ml_agents.building_blocks.joint_action import Layout

SMALLEST = 1e-12


class ExpectedValue:
    """Posterior mean of Q over independent decisions, without samples.

        E_pi[Q] = mean + sum_j alpha_j [(1 - a) prod_d sum_c pi_d(c) k_d(c, x_jd) + a sum_d sum_c pi_d(c) t_d(c, x_jd)]

    with factors k_d and terms t_d of the kernel. Policies factor over decisions, so each sum over c is over the choices
    of one decision. Below a choice that deactivates other decisions, their factors and terms are those of their
    absence; product and sum become those over a forest. A decision whose condition names several others counts as a
    child of the last one.

    Policies are probabilities pi_d(c), float64, padded with 0, shape (D, n) with n the most choices of any decision.

    Args:
        layout: the decisions.
        posterior: whose mean is Q.
    """

    def __init__(self, layout: Layout, posterior: Posterior) -> None:
        self._layout, self._mean, weights = layout, posterior.mean, posterior.weights
        self._alpha = (1.0 - weights.additive) * posterior.alpha
        factors, terms = posterior.kernel.factors(weights), weights.additive * posterior.kernel.terms(weights)
        seen = with_absence(posterior.joint, layout)
        sizes = layout.nvec.tolist()
        self._kernels = [factors[d, :size, seen[:, d]].T for d, size in enumerate(sizes)]
        self._gains = [posterior.alpha @ terms[d, :size, seen[:, d]] for d, size in enumerate(sizes)]
        gates = {child: (parent, allows) for child, parent, allows in layout.conditions}
        self._roots = [d for d in range(len(layout)) if d not in gates]
        self._children: list[list[tuple[int, NDArray[np.bool_]]]] = [[] for _ in range(len(layout))]
        for child, (parent, allows) in gates.items():
            self._children[parent].append((child, allows))
        self._absent: dict[int, Floats] = {}
        self._absent_gain: dict[int, float] = {}
        for d in sorted(gates, reverse=True):
            below = [e for e, _ in self._children[d]]
            self._absent[d] = np.prod([factors[d, sizes[d], seen[:, d]], *(self._absent[e] for e in below)], axis=0)
            gain = float(posterior.alpha @ terms[d, sizes[d], seen[:, d]])
            self._absent_gain[d] = gain + sum(self._absent_gain[e] for e in below)

    def value(self, policies: Floats) -> float:
        """E_pi[Q]."""
        means = self._means(policies)
        product = float(self._alpha @ np.prod([means[d] for d in self._roots], axis=0))
        return self._mean + product + sum(self._gain(d, policies) for d in self._roots)

    def choice_values(self, policies: Floats) -> Floats:
        """Derivatives of E_pi[Q] with respect to each probability, shape (D, n); 0 where a choice does not exist.

        For a decision that is always active, their differences are those of the mean of Q with each choice made.
        """
        found = np.zeros_like(policies)
        means = self._means(policies)
        stack = [(d, outside, 1.0) for d, outside in zip(self._roots, self._outside(means), strict=True)]
        while stack:
            d, outside, reached = stack.pop()
            size = int(self._layout.nvec[d])
            found[d, :size] = self._given(d, means) @ outside + reached * self._gains_given(d, policies)
            for e, allows in self._children[d]:
                share = reached * float(policies[d, :size] @ allows)
                stack.append((e, self._inside(d, e, policies[d], means, outside), share))
        return found

    def baselines(self, policies: Floats, joint: Joint) -> Floats:
        """Counterfactual baselines of all agents.

            b_i(A_-i) = E_{A_i' ~ pi_i}[Q(A_i', A_-i)]

        Args:
            policies: as above.
            joint: actions A, shape (B, D).

        Returns:
            Shape (B, N).

        Source: MA2ML, credit assignment; the closed form is ours.
        """
        fixed = np.eye(policies.shape[1])[joint]
        mixed = [
            [np.where((self._layout.owner == agent)[:, None], policies, row) for agent in range(self._layout.policies)]
            for row in fixed
        ]
        return np.array([[self.value(tables) for tables in row] for row in mixed]).reshape(len(joint), -1)

    def ascend(self, policies: Floats, targets: Floats, kl_coef: float, sweeps: int) -> Floats:
        """Coordinate ascent of the regularized value, each decision's policy to its optimum given the others.

            J(pi) = E_pi[Q] - kl_coef KL(pi || rho),    pi_d(c) ~ rho_d(c) exp(q_d(c) / kl_coef)

        with q_d(c) the mean of Q given that the decision is active and c chosen. No step decreases J.

        Args:
            policies: pi at first.
            targets: rho, above 0 where a choice exists.
            kl_coef: weight of the divergence, above 0.
            sweeps: how often every decision is visited.

        Returns:
            The new policies.

        Source: MA2ML's off-policy objective; the closed form of its maximizer is that of relative entropy policy
        search.
        """
        policies = policies.copy()
        log_targets = np.log(np.maximum(targets, SMALLEST))
        for _ in range(sweeps):
            means = self._means(policies)
            after = self._suffixes(means)
            before = self._alpha
            for place, root in enumerate(self._roots):
                self._improve(root, before * after[place + 1], 1.0, policies, log_targets, kl_coef, means)
                before = before * means[root]
        return policies

    def _improve(
        self,
        d: int,
        outside: Floats,
        reached: float,
        policies: Floats,
        log_targets: Floats,
        kl_coef: float,
        means: list[Floats],
    ) -> None:
        """Optimize a decision and those below it; `outside` is the factor of all others, `reached` P(d is active)."""
        size = int(self._layout.nvec[d])
        below = np.zeros(size)
        for e, allows in self._children[d]:
            inside, share = self._inside(d, e, policies[d], means, outside), float(policies[d, :size] @ allows)
            if reached * share > SMALLEST:
                self._improve(e, inside, reached * share, policies, log_targets, kl_coef, means)
            below += allows * self._divergence(e, policies, log_targets)
        given = self._given(d, means)
        values = given @ outside / reached + self._gains_given(d, policies)
        scores = log_targets[d, :size] + values / kl_coef - below
        weights = np.exp(scores - scores.max())
        policies[d, :size] = weights / weights.sum()
        means[d] = policies[d, :size] @ given

    def _divergence(self, d: int, policies: Floats, log_targets: Floats) -> float:
        """KL of a decision and of those below it where it is active."""
        pi = policies[d, : self._layout.nvec[d]]
        own = float(pi @ (np.log(np.maximum(pi, SMALLEST)) - log_targets[d, : len(pi)]))
        return own + sum(
            float(pi @ allows) * self._divergence(e, policies, log_targets) for e, allows in self._children[d]
        )

    def _gain(self, d: int, policies: Floats) -> float:
        """Sum's part of a decision and of those below it, where it is active."""
        return float(policies[d, : self._layout.nvec[d]] @ self._gains_given(d, policies))

    def _gains_given(self, d: int, policies: Floats) -> Floats:
        """Sum's part of a decision and of those below it for each of its choices, shape (n_d,)."""
        found = self._gains[d]
        for e, allows in self._children[d]:
            found = found + np.where(allows, self._gain(e, policies), self._absent_gain[e])
        return found

    def _means(self, policies: Floats) -> list[Floats]:
        """Factor of each decision and of those below it where it is active, D vectors of shape (n,)."""
        means: list[Floats] = [np.empty(0)] * len(policies)
        for d in reversed(range(len(policies))):
            means[d] = policies[d, : self._layout.nvec[d]] @ self._given(d, means)
        return means

    def _given(self, d: int, means: list[Floats], without: int | None = None) -> Floats:
        """Factor of a decision and of those below it for each of its choices, shape (n_d, n)."""
        found = self._kernels[d]
        for e, allows in self._children[d]:
            if e != without:
                found = found * np.where(allows[:, None], means[e], self._absent[e])
        return found

    def _inside(self, d: int, child: int, pi: Floats, means: list[Floats], outside: Floats) -> Floats:
        """Factor of everything but a child of d, where the child is active, shape (n,)."""
        allows = dict(self._children[d])[child]
        active: Floats = outside * ((pi[: len(allows)] * allows) @ self._given(d, means, without=child))
        return active

    def _suffixes(self, means: list[Floats]) -> list[Floats]:
        """Products of the roots' factors from each root on, and 1 at the end."""
        found = [np.ones(len(self._alpha))]
        for root in reversed(self._roots):
            found.append(found[-1] * means[root])
        return found[::-1]

    def _outside(self, means: list[Floats]) -> list[Floats]:
        """For each root, alpha times the factors of the other roots."""
        after, before, found = self._suffixes(means), self._alpha, []
        for place, root in enumerate(self._roots):
            found.append(before * after[place + 1])
            before = before * means[root]
        return found
