"""Every transition that the search has seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Replay:
    """All transitions <S, A, R>, in order; S never changes and is not kept.

    Args:
        decisions: D, the length of a joint action.

    Attributes:
        actions: joint actions, shape (n, D).
        rewards: as paid, float64, shape (n,).

    Source: MA2ML's replay buffer; that nothing is forgotten is ours.
    """

    def __init__(self, decisions: int) -> None:
        self.actions = torch.empty((0, decisions), dtype=torch.int64)
        self.rewards = torch.empty((0,), dtype=torch.float64)

    def __len__(self) -> int:
        return len(self.rewards)

    def add(self, actions: Tensor, rewards: Tensor) -> None:
        """Append B transitions.

        Args:
            actions: shape (B, D).
            rewards: shape (B,).

        Raises:
            ValueError: if the shapes do not fit.
        """
        if actions.shape != (len(rewards), self.actions.shape[1]):
            raise ValueError(
                f"{len(rewards)} transitions need actions of shape {(len(rewards), self.actions.shape[1])}, "
                f"not {tuple(actions.shape)}"
            )
        self.actions = torch.cat([self.actions, actions])
        self.rewards = torch.cat([self.rewards, rewards.double()])

    def state_dict(self) -> dict[str, Any]:
        """Its contents."""
        return {"actions": self.actions, "rewards": self.rewards}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the contents of another."""
        self.actions, self.rewards = state["actions"], state["rewards"]
