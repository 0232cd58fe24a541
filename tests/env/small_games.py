"""Small environments with a closed form, so that variants can be compared and enumerated."""

from __future__ import annotations

import math

from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.render import draw
from ma2ml_env.reward import accuracy

NVECS = {"aug": (2, 3, 4), "nas": (3, 2, 2, 5, 2), "hpo": (3,), "data": (4, 2)}


def space(nvec):
    return SearchSpace([Decision(f"d{i}", tuple(f"v{j}" for j in range(n))) for i, n in enumerate(nvec)], dict)


def score(pipeline, *, seed):
    """A mixed-radix number of all choices in [0, 1]: no two pipelines of one environment have the same."""
    number, count = seed % 2, 2
    for agent, action in sorted(pipeline.action.items()):
        for choice, n in zip(action, NVECS[agent], strict=True):
            number, count = number * n + choice, count * n
    return Result(number / (count - 1), flops=1e6 * (1 + number), params=1e3, seconds=0.0)


def mean_choice(pipeline, *, seed):
    """The mean relative choice, in [0, 1]: easy to learn, 0.5 for a random player."""
    relative = [c / (n - 1) for a, action in pipeline.action.items() for c, n in zip(action, NVECS[a], strict=True)]
    return Result(math.fsum(relative) / len(relative), flops=1e6, params=1e3, seconds=0.0)


def game(*agents, evaluator=score, **options):
    spaces = {agent: space(NVECS[agent]) for agent in agents or ("aug", "nas", "hpo")}
    return AutoMLEnv(spaces, evaluator, accuracy, name="ma2ml/small-v0", draw=draw, **options)


def four_agents(**options):
    return game("aug", "nas", "hpo", "data", **options)
