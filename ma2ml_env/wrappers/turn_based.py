"""Variants in which agents move in turn, PettingZoo's AEC: `native` (one move per agent) and `tokens`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from pettingzoo import AECEnv

from ma2ml_env.env import NO_EPISODE, AutoMLEnv
from ma2ml_env.types import AgentID, JointAction
from ma2ml_env.wrappers.base import AgentsWrapper, whole_number
from ma2ml_env.wrappers.tokens import AgentTokens


class TurnsWrapper(AgentsWrapper, AECEnv[AgentID, Any, Any]):  # type: ignore[misc]  # PettingZoo has no types
    """A PettingZoo AEC environment: order of the turns, and end of the episode.

    Nobody sees what others chose before. When the last agent has made its last move the pipeline is evaluated, and all
    agents are paid and terminated. `unwrapped` is the variant itself, since PettingZoo's AEC wrappers write into it;
    the environment is `env`.

    Args:
        env: an `AutoMLEnv`.
        numbered: see `AgentsWrapper`.

    Raises:
        ValueError: if `env` is not an `AutoMLEnv`.

    Source: after PettingZoo's `AECEnv`.
    """

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Starts an episode; see `AutoMLEnv.reset`."""
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
        """Makes the next move of `agent_selection`; None for an agent whose episode has ended.

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
        self.rewards = self._renamed(rewards)
        self._cumulative_rewards = dict(self.rewards)
        self.terminations = self._renamed(terminations)
        self.infos = {agent: self._info(agent, infos[module]) for agent, module in self.module_of.items()}
        self.agent_selection = self.agents[0]

    @abstractmethod
    def _restart(self) -> None:
        """Forgets the moves of the last episode."""

    @abstractmethod
    def _move(self, agent: AgentID, action: Any) -> bool:
        """Makes a move; returns whether it was the agent's last one."""

    @abstractmethod
    def _chosen(self) -> JointAction:
        """Returns the joint action that the moves of all agents make up."""

    @abstractmethod
    def _info(self, agent: AgentID, of_env: Mapping[str, float]) -> dict[str, Any]:
        """Returns an agent's info, from that of its module."""


class AECNativeEnv(TurnsWrapper):
    """Every agent moves once, with all its decisions.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.
    """

    variant: ClassVar[str] = "aec"

    def __init__(self, env: AutoMLEnv) -> None:
        super().__init__(env, numbered=False)
        self._action_spaces = {**env.action_spaces}
        roles = np.eye(len(self.possible_agents), dtype=np.float32)
        self._roles = dict(zip(self.possible_agents, roles, strict=True))
        self._moves: dict[AgentID, tuple[int, ...]] = {}

    def observe(self, agent: AgentID) -> NDArray[np.float32]:
        """Returns the agent's role, one-hot; a fresh array."""
        return self._roles[agent].copy()

    def _restart(self) -> None:
        self._moves = {}

    def _move(self, agent: AgentID, action: Any) -> bool:
        self._moves[agent] = self._to_native(agent, action)
        return True

    def _chosen(self) -> JointAction:
        return self._moves

    def _info(self, agent: AgentID, of_env: Mapping[str, float]) -> dict[str, Any]:
        return dict(of_env)

    def _to_native(self, agent: AgentID, action: Any) -> tuple[int, ...]:
        return self.space_of(agent).validate(action, agent=agent)

    def _from_native(self, agent: AgentID, action: tuple[int, ...]) -> NDArray[np.int64]:
        return np.array(action, dtype=np.int64)


class AECTokensEnv(TurnsWrapper):
    """All agents act in one `Discrete`: `agent_0` makes all decisions of the first module, then `agent_1` its own, ...

    Observations, masks, folding and infos are those of `TokensEnv`. It cannot be turned into a parallel environment,
    since an agent moves many times before the next one does: `metadata["is_parallelizable"]` is False.

    Attributes:
        mask: place of the mask.

    Args:
        env: an `AutoMLEnv`.
        mask: see `TokensEnv`.

    Raises:
        ValueError: if `env` is not an `AutoMLEnv`, or the mask unknown.

    Source: after the autoregressive controllers of NASNet and AutoAugment.
    """

    variant: ClassVar[str] = "aec_tokens"
    options: ClassVar[tuple[str, ...]] = ("mask",)

    def __init__(self, env: AutoMLEnv, mask: str = "obs") -> None:
        super().__init__(env, numbered=True)
        self.mask = mask
        self._tokens = AgentTokens({agent: self.space_of(agent) for agent in self.possible_agents}, mask)
        self._action_spaces = self._tokens.action_spaces
        self._observation_spaces = self._tokens.observation_spaces
        self.state_space = Box(0.0, 1.0, self._tokens.state().shape, np.float32)
        self.metadata["is_parallelizable"] = False

    def state(self) -> NDArray[np.float32]:
        """Returns what all agents see, one after the other, without masks; a fresh array."""
        return self._tokens.state()

    def observe(self, agent: AgentID) -> Any:
        """Returns what an agent sees, fresh."""
        return self._tokens.lists[agent].observation(self.mask == "obs")

    def _restart(self) -> None:
        self._tokens.restart()

    def _move(self, agent: AgentID, action: Any) -> bool:
        tokens = self._tokens.lists[agent]
        tokens.choose(whole_number(action, agent))
        self.infos[agent] = self._info(agent, self._of_env)
        return tokens.done

    def _chosen(self) -> JointAction:
        return dict(zip(self.env.possible_agents, self._tokens.choices(), strict=True))

    def _info(self, agent: AgentID, of_env: Mapping[str, float]) -> dict[str, Any]:
        self._of_env = of_env
        return self._tokens.lists[agent].info(of_env, self.mask == "info")

    def _to_native(self, agent: AgentID, action: Sequence[Any]) -> tuple[int, ...]:
        return self._tokens.lists[agent].fold(action, agent)

    def _from_native(self, agent: AgentID, action: tuple[int, ...]) -> list[int]:
        return list(action)
