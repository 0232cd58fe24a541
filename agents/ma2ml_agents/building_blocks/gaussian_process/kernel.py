"""Product kernel over decisions; each factor decreases with difference and with distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.joint_action import Layout

Joint = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KernelWeights:
    """Weights of a product kernel, all at least 0.

    Attributes:
        different: w, the cost of differing in each decision, shape (D,).
        distance: v, the cost of the whole range of each ordered decision, shape (D,); 0 for unordered ones.
        noise: variance of the noise relative to the signal's.
    """

    different: Floats
    distance: Floats
    noise: float


def with_absence(joint: Joint, layout: Layout) -> Joint:
    """Joint actions in which an inactive decision has a choice of its own, n_d, shape (n, D) to (n, D)."""
    encoded: Joint = np.where(layout.active(joint), joint, layout.nvec) if layout.conditional else joint
    return encoded


class ProductKernel:
    """k(x, y) = prod_d k_d(x_d, y_d), with k_d(c, c') = exp(-w_d [c != c'] - v_d |c - c'| / (n_d - 1)).

    The logarithm is linear in the weights and, through indicator features, bilinear in the joint actions: matrices
    of it are one product of matrices.

    Args:
        nvec: choices per decision, shape (D,).
        ordered: whether the choices of each decision are ordered, shape (D,); None for none.
    """

    def __init__(self, nvec: NDArray[np.int64], ordered: NDArray[np.bool_] | None = None) -> None:
        self.nvec = nvec
        self.ordered = (np.zeros(len(nvec), dtype=bool) if ordered is None else ordered) & (nvec > 2)
        self._offsets = np.cumsum(nvec) - nvec
        self._choices = int(nvec.sum())
        steps = np.where(self.ordered, nvec - 1, 0)
        self._step_of = np.repeat(np.arange(len(nvec)), steps)
        self._threshold = np.concatenate([np.arange(count) for count in steps.tolist()]).astype(np.int64)
        self._choice_of = np.repeat(np.arange(len(nvec)), nvec)

    def features(self, joint: Joint) -> Floats:
        """Indicators of each choice, then of each step that an ordered decision has climbed, shape (n, F).

        Args:
            joint: shape (n, D).
        """
        found = np.zeros((len(joint), self._choices + len(self._step_of)))
        found[np.arange(len(joint))[:, None], joint + self._offsets] = 1.0
        found[:, self._choices :] = joint[:, self._step_of] > self._threshold
        return found

    def matrix(self, left: Floats, right: Floats, weights: KernelWeights) -> Floats:
        """Covariances between features of shapes (n, F) and (m, F), shape (n, m)."""
        steps = weights.distance[self._step_of] / (self.nvec[self._step_of] - 1)
        scale = np.concatenate([weights.different[self._choice_of], 2.0 * steps])
        exponent = (left * scale) @ right.T
        exponent -= (left[:, self._choices :] @ steps)[:, None] + right[:, self._choices :] @ steps
        exponent -= weights.different.sum()
        covariances: Floats = np.exp(np.minimum(exponent, 0.0, out=exponent), out=exponent)
        return covariances

    def gradient(self, features: Floats, sensitivity: Floats) -> tuple[Floats, Floats]:
        """Derivatives of a function of a covariance matrix with respect to the weights.

        Args:
            features: features of the n joint actions, shape (n, F).
            sensitivity: derivative with respect to each covariance times that covariance, symmetric, shape (n, n).

        Returns:
            Derivatives with respect to `different` and `distance`, each of shape (D,).
        """
        total = sensitivity.sum()
        overlap = ((sensitivity @ features) * features).sum(axis=0)
        same = np.bincount(self._choice_of, overlap[: self._choices], minlength=len(self.nvec))
        single = features[:, self._choices :].T @ sensitivity.sum(axis=1)
        apart = 2.0 * (single - overlap[self._choices :]) / (self.nvec[self._step_of] - 1)
        far = np.bincount(self._step_of, apart, minlength=len(self.nvec))
        return same - total, -far.astype(np.float64)

    def tables(self, weights: KernelWeights) -> Floats:
        """k_d(c, c') of all decisions, padded with 0 where a choice does not exist, shape (D, n, n)."""
        choices = np.arange(int(self.nvec.max()))
        apart = np.abs(choices[:, None] - choices)
        exists = (choices < self.nvec[:, None]).astype(np.float64)
        slope = weights.distance / np.maximum(self.nvec - 1, 1)
        values = np.exp(-weights.different[:, None, None] * (apart > 0) - slope[:, None, None] * apart)
        padded: Floats = values * exists[:, :, None] * exists[:, None, :]
        return padded
