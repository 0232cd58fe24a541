"""Costs of joint actions before evaluation, and the choice of those within bounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.new_proposals import Joint, NewProposals
from ma2ml_agents.learner import CostFunction

REDRAWS = 50
"""Rounds of rejection sampling before the cheapest draw is used."""


class Feasibility:
    """Upper bounds on the cost of a pipeline, checked before evaluation; without `cost` everything is feasible.

    Args:
        layout: the decisions.
        cost: FLOPs and parameters of joint actions; None if unknown.
        max_flops: multiply-accumulates of one image at most; None for no bound.
        max_params: trainable parameters at most; None for no bound.
    """

    def __init__(
        self,
        layout: Layout,
        cost: CostFunction | None = None,
        *,
        max_flops: float | None = None,
        max_params: float | None = None,
    ) -> None:
        self._layout = layout
        self._cost = cost
        self._bounds = np.array([np.inf if bound is None else bound for bound in (max_flops, max_params)])

    @property
    def priced(self) -> bool:
        """True if costs are known."""
        return self._cost is not None

    def costs(self, joint: Joint) -> NDArray[np.float64]:
        """FLOPs and parameters of canonical joint actions, shape (n, D) to (n, 2).

        Raises:
            RuntimeError: if costs are not known.
        """
        if self._cost is None:
            raise RuntimeError("costs are not known; ask `priced` first")
        return np.stack(self._cost(self._layout.split(joint)), axis=1)

    @property
    def bounded(self) -> bool:
        """True if a bound may exclude pipelines."""
        return self.priced and bool(np.isfinite(self._bounds).any())

    def excess(self, joint: Joint) -> NDArray[np.float64]:
        """Largest cost relative to its bound, above 1 for infeasible joint actions, shape (n, D) to (n,)."""
        if not self.bounded or not len(joint):
            return np.zeros(len(joint))
        relative: NDArray[np.float64] = (self.costs(joint) / self._bounds).max(axis=1)
        return relative

    def admits(self, joint: Joint) -> NDArray[np.bool_]:
        """Mask of the joint actions within bounds, shape (n, D) to (n,)."""
        return self.excess(joint) <= 1.0

    def draw(self, sample: Callable[[int], Joint], rows: int) -> Joint:
        """Feasible joint actions by rejection sampling; after many rounds the cheapest draws, shape (rows, D).

        Args:
            sample: function from a number of rows to as many joint actions.
            rows: number of joint actions.
        """
        drawn = sample(rows)
        if not self.bounded:
            return drawn
        excess = self.excess(drawn)
        for _ in range(REDRAWS):
            over = np.flatnonzero(excess > 1.0)
            if not len(over):
                break
            again = sample(rows)[over]
            cheaper = self.excess(again)
            better = cheaper < excess[over]
            drawn[over[better]], excess[over[better]] = again[better], cheaper[better]
        return drawn


class Bounded:
    """Base class of learners whose `proposals`, of decisions in `layout`, are kept within bounds on cost."""

    layout: Layout
    proposals: NewProposals

    def use_cost(self, cost: CostFunction, *, max_flops: float | None = None, max_params: float | None = None) -> None:
        """Keeps all proposals within bounds."""
        self.feasibility = Feasibility(self.layout, cost, max_flops=max_flops, max_params=max_params)
        if self.feasibility.bounded:
            self.proposals.restrict(self.feasibility.admits)
