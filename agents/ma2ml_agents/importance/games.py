"""Scores without training: the noise-free reward of pipelines in an instant environment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ma2ml_agents.importance.choices import Choices, Floats, Integers, Score
from ma2ml_env import AutoMLEnv, Result
from ma2ml_env.errors import UnsupportedError
from ma2ml_env.evaluator import NoiseFree, NoiseFreeBatched


def true_reward(env: AutoMLEnv) -> Score:
    """Returns a function that scores pipelines by the reward of their noise-free results.

    Args:
        env: environment with noise-free results.

    Raises:
        ValueError: if it has none, as where a network is trained.
    """
    if not isinstance(env.evaluator, NoiseFree):
        raise UnsupportedError(
            f"{env.name} evaluates by {type(env.evaluator).__name__}, which does not support noise-free results; pass "
            "the folder or the trials.db of a run on it, or an instant environment such as ma2ml/digits-surrogate-v0"
        )
    choices = Choices.of(env.search_spaces)

    def score(pipelines: Integers) -> Floats:
        return np.array([[env.reward(result) for result in _results(env, choices, pipelines)]])

    return score


def _results(env: AutoMLEnv, choices: Choices, pipelines: Integers) -> Iterator[Result]:
    """Yields the noise-free results, computed in a batch where the evaluator supports it."""
    actions = choices.split(pipelines)
    if isinstance(env.evaluator, NoiseFreeBatched):
        batch = env.evaluator.expected_batch(actions)
        for numbers in zip(*(column.tolist() for column in batch), strict=True):
            yield Result(*numbers)
        return
    for row in range(len(pipelines)):
        yield env.expected(env.decode({agent: chosen[row] for agent, chosen in actions.items()}))
