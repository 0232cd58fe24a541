"""FLOPs and parameters of many pipelines, exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.evaluator import BatchPriced, TrainsNetworks
from ma2ml_env.models import count
from ma2ml_env.models.nasnet import NASNetSkeleton
from ma2ml_env.models.nasnet_counter import NASNetCounter
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.surrogate.columns import Integers
from ma2ml_env.types import AgentID


def costs(env: AutoMLEnv, actions: Mapping[AgentID, Integers]) -> Integers:
    """Cost of each pipeline as reported by `env.cost`, for all at once where there is a table for it.

    Args:
        env: environment whose evaluator can report costs.
        actions: by agent, shape (B, decisions) each.

    Returns:
        Shape (2, B): multiply-accumulates of one image, trainable parameters.

    Raises:
        ValueError: if the evaluator cannot report costs.
    """
    return cost_counter(env)(actions)


def cost_counter(env: AutoMLEnv) -> Callable[[Mapping[AgentID, Integers]], Integers]:
    """Returns `costs` for one environment: the fastest way is looked up once, for many small batches."""
    evaluator = env.evaluator
    if isinstance(evaluator, BatchPriced):
        return evaluator.cost_batch
    if isinstance(evaluator, TrainsNetworks):
        of_networks = _network_counter(evaluator, env.search_spaces["nas"])
        return lambda actions: of_networks(actions["nas"])

    def one_by_one(actions: Mapping[AgentID, Integers]) -> Integers:
        rows = range(len(next(iter(actions.values()))))
        pipelines = (env.decode({agent: chosen[row] for agent, chosen in actions.items()}) for row in rows)
        return np.array([(cost.flops, cost.params) for cost in map(env.cost, pipelines)]).T

    return one_by_one


def _network_counter(evaluator: TrainsNetworks, space: SearchSpace) -> Callable[[Integers], Integers]:
    """Returns the function from actions of the architecture's agent, shape (B, decisions), to costs."""
    task, network = evaluator.task, evaluator.network
    classes = len(task.classes)
    if isinstance(network, NASNetSkeleton):
        return NASNetCounter(network, task.image_size, task.channels, classes)
    shapes = {"image_size": task.image_size, "in_channels": task.channels, "num_classes": classes}

    def one_by_one(actions: Integers) -> Integers:
        networks = (count(space.decode(action), network, **shapes) for action in actions)
        return np.array([(cost.flops, cost.params) for cost in networks]).T

    return one_by_one
