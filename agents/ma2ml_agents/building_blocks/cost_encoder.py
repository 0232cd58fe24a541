"""Accuracy predictor whose architecture encoder is pretrained to predict costs, as in NARS."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ma2ml_agents.building_blocks.feasibility import Feasibility
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.predictors import perceptron

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EncoderFitting:
    """Settings of a fit.

    Attributes:
        hidden_size: units in each layer of the encoder, and in the accuracy head.
        epochs: passes over the data; the encoder is frozen in the first half where it is pretrained.
        batch_size: rows per gradient step.
        learning_rate: learning rate of Adam; halved in the second half of the epochs.
        weight_decay: weight decay of AdamW.
    """

    hidden_size: int = 128
    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.1


class CostEncoderPredictor(nn.Module):
    """z = Enc(architecture); a proxy head z -> costs; an accuracy head (z, other decisions) -> reward.

    Args:
        architecture: mask of the inputs that the encoder reads, shape (F,).
        fitting: settings.
        seed: seed of initial weights and data order; the global random state is neither read nor changed.

    Source: Dai et al., "FBNetV3: Joint Architecture-Recipe Search using Predictor Pretraining".
    """

    def __init__(self, architecture: NDArray[np.bool_], fitting: EncoderFitting, seed: int) -> None:
        super().__init__()
        self._fitting = fitting
        self._architecture = torch.from_numpy(np.flatnonzero(architecture))
        self._others = torch.from_numpy(np.flatnonzero(~architecture))
        self._generator = torch.Generator().manual_seed(seed)
        hidden = fitting.hidden_size
        self.encoder = perceptron((len(self._architecture), hidden, hidden), self._generator)
        self.proxy = perceptron((hidden, 2), self._generator)
        self.accuracy = perceptron((hidden + len(self._others), hidden, 1), self._generator)
        self._center, self._spread = 0.0, 1.0
        self.pretrained = False

    def encode(self, inputs: Tensor) -> Tensor:
        """z, shape (n, F) to (n, hidden_size)."""
        encoded: Tensor = F.relu(self.encoder(inputs[:, self._architecture]))
        return encoded

    def forward(self, inputs: Tensor) -> Tensor:
        """Standardized rewards, shape (n, F) to (n,)."""
        head = torch.cat([self.encode(inputs), inputs[:, self._others]], dim=1)
        value: Tensor = self.accuracy(head).squeeze(-1)
        return value

    def pretrain(self, inputs: Floats, costs: Floats) -> float:
        """Fits encoder and proxy head to standardized logarithms of costs.

        Args:
            inputs: shape (n, F).
            costs: FLOPs and parameters, at least 0, shape (n, 2).

        Returns:
            Huber loss of the last gradient step.
        """
        logs = np.log(np.maximum(costs, 1.0))
        targets = (logs - logs.mean(axis=0)) / np.maximum(logs.std(axis=0), 1e-12)
        data, wanted, loss = _tensor(inputs), _tensor(targets), torch.zeros(())
        optimizer = self._optimizer([self.encoder, self.proxy], self._fitting.learning_rate)
        for rows in self._batches(len(data), self._fitting.epochs // 6 + 1):
            loss = F.huber_loss(self.proxy(self.encode(data[rows])), wanted[rows])
            _step(optimizer, loss)
        self.pretrained = True
        return float(loss.detach())

    def fit(self, inputs: Floats, rewards: Floats) -> None:
        """Fits to standardized rewards: the accuracy head first, then everything at half the rate.

        Args:
            inputs: shape (n, F), n at least 1.
            rewards: shape (n,).
        """
        self._center, self._spread = float(rewards.mean()), max(float(rewards.std()), 1e-12)
        data, wanted = _tensor(inputs), _tensor((rewards - self._center) / self._spread)
        first = [self.accuracy] if self.pretrained else [self.accuracy, self.encoder]
        rate, half = self._fitting.learning_rate, self._fitting.epochs // 2
        phases = ((first, rate, half), ([self.accuracy, self.encoder], rate / 2, self._fitting.epochs - half))
        for modules, learning_rate, epochs in phases:
            optimizer = self._optimizer(modules, learning_rate)
            for rows in self._batches(len(data), epochs):
                _step(optimizer, F.huber_loss(self(data[rows]), wanted[rows]))

    @torch.no_grad()
    def predict(self, inputs: Floats) -> Floats:
        """Predicted rewards, shape (n, F) to (n,)."""
        values: Floats = self(_tensor(inputs)).double().numpy() * self._spread + self._center
        return values

    def _optimizer(self, modules: list[nn.Sequential], rate: float) -> torch.optim.Optimizer:
        parameters = itertools.chain.from_iterable(module.parameters() for module in modules)
        return torch.optim.AdamW(list(parameters), lr=rate, weight_decay=self._fitting.weight_decay, fused=True)

    def _batches(self, rows: int, epochs: int) -> Iterator[Tensor]:
        for _ in range(epochs):
            yield from torch.split(torch.randperm(rows, generator=self._generator), self._fitting.batch_size)


def decisions_with_cost(feasibility: Feasibility, layout: Layout, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mask of decisions whose agent affects the cost, found by varying one agent at a time.

    Args:
        feasibility: costs of joint actions.
        layout: the decisions.
        rng: draws the joint actions that are compared.

    Returns:
        Shape (D,); all True where costs are not known, or no agent was found.
    """
    everything = np.ones(len(layout), dtype=bool)
    if not feasibility.priced:
        return everything
    base, other = layout.uniform(8, rng), layout.uniform(8, rng)
    found = np.zeros_like(everything)
    for agent in np.unique(layout.owner):
        mine = layout.owner == agent
        pair = [feasibility.costs(layout.canonical(joint)) for joint in (base, np.where(mine, other, base))]
        found |= mine & bool((pair[0] != pair[1]).any())
    return found if found.any() else everything


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(values).float()


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    optimizer.step()
