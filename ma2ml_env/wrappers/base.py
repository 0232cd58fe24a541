"""Base classes of the wrappers: attributes that a variant passes on, and the mapping of its agents to modules."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Space
from numpy.typing import NDArray

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.search_space import SearchSpace, check_agents
from ma2ml_env.types import AgentID, JointAction, Pipeline, Result, Trial


class Wrapper(ABC):
    """A variant of an `AutoMLEnv`; everything that is not spaces and actions is passed on.

    Attributes:
        variant: its name, as part of `metadata["name"]`.
        options: the names of its own keyword arguments.
        env: the environment that it wraps.
        metadata: the environment's, under a name of its own.
        render_mode: the environment's.
        state_space: space of `state()`.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.

    Source: after PettingZoo's wrappers.
    """

    variant: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    metadata: dict[str, Any]

    def __init__(self, env: AutoMLEnv) -> None:
        if not isinstance(env, AutoMLEnv):
            raise MA2MLError(
                f"{type(self).__name__} wraps an AutoMLEnv, such as ma2ml_env.make(id) returns, "
                f"not a {type(env).__name__}"
            )
        self.env = env
        name, _, version = env.metadata["name"].rpartition("_v")
        self.metadata = {**env.metadata, "name": f"{name}_{self.variant}_v{version}"}
        self.render_mode = env.render_mode
        self.state_space: Box = env.state_space

    @property
    def name(self) -> str:
        """The environment's id."""
        return self.env.name

    @property
    def search_spaces(self) -> dict[AgentID, SearchSpace]:
        """Search space of each module, under the module's own name."""
        return self.env.search_spaces

    @property
    def last_trial(self) -> Trial | None:
        """The last evaluated pipeline, with its result and reward."""
        return self.env.last_trial

    @property
    def evaluation_seed(self) -> int:
        """Seed of the evaluations; see `AutoMLEnv.evaluation_seed`."""
        return self.env.evaluation_seed

    @abstractmethod
    def to_native(self, actions: Any) -> JointAction:
        """Returns the joint action, by module, that `actions` of this variant stand for."""

    @abstractmethod
    def from_native(self, action: JointAction) -> Any:
        """Returns the actions of this variant that stand for a joint action; the inverse of `to_native`."""

    def decode(self, actions: Any) -> Pipeline:
        """Returns the pipeline that `actions` of this variant describe; raises as `to_native` does."""
        return self.env.decode(self.to_native(actions))

    def evaluate(self, pipeline: Pipeline, seed: int = 0) -> Result:
        """Evaluates a pipeline; see `AutoMLEnv.evaluate`."""
        return self.env.evaluate(pipeline, seed=seed)

    def expected(self, pipeline: Pipeline) -> Result:
        """Returns the noise-free result of a pipeline; see `AutoMLEnv.expected`."""
        return self.env.expected(pipeline)

    def reward(self, result: Result) -> float:
        """Returns the reward of a result."""
        return self.env.reward(result)

    def state(self) -> NDArray[np.float32]:
        """Returns the global state, a fresh array."""
        return self.env.state()

    def render(self) -> str | NDArray[np.uint8]:
        """Renders the last pipeline, in words or as a picture."""
        return self.env.render()

    def close(self) -> None:
        """Closes the environment; may be called any number of times."""
        self.env.close()


class AgentsWrapper(Wrapper):
    """A variant with one agent per module, in the order of the modules.

    A subclass sets `_action_spaces` and translates the actions of one agent (`_to_native`, `_from_native`).

    Attributes:
        possible_agents: the agents.
        agents: those of the current episode; empty when there is none.
        module_of: {agent: the module that it stands for}.

    Args:
        env: an `AutoMLEnv`.
        numbered: whether the agents are `agent_0`, `agent_1`, ... instead of bearing the modules' names.

    Raises:
        ValueError: if `env` is not an `AutoMLEnv`.
    """

    _action_spaces: dict[AgentID, Space[Any]]
    _observation_spaces: dict[AgentID, Space[Any]]

    def __init__(self, env: AutoMLEnv, *, numbered: bool) -> None:
        super().__init__(env)
        modules = env.possible_agents
        self.possible_agents = [f"agent_{i}" for i in range(len(modules))] if numbered else modules[:]
        self.agents: list[AgentID] = []
        self.module_of = dict(zip(self.possible_agents, modules, strict=True))
        self._observation_spaces = {agent: env.observation_space(module) for agent, module in self.module_of.items()}

    def observation_space(self, agent: AgentID) -> Space[Any]:
        """Returns the space of `agent`'s observations, the same object at every call."""
        return self._observation_spaces[agent]

    def action_space(self, agent: AgentID) -> Space[Any]:
        """Returns the space of `agent`'s actions, the same object at every call."""
        return self._action_spaces[agent]

    @property
    def observation_spaces(self) -> dict[AgentID, Space[Any]]:
        """All observation spaces, in a fresh dict."""
        return dict(self._observation_spaces)

    @property
    def action_spaces(self) -> dict[AgentID, Space[Any]]:
        """All action spaces, in a fresh dict."""
        return dict(self._action_spaces)

    def to_native(self, actions: Mapping[AgentID, Any]) -> JointAction:
        """Returns the joint action, by module, that `actions` stand for.

        Raises:
            ValueError: for a missing or unknown agent, or an action of wrong type or shape.
        """
        check_agents(actions, self.possible_agents)
        return {module: self._to_native(agent, actions[agent]) for agent, module in self.module_of.items()}

    def from_native(self, action: JointAction) -> dict[AgentID, Any]:
        """Returns the actions of this variant that stand for a joint action; the inverse of `to_native`.

        Raises:
            ValueError: if this variant cannot represent it.
        """
        return {agent: self._from_native(agent, tuple(action[module])) for agent, module in self.module_of.items()}

    def space_of(self, agent: AgentID) -> SearchSpace:
        """Returns the search space of the module that an agent stands for."""
        return self.env.search_spaces[self.module_of[agent]]

    def _renamed(self, by_module: Mapping[AgentID, Any]) -> dict[AgentID, Any]:
        return {agent: by_module[module] for agent, module in self.module_of.items()}

    @abstractmethod
    def _to_native(self, agent: AgentID, action: Any) -> tuple[int, ...]:
        """Returns the indices that one agent's action stands for."""

    @abstractmethod
    def _from_native(self, agent: AgentID, action: tuple[int, ...]) -> Any:
        """Returns the action of one agent that stands for these indices."""


def whole_number(action: Any, agent: AgentID | None = None) -> int:
    """Returns an action that is one number (an int, a NumPy integer, a list or an array of one) as an int.

    Args:
        action: to convert.
        agent: whose it is, for the message; None where there is only one.

    Raises:
        ValueError: if it is anything else.
    """
    try:
        return operator.index(action)
    except TypeError:
        pass
    array = np.asarray(action)
    if array.size != 1 or array.dtype.kind not in "iu":
        whose = "" if agent is None else f"agent {agent!r}: "
        raise MA2MLError(f"{whose}an action is one whole number, not {action!r} ({array.dtype}, shape {array.shape})")
    return int(array.item())


def whole_numbers(actions: Mapping[AgentID, Any], agents: Sequence[AgentID]) -> list[int]:
    """Returns the actions of `agents`, each one number, in their order.

    Raises:
        ValueError: for a missing or unknown agent, or an action that is not one whole number.
    """
    try:
        if len(actions) == len(agents):
            return [operator.index(actions[agent]) for agent in agents]
    except (KeyError, TypeError):
        pass  # reported precisely, or accepted, below
    check_agents(actions, agents)
    return [whole_number(actions[agent], agent) for agent in agents]


def equal_length(spaces: Mapping[AgentID, SearchSpace]) -> int:
    """Returns the number of decisions of the longest module: the length of equal action spaces."""
    return max(len(space) for space in spaces.values())
