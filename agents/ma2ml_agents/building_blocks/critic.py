"""Central critic: an ensemble that estimates the value of joint actions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.losses import critic_loss


class Critic(nn.Module):
    """Ensemble of perceptrons Q(S, A) on the one-hot joint action, evaluated in parallel.

    Each has two hidden layers. S never changes, so it is a bias.

    Args:
        layout: the decisions.
        hidden_size: H, units in a hidden layer.
        members: E, the number of critics.
        generator: draws the initial weights.

    Source: MA2ML's centralized critic on the joint action.
    """

    offsets: Tensor

    def __init__(self, layout: Layout, hidden_size: int, members: int, generator: torch.Generator) -> None:
        super().__init__()
        self.members = members
        self.choices = int(layout.nvec.sum())
        self.register_buffer("offsets", torch.from_numpy(layout.offsets), persistent=False)
        owner_of_choice = torch.from_numpy(layout.owner).repeat_interleave(torch.from_numpy(layout.nvec))
        self._sections = torch.bincount(owner_of_choice).tolist()

        def weights(*shape: int, fan_in: int) -> nn.Parameter:
            bound = 1.0 / math.sqrt(fan_in)
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))

        self.first = weights(members, self.choices, hidden_size, fan_in=len(layout))
        self.first_bias = nn.Parameter(torch.zeros(members, 1, hidden_size))
        self.second = weights(members, hidden_size, hidden_size, fan_in=hidden_size)
        self.second_bias = nn.Parameter(torch.zeros(members, 1, hidden_size))
        self.out = weights(members, hidden_size, 1, fan_in=hidden_size)
        self.out_bias = nn.Parameter(torch.zeros(members, 1))

    def one_hot(self, actions: Tensor) -> Tensor:
        """Concatenated one-hot decisions of joint actions, shape (B, D) to (B, sum of nvec)."""
        return torch.zeros(len(actions), self.choices).scatter_(1, actions + self.offsets, 1.0)

    def forward(self, one_hot: Tensor) -> Tensor:
        """Q of joint actions.

        Args:
            one_hot: from `one_hot`, shape (B, sum of nvec), or (E, B, sum of nvec) for a different input per critic.

        Returns:
            Shape (E, B).
        """
        return self._value(one_hot @ self.first)

    def replaced(self, actions: Tensor, samples: Tensor) -> Tensor:
        """Q of joint actions with one agent's action replaced, the mean over the critics.

        Each agent's contribution to the first layer is computed once and recombined.

        Args:
            actions: shape (B, D).
            samples: source of the replacement actions, shape (M, D).

        Returns:
            For each of the N agents, B joint actions and M replacements, shape (N, B, M).
        """
        size = (self.members, len(actions), len(samples))
        mine, theirs = self._parts(actions), self._parts(samples)
        total = sum(mine, torch.zeros(()))
        values = []
        for own, other in zip(mine, theirs, strict=True):
            first = (total - own)[:, :, None] + other[:, None]
            values.append(self._value(first.flatten(1, 2)).view(size).mean(dim=0))
        return torch.stack(values)

    def fit(
        self,
        optimizer: torch.optim.Optimizer,
        actions: Tensor,
        rewards: Tensor,
        *,
        steps: int,
        batch_size: int,
        generator: torch.Generator,
    ) -> float:
        """Takes gradient steps, each critic on its own random transitions.

        Args:
            optimizer: optimizer of this critic's parameters.
            actions: shape (n, D).
            rewards: standardized, shape (n,).
            steps: number of gradient steps.
            batch_size: transitions per step and critic, drawn with replacement.
            generator: draws them.

        Returns:
            The squared error of the last step, the mean over critics.
        """
        loss = torch.zeros(())
        for _ in range(steps):
            rows = torch.randint(len(rewards), (self.members, batch_size), generator=generator)
            one_hot = self.one_hot(actions[rows.flatten()]).view(self.members, batch_size, -1)
            loss = critic_loss(self(one_hot), rewards[rows])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        return float(loss.detach()) / self.members

    def _parts(self, actions: Tensor) -> list[Tensor]:
        """Contribution of each agent's action to the first layer, N tensors of shape (E, B, H)."""
        parts = torch.split(self.one_hot(actions), self._sections, dim=1)
        return [part @ own for part, own in zip(parts, torch.split(self.first, self._sections, dim=1), strict=True)]

    def _value(self, first: Tensor) -> Tensor:
        """Q from the first layer before its bias, shape (E, B, H) to (E, B)."""
        hidden = F.relu(first + self.first_bias)
        hidden = F.relu(torch.baddbmm(self.second_bias, hidden, self.second))
        return torch.bmm(hidden, self.out).squeeze(-1) + self.out_bias
