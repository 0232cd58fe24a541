"""What the forms with moves in turn share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from pettingzoo import AECEnv

from ma2ml_env.types import AgentID, JointAction
from ma2ml_env.wrappers.actions import NO_EPISODE
from ma2ml_env.wrappers.agents import MultiAgentForm


class TurnForm(MultiAgentForm, AECEnv[AgentID, Any, Any]):  # type: ignore[misc]  # PettingZoo has no types
    """What both AEC forms share: whose turn it is, and how the game ends.

    Nobody sees what others chose before. When the last agent has made its last move the pipeline is evaluated, and all
    agents are paid and terminated. `unwrapped` is the form itself, since PettingZoo's AEC wrappers write into it; the
    environment is `env`.

    Args:
        env: an `AutoMLEnv`.
        numbered: see `MultiAgentForm`.

    Raises:
        ValueError: if `env` is not one of ours.

    Source: ours, after PettingZoo's `AECEnv`.
    """

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start an episode; see `AutoMLEnv.reset`."""
        _, infos = self.env.reset(seed, options)
        self.agents = self.possible_agents[:]
        self.agent_selection = self.agents[0]
        self._skip_agent_selection = None
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self._restart()
        self.infos = {agent: self._info(agent, infos[module]) for agent, module in self.module_of.items()}

    def step(self, action: Any) -> None:
        """Make the next move of `agent_selection`; None for an agent whose episode has ended.

        Raises:
            ValueError: for an action that does not fit.
            RuntimeError: if the episode has ended or not begun.
        """
        if not self.agents:
            raise RuntimeError(NO_EPISODE)
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self.agents = self.agents[:]
            self._was_dead_step(action)
        elif self._move(agent, action):
            following = self.possible_agents.index(agent) + 1
            if following < len(self.possible_agents):
                self.agent_selection = self.possible_agents[following]
            else:
                self._finish()

    def _finish(self) -> None:
        _, rewards, terminations, _, infos = self.env.step(self._chosen())
        modules = self.module_of.items()
        self.rewards = {agent: rewards[module] for agent, module in modules}
        self._cumulative_rewards = dict(self.rewards)
        self.terminations = {agent: terminations[module] for agent, module in modules}
        self.infos = {agent: self._info(agent, infos[module]) for agent, module in modules}
        self.agent_selection = self.agents[0]

    @abstractmethod
    def _restart(self) -> None:
        """Forget the moves of the last episode."""

    @abstractmethod
    def _move(self, agent: AgentID, action: Any) -> bool:
        """Make a move; whether it was the agent's last one."""

    @abstractmethod
    def _chosen(self) -> JointAction:
        """The joint action that the moves of all agents make up."""

    @abstractmethod
    def _info(self, agent: AgentID, of_env: Mapping[str, float]) -> dict[str, Any]:
        """An agent's info, from that of its module."""
