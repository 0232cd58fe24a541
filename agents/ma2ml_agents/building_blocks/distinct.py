"""Proposals that are never made twice: a policy that has made up its mind goes on next to what it knows."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ma2ml_agents.building_blocks.policy import JointPolicy

GROWTH = 1.1
Value = Callable[[Tensor], Tensor]
"""From joint actions, shape (n, D), to how promising each is, shape (n,)."""


class DistinctProposals:
    """Draws joint actions from policies, none of which was proposed or evaluated before.

    A draw that is known gives way to the most promising of several new neighbors. These are drawn from the policies
    mixed with uniform choices: each decision is uniform with probability 1/D, as in an evolutionary algorithm's
    mutation, and a tenth more with every round until there are enough; decisions that were inactive are uniform too.
    When everything next to the policies is known, that ends at uniform, and if nothing new was drawn until then, the
    known one is taken.

    Args:
        nvec: choices per decision, shape (D,).
        candidates: how many new neighbors to choose from, at least 1.

    Source: ours. Without it a policy that has become certain repeats one pipeline for the rest of the budget.
    """

    def __init__(self, nvec: Tensor, candidates: int = 1) -> None:
        self._nvec = nvec
        self._candidates = candidates
        self._known: set[bytes] = set()
        self._open: deque[Tensor] = deque()

    def draw(self, policy: JointPolicy, rows: int, generator: torch.Generator, value: Value | None = None) -> Tensor:
        """Joint actions, shape (rows, D), remembered as proposed.

        Args:
            policy: draws them.
            rows: how many.
            generator: of the draws.
            value: tells the most promising neighbor; None takes the first.
        """
        drawn = policy.sample(rows, generator)
        for row in range(rows):
            if _name(drawn[row]) in self._known:
                neighbors = self._neighbors(policy, generator)
                if neighbors:
                    drawn[row] = neighbors[0 if value is None else int(value(torch.stack(neighbors)).argmax())]
            self._known.add(_name(drawn[row]))
            self._open.append(drawn[row])
        return drawn

    def learn(self, actions: Tensor) -> None:
        """Note that joint actions, shape (B, D), were evaluated; they need not have been drawn here."""
        for action in actions:
            self._known.add(_name(action))
            if self._open and torch.equal(self._open[0], action):
                self._open.popleft()

    def state_dict(self) -> dict[str, Any]:
        """The proposals whose results are not known yet; all others are in the replay."""
        return {"open": [action.tolist() for action in self._open]}

    def load_state_dict(self, state: dict[str, Any], evaluated: Tensor) -> None:
        """Become the one whose `state_dict` this is, after the joint actions `evaluated`, shape (n, D)."""
        self._open = deque(torch.tensor(action) for action in state["open"])
        self._known = {_name(action) for action in [*evaluated, *self._open]}

    def _neighbors(self, policy: JointPolicy, generator: torch.Generator) -> list[Tensor]:
        """Different new joint actions near those that policies draw."""
        shape = (self._candidates, len(self._nvec))
        rate, found = 1.0 / len(self._nvec), dict[bytes, Tensor]()
        while len(found) < self._candidates and rate < GROWTH:
            uniform = (torch.rand(shape, generator=generator) * self._nvec).long()
            changed = torch.rand(shape, generator=generator) < rate
            sampled = policy.sample(self._candidates, generator)
            drawn = policy.canonical(torch.where(changed | ~policy.active(sampled), uniform, sampled))
            found |= {name: action for action in drawn if (name := _name(action)) not in self._known}
            rate *= GROWTH
        return list(found.values())[: self._candidates]


def _name(action: Tensor) -> bytes:
    """Eight bytes that stand for a joint action."""
    return hashlib.blake2b(action.long().numpy().tobytes(), digest_size=8).digest()
