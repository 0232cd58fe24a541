"""Random tabular three-agent games, small enough to enumerate."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.learner import AgentSpec

SIZES = (4, 5, 3)
SPECS = tuple(AgentSpec(name, (size,), 3) for name, size in zip(("aug", "nas", "hpo"), SIZES, strict=True))


@dataclass
class Game:
    """A table of rewards, a policy and a target of every agent, in float64."""

    rewards: Tensor
    logits: list[Tensor]
    target_logits: list[Tensor]
    joint: Tensor

    @property
    def log_pi(self) -> Tensor:
        """log pi_i(A_i) of every joint action, shape (60, 3)."""
        return self.log_of(self.logits)

    @property
    def log_rho(self) -> Tensor:
        """log rho_i(A_i) of every joint action, shape (60, 3)."""
        return self.log_of(self.target_logits)

    @property
    def probs(self) -> Tensor:
        """pi(A) of every joint action, shape (60,)."""
        return self.log_pi.sum(dim=1).exp()

    @property
    def kl(self) -> Tensor:
        """KL(pi_i || rho_i), exact, shape (3,)."""
        pairs = zip(self.logits, self.target_logits, strict=True)
        return torch.stack([(p.softmax(0) * (p.log_softmax(0) - r.log_softmax(0))).sum() for p, r in pairs])

    def log_of(self, logits: list[Tensor]) -> Tensor:
        """Log-probabilities of every joint action under policies, shape (60, 3)."""
        return torch.stack([row.log_softmax(0)[self.joint[:, i]] for i, row in enumerate(logits)], dim=1)

    def value_of(self, joint: Tensor) -> Tensor:
        """Q of joint actions, shape (B, 3) to (B,)."""
        return self.rewards[tuple(joint.T)]


def random_game(seed: int) -> Game:
    """A game drawn from a seed."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    joint = torch.tensor(list(itertools.product(*map(range, SIZES))))
    logits = [draw(size).requires_grad_() for size in SIZES]
    return Game(draw(*SIZES), logits, [draw(size) for size in SIZES], joint)


def layout() -> Layout:
    """The layout of such a game."""
    return Layout(SPECS)
