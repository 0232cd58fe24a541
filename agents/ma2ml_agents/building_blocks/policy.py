"""Policies pi_i(A_i | S_i) of all agents: sampling, log-probabilities and divergences."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.losses import polyak_average
from ma2ml_env.errors import MA2MLError

PolicyName = Literal["independent", "lstm"]


class JointPolicy(nn.Module, ABC):
    """Product of N policies, pi(A | S) = prod_i pi_i(A_i | S_i), over D decisions.

    Inactive decisions are not made: joint actions are canonical, with index 0 there, and probabilities, divergences and
    entropies are those of the active decisions.

    The observation S_i never changes in these games, so it is a bias of the networks.

    Args:
        layout: the decisions, and the policy that makes each.

    Source: MA2ML's joint policy.
    """

    membership: Tensor
    nvec: Tensor
    padded: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._layout = layout
        owner = torch.from_numpy(layout.owner)
        self.register_buffer("membership", F.one_hot(owner, layout.policies).float(), persistent=False)
        self.register_buffer("nvec", torch.from_numpy(layout.nvec), persistent=False)
        padded = torch.arange(int(layout.nvec.max())) >= torch.from_numpy(layout.nvec)[:, None]
        self.register_buffer("padded", padded, persistent=False)

    @abstractmethod
    def sample(self, rows: int, generator: torch.Generator) -> Tensor:
        """Draws joint actions, shape (rows, D), without gradients."""

    @abstractmethod
    def log_probs(self, actions: Tensor) -> Tensor:
        """Log-probabilities of every choice, given the earlier decisions in `actions`.

        Args:
            actions: shape (B, D).

        Returns:
            In nats, shape (B, D, n) with n the most choices of any decision, or (1, D, n) if they depend on no
            earlier decision. Choices that do not exist have a very low, finite value.
        """

    def active(self, actions: Tensor) -> Tensor:
        """Mask of the active decisions of joint actions, shape (B, D), bool."""
        return torch.from_numpy(self._layout.active(actions.numpy()))

    def canonical(self, actions: Tensor) -> Tensor:
        """Joint actions with index 0 for inactive decisions, shape (B, D)."""
        return torch.from_numpy(self._layout.canonical(actions.numpy()))

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-probability of each agent's action, in nats, differentiable.

        Args:
            actions: shape (B, D).

        Returns:
            Shape (B, N).
        """
        log_probs = self.log_probs(actions).expand(len(actions), -1, -1)
        return self._by_policy(log_probs.gather(2, actions[:, :, None]).squeeze(2), actions)

    def kl(self, other: JointPolicy, actions: Tensor) -> Tensor:
        """KL(pi_i || rho_i) of each agent from another policy, in nats.

        Args:
            other: rho, of the same kind.
            actions: samples of this policy, shape (B, D). The divergence of each decision is exact; where it, or
                whether it is active, depends on earlier decisions it is averaged over the samples.

        Returns:
            Shape (N,), at least 0.
        """
        log_pi, log_rho = self.log_probs(actions), other.log_probs(actions)
        return self._by_policy((log_pi.exp() * (log_pi - log_rho)).sum(dim=2), actions).mean(dim=0)

    def entropy(self, actions: Tensor) -> Tensor:
        """Entropy of each agent's policy, in nats, shape (N,), differentiable; `actions` as in `kl`."""
        log_pi = self.log_probs(actions)
        return -self._by_policy((log_pi.exp() * log_pi).sum(dim=2), actions).mean(dim=0)

    def frozen_copy(self) -> JointPolicy:
        """Copy of the policy without gradients."""
        return copy.deepcopy(self).requires_grad_(False)

    @torch.no_grad()
    def follow(self, source: JointPolicy, rate: float) -> None:
        """Moves the parameters toward those of another policy, by Polyak averaging."""
        for mine, theirs in zip(self.parameters(), source.parameters(), strict=True):
            mine.copy_(polyak_average(mine, theirs, rate))

    def _by_policy(self, per_decision: Tensor, actions: Tensor) -> Tensor:
        """Sums over the active decisions of each policy, shape (B, D) to (B, N)."""
        if self._layout.conditional:
            per_decision = per_decision * self.active(actions)
        return per_decision @ self.membership.to(per_decision.dtype)


class IndependentPolicy(JointPolicy):
    """One softmax per decision, uniform at first; the simplest policy of the product form.

    Args:
        layout: the decisions.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.logits = nn.Parameter(torch.zeros(len(layout), int(layout.nvec.max())))

    @torch.no_grad()
    def sample(self, rows: int, generator: torch.Generator) -> Tensor:
        """Draws joint actions, shape (rows, D), without gradients."""
        return self.canonical(sample_categorical(self._table().exp(), rows, generator))

    def log_probs(self, actions: Tensor) -> Tensor:
        """Log-probabilities of every choice, shape (1, D, n); they do not depend on `actions`."""
        return self._table()[None]

    @torch.no_grad()
    def probabilities(self) -> Tensor:
        """Probability of every choice, padded with 0, float64, shape (D, n)."""
        return self._table().exp().double()

    @torch.no_grad()
    def set_probabilities(self, probabilities: Tensor) -> None:
        """Sets the probabilities of every choice, padded with 0, shape (D, n)."""
        self.logits.copy_(probabilities.clamp(min=1e-12).log())

    @torch.no_grad()
    def restart(self, policy: int) -> None:
        """Makes one agent's policy uniform again."""
        self.logits[self.membership[:, policy] > 0] = 0.0

    def _table(self) -> Tensor:
        return masked_log_softmax(self.logits, self.padded)


class LSTMPolicy(JointPolicy):
    """One autoregressive LSTM per agent, which reads the previous choice and outputs the softmax of the next.

    Args:
        layout: the decisions.
        generator: draws the initial weights.
        hidden_size: units of the one layer.
        embedding_size: length of a choice's embedding.

    Source: the controllers of NASNet and AutoAugment, with weights from U(-0.1, 0.1).
    """

    def __init__(
        self, layout: Layout, generator: torch.Generator, hidden_size: int = 100, embedding_size: int = 32
    ) -> None:
        super().__init__(layout)
        self._columns = [torch.from_numpy(layout.columns(i)) for i in range(layout.policies)]
        most = int(layout.nvec.max())
        self.embeddings = nn.Parameter(torch.empty(len(layout), most, embedding_size))
        self.starts = nn.Parameter(torch.empty(layout.policies, embedding_size))
        self.lstms = nn.ModuleList(
            nn.LSTM(embedding_size, hidden_size, batch_first=True, device="meta").to_empty(device="cpu")
            for _ in range(layout.policies)
        )
        self.heads = nn.Parameter(torch.empty(len(layout), hidden_size, most))
        self.head_biases = nn.Parameter(torch.empty(len(layout), 1, most))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1, generator=generator)

    @torch.no_grad()
    def sample(self, rows: int, generator: torch.Generator) -> Tensor:
        """Draws joint actions, shape (rows, D), without gradients."""
        actions = torch.zeros((rows, len(self.nvec)), dtype=torch.int64)
        for lstm, start, columns in zip(self.lstms, self.starts, self._columns, strict=True):
            state, read = None, start.expand(rows, 1, -1)
            for column in columns.tolist():
                output, state = lstm(read, state)
                scores = torch.addmm(self.head_biases[column], output[:, 0], self.heads[column])
                probs = masked_log_softmax(scores, self.padded[column]).exp()
                actions[:, column] = sample_categorical(probs, 1, generator)[0]
                actions = self.canonical(actions)
                read = self.embeddings[column, actions[:, column], None]
        return actions

    def log_probs(self, actions: Tensor) -> Tensor:
        """Log-probabilities of every choice given the agent's earlier ones in `actions`, shape (B, D, n)."""
        scores = []
        for lstm, start, columns in zip(self.lstms, self.starts, self._columns, strict=True):
            chosen = self.embeddings[columns[:-1], actions[:, columns[:-1]]]
            outputs, _ = lstm(torch.cat([start.expand(len(actions), 1, -1), chosen], dim=1))
            scores.append(torch.baddbmm(self.head_biases[columns], outputs.transpose(0, 1), self.heads[columns]))
        return masked_log_softmax(torch.cat(scores).transpose(0, 1), self.padded)


def make_policy(name: str, layout: Layout, generator: torch.Generator) -> JointPolicy:
    """Returns a policy by name.

    Args:
        name: `"independent"` or `"lstm"`.
        layout: the decisions.
        generator: draws the initial weights.

    Raises:
        ValueError: for another name.
    """
    if name == "independent":
        return IndependentPolicy(layout)
    if name == "lstm":
        return LSTMPolicy(layout, generator)
    raise MA2MLError(f"unknown policy {name!r}; choose from {list(get_args(PolicyName))}")


def independent(policy: JointPolicy) -> IndependentPolicy:
    """Returns the policy itself, where its decisions are independent.

    Raises:
        TypeError: for another kind.
    """
    if not isinstance(policy, IndependentPolicy):
        raise TypeError(f"this needs independent decisions, not a {type(policy).__name__}")
    return policy


def masked_log_softmax(scores: Tensor, padded: Tensor) -> Tensor:
    """Log-softmax over the last dimension, where the padded entries get a very low, finite value."""
    return F.log_softmax(scores.masked_fill(padded, -1e9), dim=-1)


def sample_categorical(probs: Tensor, rows: int, generator: torch.Generator) -> Tensor:
    """Draws from many categorical distributions at once, by inverting their cumulative distributions.

    Args:
        probs: each row sums to 1, shape (D, n).
        rows: number of draws from each.
        generator: the only source of randomness.

    Returns:
        Shape (rows, D), integers of probability above 0.
    """
    cumulative = probs.cumsum(dim=1)
    cumulative = cumulative / cumulative[:, -1:]
    uniform = torch.rand((len(probs), rows), generator=generator, dtype=probs.dtype)
    return torch.searchsorted(cumulative, uniform, right=True).T.contiguous()
