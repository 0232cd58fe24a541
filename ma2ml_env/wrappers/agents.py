"""What the forms with several agents share: their names, their spaces, and what their actions mean."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from gymnasium.spaces import Space

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID, JointAction
from ma2ml_env.wrappers.actions import check_agents
from ma2ml_env.wrappers.form import Form


class MultiAgentForm(Form):
    """A form whose agents stand for the modules, one each, in their order.

    A subclass sets `_action_spaces` and says what its actions mean (`_to_native`, `_from_native`), for one agent.

    Attributes:
        possible_agents: the agents.
        agents: those of the episode that is going on.
        module_of: {agent: the module that it stands for}.

    Args:
        env: an `AutoMLEnv`.
        numbered: whether the agents are `agent_0`, `agent_1`, ... instead of bearing the modules' names.

    Raises:
        ValueError: if `env` is not one of ours.

    Source: ours.
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
        """The space of `agent`'s observations, the same object at every call."""
        return self._observation_spaces[agent]

    def action_space(self, agent: AgentID) -> Space[Any]:
        """The space of `agent`'s actions, the same object at every call."""
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
        """The joint action, by module, that `actions` stand for.

        Raises:
            ValueError: for a missing or unknown agent, or an action of wrong type or shape.
        """
        check_agents(actions, self.possible_agents)
        return {module: self._to_native(module, actions[agent]) for agent, module in self.module_of.items()}

    def from_native(self, action: JointAction) -> dict[AgentID, Any]:
        """The actions of this form that stand for a joint action; the inverse of `to_native`.

        Raises:
            ValueError: if the form cannot say it.
        """
        return {agent: self._from_native(module, tuple(action[module])) for agent, module in self.module_of.items()}

    @abstractmethod
    def _to_native(self, module: AgentID, action: Any) -> tuple[int, ...]:
        """The indices that one agent's action stands for."""

    @abstractmethod
    def _from_native(self, module: AgentID, action: tuple[int, ...]) -> Any:
        """One agent's action that stands for these indices."""
