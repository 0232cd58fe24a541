"""Small evaluations to fit surrogates to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from small_games import game, mean_choice

from ma2ml_env import AutoMLEnv, Trial


def random_actions(env: AutoMLEnv, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {agent: rng.integers(space.nvec, size=(count, len(space))) for agent, space in env.search_spaces.items()}


def row(actions: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    return {agent: chosen[number] for agent, chosen in actions.items()}


def small_env(deviation: float = 0.0) -> AutoMLEnv:
    """Accuracy is the mean relative choice, with noise of a known deviation."""

    def noisy(pipeline, *, seed):
        exact = mean_choice(pipeline, seed=seed)
        normal = np.random.default_rng(pipeline.random_seed(seed)).standard_normal()
        return replace(exact, accuracy=float(np.clip(exact.accuracy + deviation * normal, 0, 1)), seconds=2.0)

    return game(evaluator=noisy, definition="a closed form")


def small_trials(env: AutoMLEnv, count: int, seed: int = 0, env_seed: int = 0) -> list[Trial]:
    actions = random_actions(env, count, seed)
    pipelines = [env.decode(row(actions, number)) for number in range(count)]
    results = [env.evaluate(pipeline, seed=env_seed) for pipeline in pipelines]
    return [Trial(n, env_seed, p, r, r.accuracy) for n, (p, r) in enumerate(zip(pipelines, results, strict=True))]
