"""Replay buffer of all transitions of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ma2ml_env.errors import MA2MLError

FIRST_CAPACITY = 256


class Replay:
    """Unbounded replay buffer of transitions <S, A, R>, in order; S is constant and not stored.

    Its capacity doubles when it is full, so that adding takes amortized constant time.

    Args:
        decisions: D, the length of a joint action.

    Source: MA2ML's replay buffer.
    """

    def __init__(self, decisions: int) -> None:
        self._actions = torch.zeros((FIRST_CAPACITY, decisions), dtype=torch.int32)
        self._rewards = torch.zeros((FIRST_CAPACITY,), dtype=torch.float64)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def actions(self) -> Tensor:
        """Joint actions, shape (n, D), int32: a view, not a copy."""
        return self._actions[: self._length]

    @property
    def rewards(self) -> Tensor:
        """Rewards as received, float64, shape (n,): a view, not a copy."""
        return self._rewards[: self._length]

    def add(self, actions: Tensor, rewards: Tensor) -> None:
        """Appends B transitions.

        Args:
            actions: shape (B, D).
            rewards: shape (B,).

        Raises:
            ValueError: if the shapes do not fit.
        """
        decisions = self._actions.shape[1]
        if actions.shape != (len(rewards), decisions):
            raise MA2MLError(
                f"{len(rewards)} transitions need actions of shape {(len(rewards), decisions)}, "
                f"not {tuple(actions.shape)}"
            )
        end = self._length + len(rewards)
        if end > len(self._rewards):
            self._grow(max(end, 2 * len(self._rewards)))
        self._actions[self._length : end] = actions
        self._rewards[self._length : end] = rewards
        self._length = end

    def state_dict(self) -> dict[str, Any]:
        """Returns its contents as views that later additions do not change, so that saving takes no memory."""
        return {"actions": self.actions, "rewards": self.rewards}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the contents from `state_dict`."""
        self._length = 0
        self.add(state["actions"], state["rewards"])

    def _grow(self, capacity: int) -> None:
        actions, rewards = self.actions, self.rewards
        self._actions = actions.new_zeros((capacity, actions.shape[1]))
        self._rewards = rewards.new_zeros((capacity,))
        self._actions[: self._length], self._rewards[: self._length] = actions, rewards
