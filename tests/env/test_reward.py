"""Rewards against their formula, and what they refuse before anything is trained."""

from __future__ import annotations

import itertools
import math

import pytest

import ma2ml_env
from ma2ml_env import Result
from ma2ml_env.reward import accuracy, flops_constrained


def test_the_two_sided_reward_has_the_exponent_as_its_slope_in_log_flops() -> None:
    rewards = [flops_constrained(Result(0.6, flops, 0, 0.0), constraint=1e6) for flops in (1e5, 1e6, 1e7)]
    assert rewards[1] == pytest.approx(0.6)
    slopes = [math.log10(after / before) for before, after in itertools.pairwise(rewards)]
    assert slopes == pytest.approx([-0.07, -0.07])


def test_the_one_sided_reward_pays_no_bonus_and_has_no_jump_at_the_constraint() -> None:
    def reward(flops: float) -> float:
        return flops_constrained(Result(0.6, flops, 0, 0.0), constraint=1e6, exponent=-0.5, one_sided=True)

    assert reward(0) == reward(1) == reward(1e6) == 0.6
    assert reward(1e6 + 1) == pytest.approx(0.6, abs=1e-6)
    assert reward(4e6) == pytest.approx(0.3)


def test_a_failed_pipeline_is_paid_nothing_whatever_it_claims() -> None:
    failed = Result(0.9, 10.0, 1.0, 0.0, error="out of memory")
    assert accuracy(failed) == flops_constrained(failed, constraint=100.0) == 0.0


@pytest.mark.parametrize(
    "wrong", [{"constraint": 0.0}, {"constraint": -1.0}, {"constraint": math.nan}, {"exponent": 0.1}]
)
def test_an_impossible_constraint_or_exponent_is_refused_when_the_env_is_made(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        ma2ml_env.make("ma2ml/digits-flops-v0", **wrong)
