"""What `ma2ml_env.adapters` adds to libraries, as far as it can be checked without them."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.distributions import Categorical

from ma2ml_env.adapters.torchrl import MultiCategorical
from ma2ml_env.errors import MA2MLError

NVEC = (2, 4, 3)


def distribution(batch: tuple[int, ...] = ()) -> MultiCategorical:
    logits = torch.randn(*batch, sum(NVEC), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return MultiCategorical(logits.requires_grad_(), NVEC)


def all_actions() -> torch.Tensor:
    return torch.tensor(list(itertools.product(*map(range, NVEC))))


def test_the_probabilities_of_all_actions_sum_to_one() -> None:
    total = distribution().log_prob(all_actions()).exp().sum()
    torch.testing.assert_close(total, torch.ones((), dtype=torch.float64))


def test_log_probability_and_entropy_are_the_sums_of_those_of_torchs_categoricals() -> None:
    multi = distribution((5,))
    parts = [Categorical(logits=part) for part in multi.logits.split(NVEC, dim=-1)]
    actions = multi.sample()
    expected = sum(part.log_prob(actions[:, k]) for k, part in enumerate(parts))
    torch.testing.assert_close(multi.log_prob(actions), expected)
    torch.testing.assert_close(multi.entropy(), sum(part.entropy() for part in parts))
    assert multi.mode.tolist() == torch.stack([part.mode for part in parts], dim=-1).tolist()
    assert multi.deterministic_sample.tolist() == multi.mode.tolist()


def test_samples_have_the_shape_of_actions_and_stay_in_range() -> None:
    torch.manual_seed(0)
    samples = distribution((5,)).sample((1000,))
    assert samples.shape == (1000, 5, 3)
    assert samples.amax((0, 1)).tolist() == [n - 1 for n in NVEC]
    assert samples.amin() == 0


def test_every_gradient_is_finite_though_decisions_are_padded() -> None:
    multi = distribution((5,))
    (multi.log_prob(multi.sample()) + multi.entropy()).sum().backward()
    assert multi.logits.grad is not None
    assert multi.logits.grad.isfinite().all()


def test_a_wrong_number_of_logits_is_an_error() -> None:
    with pytest.raises(MA2MLError, match=r"nvec \[2, 4, 3\] requires 9 logits, not 8"):
        MultiCategorical(torch.zeros(8), NVEC)
