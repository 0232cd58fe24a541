"""The distribution of `MultiDiscrete` actions that TorchRL lacks, for its actors and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, constraints

from ma2ml_env.errors import MA2MLError


class MultiCategorical(Distribution):
    """Independent categoricals of different sizes: the distribution of a `MultiDiscrete` action.

        ProbabilisticActor(
            network, in_keys=["logits"], distribution_class=MultiCategorical, distribution_kwargs={"nvec": space.nvec}
        )

    Args:
        logits: unnormalized log-probabilities of the choices, decision after decision, shape (..., sum of nvec).
        nvec: number of choices of each of the K decisions.
        validate_args: accepted for the sake of callers, and ignored.

    Raises:
        ValueError: if the number of logits is not the sum of `nvec`.

    Source: stable-baselines3's `MultiCategoricalDistribution`; evaluated here as one padded categorical.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {"logits": constraints.real_vector}
    support = constraints.independent(constraints.nonnegative_integer, 1)  # type: ignore[no-untyped-call]

    def __init__(self, logits: Tensor, nvec: Sequence[int], validate_args: Any = None) -> None:
        sizes = torch.as_tensor([int(n) for n in nvec], device=logits.device)
        total = int(sizes.sum())
        if logits.shape[-1] != total:
            raise MA2MLError(f"nvec {sizes.tolist()} requires {total} logits, not {logits.shape[-1]}")
        self.logits = logits
        possible = torch.arange(int(sizes.max()), device=logits.device) < sizes[:, None]
        padded = logits.new_full((*logits.shape[:-1], *possible.shape), torch.finfo(logits.dtype).min)
        padded[..., possible] = logits
        self._decisions: Any = Categorical(logits=padded, validate_args=False)
        super().__init__(logits.shape[:-1], torch.Size([len(sizes)]), validate_args=False)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws actions, integers of shape (*sample_shape, ..., K)."""
        drawn: Tensor = self._decisions.sample(torch.Size(sample_shape))
        return drawn

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of actions of shape (..., K), summed over the decisions, shape (...)."""
        total: Tensor = self._decisions.log_prob(value).sum(-1)
        return total

    def entropy(self) -> Tensor:
        """Entropy in nats, summed over the decisions, shape (...)."""
        total: Tensor = self._decisions.entropy().sum(-1)
        return total

    @property
    def mode(self) -> Tensor:
        """The most probable action, shape (..., K)."""
        best: Tensor = self._decisions.mode
        return best

    @property
    def deterministic_sample(self) -> Tensor:
        """The mode, under the name that TorchRL reads."""
        return self.mode
