"""Joint actions as rows of integers: all agents' decisions, concatenated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.learner import Actions, AgentSpec, Observations
from ma2ml_env.errors import MA2MLError


class Layout:
    """Layout of all agents' decisions in the joint action, a row of D integers.

    Args:
        specs: the agents, in order.
        single_agent: whether one policy makes all decisions, as if there were a single agent; MA2ML's baseline.
        decision_agents: whether each decision has a policy of its own, as if it were an agent.

    Attributes:
        nvec: choices per decision, shape (D,).
        owner: index of the policy that makes each decision, shape (D,), values in 0..N-1.
        policies: N, the number of policies: one per agent, or 1, or D.
        ordered: mask of decisions whose choices are monotone numbers, shape (D,), bool.
        conditions: activation conditions: (decision, earlier decision, mask over the choices of the latter).
        conditional: whether any decision can be inactive.

    Raises:
        ValueError: if there is no agent, or two have the same name, or decisions are to be both one and many agents.
    """

    def __init__(
        self, specs: Sequence[AgentSpec], *, single_agent: bool = False, decision_agents: bool = False
    ) -> None:
        if single_agent and decision_agents:
            raise MA2MLError("decisions cannot be a single agent and agents of their own; drop one of the two")
        names = [spec.name for spec in specs]
        if not names or len(set(names)) < len(names):
            raise MA2MLError(f"a learner needs at least one agent, each with a name of its own, not {names}")
        sizes = [len(spec.nvec) for spec in specs]
        ends = np.cumsum(sizes)
        self._slices = {n: slice(end - size, end) for n, end, size in zip(names, ends.tolist(), sizes, strict=True)}
        self.nvec: NDArray[np.int64] = np.concatenate([np.array(spec.nvec, dtype=np.int64) for spec in specs])
        owner = np.arange(sum(sizes)) if decision_agents else np.repeat(np.arange(len(specs)), sizes)
        self.owner: NDArray[np.int64] = np.zeros_like(owner) if single_agent else owner
        self.policies = 1 if single_agent else sum(sizes) if decision_agents else len(specs)
        self.ordered: NDArray[np.bool_] = np.concatenate([spec.ordered or [False] * len(spec.nvec) for spec in specs])
        self._specs = tuple(specs)
        self.conditions: list[tuple[int, int, NDArray[np.bool_]]] = [
            (place + start, parent + start, np.isin(np.arange(spec.nvec[parent]), allowed))
            for spec, start in zip(specs, (ends - sizes).tolist(), strict=True)
            for place, condition in enumerate(spec.active)
            for parent, allowed in condition
        ]
        self.conditional = bool(self.conditions)

    def __len__(self) -> int:
        return len(self.nvec)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Offset of each decision's choices among all choices, shape (D,)."""
        return np.cumsum(self.nvec) - self.nvec

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the D decisions, `agent.decision`; the decision's index in the agent where it is unnamed."""
        return tuple(f"{s.name}.{name}" for s in self._specs for name in s.decisions or range(len(s.nvec)))

    @cached_property
    def choices(self) -> tuple[tuple[Any, ...], ...]:
        """Values of the D decisions' choices; their indices where values are not known."""
        return tuple(values for s in self._specs for values in s.choices or (tuple(range(n)) for n in s.nvec))

    def columns(self, policy: int) -> NDArray[np.int64]:
        """The decisions that a policy makes, in order."""
        return np.flatnonzero(self.owner == policy)

    def active(self, joint: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask of the active decisions of joint actions, shape (B, D) to (B, D)."""
        active = np.ones(joint.shape, dtype=np.bool_)
        for place, parent, allows in self.conditions:
            active[:, place] &= active[:, parent] & allows[joint[:, parent]]
        return active

    def canonical(self, joint: NDArray[np.int64]) -> NDArray[np.int64]:
        """Canonical form of joint actions, with index 0 for inactive decisions, shape (B, D) to (B, D)."""
        return np.where(self.active(joint), joint, 0) if self.conditional else joint

    def split(self, joint: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """Canonical actions of each agent, shape (B, D) to {agent: (B, K_i)}."""
        joint = self.canonical(joint)
        return {name: joint[:, where].copy() for name, where in self._slices.items()}

    def join(self, actions: Actions) -> NDArray[np.int64]:
        """Inverse of `split`, for canonical actions.

        Raises:
            ValueError: if an agent is missing or the shapes do not fit.
        """
        missing = [name for name in self._slices if name not in actions]
        if missing:
            raise MA2MLError(f"actions of {missing} are missing; given: {list(actions)}")
        joint = np.concatenate([np.asarray(actions[name], dtype=np.int64) for name in self._slices], axis=1)
        if joint.shape[1] != len(self):
            raise MA2MLError(f"a joint action has {len(self)} decisions, not {joint.shape[1]}")
        return joint

    def uniform(self, rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Joint actions with uniform decisions, canonical, shape (rows, D)."""
        return self.canonical(rng.integers(self.nvec, size=(rows, len(self))))


def rows_of(observations: Observations) -> int:
    """Number of requested joint actions: B, the common length of all observations.

    Raises:
        ValueError: if the agents' observations differ in length, or there are none.
    """
    lengths = {agent: len(observation) for agent, observation in observations.items()}
    if len(set(lengths.values())) != 1:
        raise MA2MLError(f"every agent needs the same number of observations, at least one agent; given: {lengths}")
    return next(iter(lengths.values()))
