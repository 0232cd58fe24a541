"""Proposals that are never made twice: a policy that has made up its mind goes on next to what it knows."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

import torch
from torch import Tensor

from ma2ml_agents.policy import JointPolicy

GROWTH = 1.1


class DistinctProposals:
    """Draws joint actions from policies, none of which was proposed or evaluated before.

    A draw that is known is drawn again from the policies mixed with uniform choices: each decision is uniform with
    probability 1/D, as in an evolutionary algorithm's mutation, and a tenth more with every draw until it is new. When
    everything next to the policies is known, that ends at uniform, and then a known one is taken.

    Args:
        nvec: choices per decision, shape (D,).

    Source: ours. Without it a policy that has become certain repeats one pipeline for the rest of the budget.
    """

    def __init__(self, nvec: Tensor) -> None:
        self._nvec = nvec
        self._known: set[bytes] = set()
        self._open: deque[Tensor] = deque()

    def draw(self, policy: JointPolicy, rows: int, generator: torch.Generator) -> Tensor:
        """Joint actions, shape (rows, D), remembered as proposed."""
        drawn = policy.sample(rows, generator)
        for row in range(rows):
            drawn[row] = self._new(drawn[row], policy, generator)
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

    def _new(self, action: Tensor, policy: JointPolicy, generator: torch.Generator) -> Tensor:
        decisions = len(self._nvec)
        rate = 1.0 / decisions
        while _name(action) in self._known and rate < 1.0:
            uniform = (torch.rand(decisions, generator=generator) * self._nvec).long()
            changed = torch.rand(decisions, generator=generator) < rate
            action = torch.where(changed, uniform, policy.sample(1, generator)[0])
            rate *= GROWTH
        return action


def _name(action: Tensor) -> bytes:
    """Eight bytes that stand for a joint action."""
    return hashlib.blake2b(action.long().numpy().tobytes(), digest_size=8).digest()
