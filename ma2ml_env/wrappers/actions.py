"""What the forms check and convert actions with."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ma2ml_env.search_space import SearchSpace
from ma2ml_env.types import AgentID

NO_EPISODE = "no episode is going on: call reset() before step(); one pipeline is one episode"


def check_agents(actions: Any, agents: Sequence[AgentID]) -> None:
    """Check that there is an action for each of `agents` and for no other.

    Raises:
        ValueError: if not; the message names the agents.
    """
    if not isinstance(actions, Mapping):
        raise ValueError(f"actions are a dict with one entry per agent, not a {type(actions).__name__}")
    if len(actions) != len(agents) or not all(agent in actions for agent in agents):
        missing = [agent for agent in agents if agent not in actions]
        unknown = [agent for agent in actions if agent not in agents]
        raise ValueError(f"actions are for {list(agents)}; missing: {missing}, unknown: {unknown}")


def whole_number(action: Any, agent: AgentID) -> int:
    """An action that is one number: an int, a NumPy integer, a list or an array of one.

    Raises:
        ValueError: if it is anything else.
    """
    try:
        return operator.index(action)
    except TypeError:
        pass
    array = np.asarray(action)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"agent {agent!r}: an action is one whole number, not {action!r} ({array.dtype}, shape {array.shape})"
        )
    return int(array.item())


def whole_numbers(actions: Mapping[AgentID, Any], agents: Sequence[AgentID]) -> list[int]:
    """The actions of `agents`, each one number, in their order.

    Raises:
        ValueError: for a missing or unknown agent, or an action that is not one whole number.
    """
    try:
        if len(actions) == len(agents):
            return [operator.index(actions[agent]) for agent in agents]
    except (KeyError, TypeError):
        pass
    check_agents(actions, agents)
    return [whole_number(actions[agent], agent) for agent in agents]


def fold_tokens(tokens: Sequence[Any], space: SearchSpace, agent: AgentID) -> tuple[int, ...]:
    """The indices that an episode's tokens of one module stand for; the ones after its last decision do nothing.

    Raises:
        ValueError: if there are fewer tokens than decisions, or one is not a whole number.
    """
    if len(tokens) < len(space):
        raise ValueError(f"agent {agent!r}: {len(space)} decisions need as many tokens, not {len(tokens)}")
    return tuple(whole_number(token, agent) % int(n) for token, n in zip(tokens, space.nvec, strict=False))
