"""Checks for people who add parts or assemble environments of their own: `check_env` and the like."""

from __future__ import annotations

import numpy as np

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.testing.conventions import CONVENTIONS
from ma2ml_env.testing.parts import check_evaluator, check_search_space
from ma2ml_env.testing.rollout import play, rollout
from ma2ml_env.testing.variants import Remembered, variants_of


def check_env(env: AutoMLEnv, *, pipelines: int = 2, seed: int = 0) -> None:
    """Checks that an environment keeps the conventions in every variant, and that all variants pay the same.

    Each pipeline is evaluated once; `check_evaluator` checks the evaluator itself.

    Args:
        env: an `AutoMLEnv`; it is copied, not stepped.
        pipelines: number of pipelines to play.
        seed: seed of the pipelines' draw.

    Raises:
        AssertionError: naming variant, convention, and what does not hold.
        ValueError: if it is not an `AutoMLEnv`.

    Source: after PettingZoo's `parallel_api_test`.
    """
    if not isinstance(env, AutoMLEnv):
        raise MA2MLError(f"check_env checks an AutoMLEnv, not a {type(env).__name__}; it makes the variants itself")
    rng = np.random.default_rng(seed)
    actions = [{agent: space.sample(rng) for agent, space in env.search_spaces.items()} for _ in range(pipelines)]
    evaluator, env.evaluator = env.evaluator, Remembered(env.evaluator)
    try:
        variants = variants_of(env, actions)
        for variant, make in variants.items():
            for number, check in CONVENTIONS.items():
                try:
                    check(make, actions)
                except AssertionError as broken:
                    raise AssertionError(f"{env.name} as {variant!r}, convention {number}: {broken}") from broken
        for action in actions:
            paid = {variant: play(make(), action) for variant, make in variants.items()}
            assert len(set(paid.values())) == 1, f"{env.name}, convention 10: one pipeline is paid {paid}"
    finally:
        env.evaluator = evaluator


__all__ = ["check_env", "check_evaluator", "check_search_space", "play", "rollout", "variants_of"]
