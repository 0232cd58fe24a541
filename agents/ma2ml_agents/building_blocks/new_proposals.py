"""Deduplicated proposals: no known pipeline is proposed while a new one can be found."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ma2ml_agents.building_blocks.joint_action import Layout

GROWTH = 1.1
ENUMERABLE = 4096
"""Largest space that is enumerated to find its last new joint actions."""
COSTED = 200
"""Most candidates whose cost is computed per proposal."""
Joint = NDArray[np.int64]
Sample = Callable[[int], Joint]
"""Function from a number of rows to as many joint actions, shape (rows, D), canonical or not."""
Uniform = Callable[[tuple[int, int]], NDArray[np.floating[Any]]]
"""Function from a shape to independent uniform numbers in [0, 1)."""
Value = Callable[[Joint], NDArray[np.floating[Any]]]
"""Function from joint actions, shape (n, D), to scores, shape (n,); the highest is preferred."""

Feasible = Callable[[Joint], NDArray[np.bool_]]
"""Function from joint actions, shape (n, D), to a mask of those within bounds, shape (n,)."""


class NewProposals:
    """Draws joint actions that were neither proposed nor evaluated before.

    A known draw is replaced by the best of several new neighbors. Neighbors are fresh draws mixed with uniform
    choices: each decision is uniform with probability 1/D, the mutation rate of an evolutionary algorithm, and ten
    percent more with every round until enough are new; decisions inactive in the draw are uniform too. Once everything
    nearby is known the mixture is uniform; if that finds nothing new either, the known draw is kept. Any source of
    draws fits: a policy, mutation, a model. An infeasible draw is replaced likewise, where nothing new is feasible by a
    known joint action that is.

    Args:
        layout: the decisions.
        candidates: number of new neighbors to choose from, at least 1.
        redraws: number of fresh draws of which the first new one is taken before any neighbor, at least 0.
        enabled: whether proposals are deduplicated; otherwise draws pass through and are only recorded as pending.
    """

    def __init__(self, layout: Layout, *, candidates: int = 1, redraws: int = 0, enabled: bool = True) -> None:
        self._layout = layout
        self._candidates = candidates
        self._redraws = redraws
        self.enabled = enabled
        self._known: dict[bytes, None] = {}
        self._open: deque[Joint] = deque()
        self._feasible: Feasible | None = None

    def restrict(self, feasible: Feasible) -> None:
        """Excludes infeasible pipelines as well as known ones."""
        self._feasible = feasible

    @property
    def open(self) -> Joint:
        """Proposals without a result, in order, shape (n, D)."""
        return np.array(self._open, dtype=np.int64).reshape(-1, len(self._layout))

    def draw(self, sample: Sample, rows: int, uniform: Uniform, value: Value | None = None) -> Joint:
        """Draws joint actions and records them as proposed.

        Args:
            sample: source of the draws.
            rows: number of joint actions.
            uniform: source of randomness of the replacements.
            value: score by which a neighbor is chosen; None chooses the first.

        Returns:
            Shape (rows, D).
        """
        drawn = self._layout.canonical(sample(rows)).copy()
        for row in range(rows):
            if not self.admits(drawn[row : row + 1])[0]:
                drawn[row : row + 1] = self._replacement(drawn[row : row + 1], sample, uniform, value)
            self.remember(drawn[row : row + 1])
        return drawn

    def is_new(self, joint: Joint) -> NDArray[np.bool_]:
        """Mask of joint actions, shape (n, D), neither proposed nor evaluated; all are new if disabled."""
        return np.array([not self.enabled or name not in self._known for name in self._names(joint)], dtype=bool)

    def admits(self, joint: Joint) -> NDArray[np.bool_]:
        """Mask of joint actions, shape (n, D), that are new and feasible."""
        admitted = self.is_new(joint)
        if self._feasible is not None and admitted.any():
            admitted[admitted] = self._feasible(joint[admitted])
        return admitted

    def distinct(self, joint: Joint) -> NDArray[np.int64]:
        """Row numbers of the new joint actions among `joint`, shape (n, D), each pipeline once, in order."""
        found: dict[bytes, int] = {}
        for row, name in enumerate(self._names(joint)):
            if name not in self._known or not self.enabled:
                found.setdefault(name, row)
        return np.array(list(found.values()), dtype=np.int64)

    def first(self, joint: Joint) -> Joint:
        """First new and feasible joint action of `joint`, shape (n, D); of shape (1, D), or (0, D) without any."""
        for row in self.distinct(joint)[:COSTED].tolist():
            if self._is_feasible(joint[row]):
                return joint[[row]]
        return joint[:0]

    def remember(self, joint: Joint) -> None:
        """Records canonical joint actions, shape (n, D), as proposed."""
        self._known |= dict.fromkeys(self._names(joint))
        self._open.extend(joint.copy())

    def clear(self) -> None:
        """Forgets all joint actions, but not what is feasible."""
        self._known, self._open = {}, deque()

    def learn(self, joint: Joint) -> None:
        """Records joint actions, shape (n, D), as evaluated; they need not have been proposed here."""
        self._known |= dict.fromkeys(self._names(joint))
        for row in joint:
            if self._open and np.array_equal(self._open[0], row):
                self._open.popleft()

    def state_dict(self) -> dict[str, Any]:
        """Returns what was proposed or evaluated, if that matters, and the proposals without a result."""
        known = np.frombuffer(b"".join(self._known if self.enabled else ()), dtype=self._dtype)
        return {"known": known.reshape(-1, len(self._layout)).tolist(), "open": self.open.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the state from its `state_dict`."""
        self._open = deque(np.array(row, dtype=np.int64) for row in state["open"])
        known = np.array(state["known"], dtype=np.int64).reshape(-1, len(self._layout))
        self._known = dict.fromkeys(self._names(known))

    def _replacement(self, drawn: Joint, sample: Sample, uniform: Uniform, value: Value | None) -> Joint:
        """A new and feasible joint action in place of a known or infeasible draw, shape (1, D) as the draw."""
        if self._redraws and len(again := self.first(self._layout.canonical(sample(self._redraws)))):
            return again
        found = self._neighbors(sample, uniform)
        if not len(found) and not self._is_feasible(drawn[0]):
            found = self._neighbors(sample, uniform, known=True)
        if not len(found):
            return drawn
        return found[[0 if value is None else int(np.argmax(value(found)))]]

    def _neighbors(self, sample: Sample, uniform: Uniform, *, known: bool = False) -> Joint:
        """Distinct joint actions near the draws of `sample`, new unless `known`, at most `candidates`, shape (n, D)."""
        nvec = self._layout.nvec
        shape = (self._candidates, len(nvec))
        rate, found = 1.0 / len(nvec), dict[bytes, Joint]()
        while len(found) < self._candidates and rate < GROWTH:
            numbers = uniform(shape)
            choices = np.minimum((numbers * nvec.astype(numbers.dtype)).astype(np.int64), nvec - 1)
            changed = uniform(shape) < rate
            sampled = sample(self._candidates)
            kept = ~changed & self._layout.active(sampled)
            drawn = self._layout.canonical(np.where(kept, sampled, choices))
            found |= self._wanted(drawn, known)
            rate *= GROWTH
        if not found and math.prod(nvec.tolist()) <= ENUMERABLE:
            found = self._remaining(uniform, known)
        return np.array(list(found.values())[: self._candidates], dtype=np.int64).reshape(-1, len(nvec))

    def _remaining(self, uniform: Uniform, known: bool) -> dict[bytes, Joint]:
        """All feasible joint actions of a small space, new unless `known`, in random order."""
        every = np.stack(np.unravel_index(np.arange(math.prod(self._layout.nvec.tolist())), self._layout.nvec), axis=1)
        every = self._layout.canonical(every[uniform((1, len(every)))[0].argsort()])
        return self._wanted(every, known)

    def _wanted(self, joint: Joint, known: bool) -> dict[bytes, Joint]:
        """The feasible ones of joint actions, shape (n, D), new unless `known`, by name."""
        passes = known or not self.enabled
        return {
            name: row
            for name, row in zip(self._names(joint), joint, strict=True)
            if (passes or name not in self._known) and self._is_feasible(row)
        }

    def _is_feasible(self, row: Joint) -> bool:
        return self._feasible is None or bool(self._feasible(row[None])[0])

    def _names(self, joint: Joint) -> list[bytes]:
        """Each joint action as bytes, as few as its largest choice needs."""
        return [row.tobytes() for row in np.ascontiguousarray(joint, dtype=self._dtype)]

    @property
    def _dtype(self) -> np.dtype[Any]:
        """Smallest type of integers that holds the largest choice."""
        return np.min_scalar_type(int(self._layout.nvec.max()) - 1)
