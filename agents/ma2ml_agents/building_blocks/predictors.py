"""Ensembles of perceptrons that predict rewards from one-hot joint actions, refitted at every use."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fitting:
    """Settings of a fit.

    Attributes:
        members: E, networks in the ensemble.
        hidden_size: H, units in each of two hidden layers.
        epochs: passes over the data.
        batch_size: results per gradient step.
        learning_rate: learning rate of Adam.
        weight_decay: decoupled weight decay of AdamW.
    """

    members: int = 5
    hidden_size: int = 64
    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.1


def perceptron(sizes: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """Perceptron with rectified hidden layers, its weights drawn from a generator.

    Args:
        sizes: units of the input, of every hidden layer and of the output.
        generator: draws the weights, uniform within one over the square root of the number of inputs; biases are 0.
    """
    layers: list[nn.Module] = []
    for rows, columns in itertools.pairwise(sizes):
        layer = nn.Linear(rows, columns, device="meta").to_empty(device="cpu")
        nn.init.uniform_(layer.weight, -1.0 / math.sqrt(rows), 1.0 / math.sqrt(rows), generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Ensemble(nn.Module):
    """E perceptrons with two hidden layers of H units, evaluated in parallel.

    Args:
        inputs: F, length of an input.
        fitting: its size.
        generator: draws the initial weights.
    """

    def __init__(self, inputs: int, fitting: Fitting, generator: torch.Generator) -> None:
        super().__init__()
        members, hidden = fitting.members, fitting.hidden_size

        def weights(rows: int, columns: int) -> nn.Parameter:
            bound = 1.0 / math.sqrt(rows)
            return nn.Parameter(torch.empty(members, rows, columns).uniform_(-bound, bound, generator=generator))

        self.first, self.second, self.last = weights(inputs, hidden), weights(hidden, hidden), weights(hidden, 1)
        self.biases = nn.ParameterList(torch.zeros(members, 1, size) for size in (hidden, hidden, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Predictions for inputs of shape (n, F), or (E, n, F) for a different input per member; shape (E, n)."""
        hidden = F.relu(inputs @ self.first + self.biases[0])
        hidden = F.relu(hidden @ self.second + self.biases[1])
        outputs: Tensor = hidden @ self.last + self.biases[2]
        return outputs.squeeze(-1)


@dataclass(frozen=True)
class Predictor:
    """Fitted ensemble.

    Attributes:
        ensemble: its networks, which predict standardized rewards.
        center: mean of the rewards in its training data.
        spread: their standard deviation.
    """

    ensemble: Ensemble
    center: float
    spread: float

    @torch.no_grad()
    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation among the members, in reward units, for shape (n, F); each of shape (n,)."""
        values = self.ensemble(torch.from_numpy(inputs).float()).double() * self.spread + self.center
        return values.mean(dim=0).numpy(), values.std(dim=0, correction=0).numpy()


def fit_predictor(inputs: Floats, rewards: Floats, fitting: Fitting, seed: int) -> Predictor:
    """Fits an ensemble to standardized rewards by the mean squared error, each member in its own data order.

    Args:
        inputs: shape (n, F), n at least 1.
        rewards: shape (n,).
        fitting: settings.
        seed: seed of initial weights and data order; the global random state is neither read nor changed.
    """
    generator = torch.Generator().manual_seed(seed)
    ensemble = Ensemble(inputs.shape[1], fitting, generator)
    center, spread = float(rewards.mean()), max(float(rewards.std()), 1e-12)
    data, targets = torch.from_numpy(inputs).float(), torch.from_numpy((rewards - center) / spread).float()
    optimizer = torch.optim.AdamW(
        ensemble.parameters(), lr=fitting.learning_rate, weight_decay=fitting.weight_decay, fused=True
    )
    for _ in range(fitting.epochs):
        orders = torch.rand((fitting.members, len(data)), generator=generator).argsort(dim=1)
        for rows in torch.split(orders, fitting.batch_size, dim=1):
            loss = ((ensemble(data[rows]) - targets[rows]) ** 2).mean(dim=1).sum()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return Predictor(ensemble, center, spread)
