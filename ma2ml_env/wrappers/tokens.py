"""Variants that make one decision per step: the token list they are built on, and the parallel variant `tokens`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space
from numpy.typing import NDArray

from ma2ml_env.decision import Condition
from ma2ml_env.env import NO_EPISODE, AutoMLEnv
from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.types import AgentID
from ma2ml_env.wrappers.base import equal_length, whole_number, whole_numbers
from ma2ml_env.wrappers.parallel import ParallelWrapper, Step

MASKS = ("obs", "info", "none")


class TokenList:
    """The decisions of one agent, made one token at a time, with what the agent sees of them.

    The observation is, one after the other: the agent's role, one-hot; the position in the list, one-hot of
    `length + 1`; and for every decision (c + 1) / n where choice c of n was made, 0 where none was made. An inactive
    decision has one legal token, 0, and so has the end of the list; there nothing is chosen.

    Attributes:
        width: number of tokens.
        space: space of the observation.
        seen: the observation, shape (role + 2 * length + 1,), float32; it changes, so hand out copies.
        legal: mask of the tokens that are legal now, shape (width,), int8, never all zero; hand out copies.
        choices: the choices made so far, 0 for inactive decisions.
        illegal: number of tokens that were out of range and folded by `% n`; a float, as infos hold them.

    Args:
        nvec: number of choices of each decision.
        conditions: condition of each decision.
        width: number of tokens; at least the largest of `nvec`.
        length: number of decisions that observations have room for; at least that of `nvec`.
        role: the first numbers of the observation.
    """

    __slots__ = (
        "_active", "_conditions", "_history_at", "_last", "_masks", "_position", "_position_at", "_size", "_sizes",
        "_start", "choices", "illegal", "legal", "seen", "space", "width",
    )  # fmt: skip

    def __init__(
        self,
        nvec: Sequence[int],
        conditions: Sequence[Condition],
        width: int,
        length: int,
        role: Sequence[float] = (),
    ) -> None:
        self.width = width
        self._sizes = (*nvec, 1)
        self._conditions = (*conditions, ())
        self._last = len(nvec)
        self._position_at = len(role)
        self._history_at = len(role) + length + 1
        self._masks: list[NDArray[np.int8]] = list((np.arange(width) < np.array(self._sizes)[:, None]).astype(np.int8))
        self._start = np.zeros(self._history_at + length, dtype=np.float32)
        self._start[: len(role)] = role
        self._start[self._position_at] = 1.0
        self.space = Box(0.0, 1.0, self._start.shape, np.float32)
        self.restart()

    def restart(self) -> None:
        """Forgets all choices."""
        self._position = 0
        self._size = self._sizes[0]
        self._active = [True] * len(self._sizes)
        self.seen = self._start.copy()
        self.legal = self._masks[0]
        self.choices: list[int] = []
        self.illegal = 0.0

    @property
    def done(self) -> bool:
        """True if all decisions are made."""
        return self._position == self._last

    def choose(self, token: int) -> None:
        """Makes the next decision; a token out of range is folded, and counted as illegal."""
        position, size = self._position, self._size
        choice = token % size
        if choice != token:
            self.illegal += 1.0
        if position == self._last:
            return
        self.choices.append(choice)
        seen, at = self.seen, self._position_at + position
        seen[at] = 0.0
        seen[at + 1] = 1.0
        if self._active[position]:
            seen[self._history_at + position] = (choice + 1) / size
        self._position = position = position + 1
        if self._conditions[position] and not self._holds(self._conditions[position]):
            self._active[position] = False
            position = self._last
        self._size = self._sizes[position]
        self.legal = self._masks[position]

    def observation(self, masked: bool) -> Any:
        """Returns what the agent sees, maybe with its mask; fresh arrays."""
        if masked:
            return {"observation": self.seen.copy(), "action_mask": self.legal.copy()}
        return self.seen.copy()

    def info(self, of_env: Mapping[str, float], masked: bool) -> dict[str, Any]:
        """Returns the environment's info with the count of illegal tokens, maybe with the mask; all fresh."""
        info: dict[str, Any] = {**of_env, "illegal": self.illegal}
        if masked:
            info["action_mask"] = self.legal.copy()
        return info

    def fold(self, tokens: Sequence[Any], agent: AgentID | None = None) -> tuple[int, ...]:
        """Returns the indices that a whole episode's tokens stand for; those after the last decision do nothing.

        Args:
            tokens: at least as many as decisions.
            agent: whose they are, for the message.

        Raises:
            ValueError: if there are fewer tokens than decisions, or one is not a whole number.
        """
        if len(tokens) < self._last:
            whose = "" if agent is None else f"agent {agent!r}: "
            raise MA2MLError(f"{whose}{self._last} decisions need as many tokens, not {len(tokens)}")
        return tuple(whole_number(token, agent) % size for token, size in zip(tokens, self._sizes[:-1], strict=False))

    def _holds(self, condition: Condition) -> bool:
        for parent, allowed in condition:
            if not self._active[parent] or self.choices[parent] not in allowed:
                return False
        return True


class AgentTokens:
    """The token lists of all agents, and their observations, masks and infos, always fresh.

    Attributes:
        lists: {agent: its `TokenList`}.
        action_spaces: equal `Discrete` spaces, by agent.
        observation_spaces: by agent.

    Args:
        spaces: {agent: search space of its module}.
        mask: place of the mask, see `TokensEnv`.

    Raises:
        ValueError: for an unknown mask.
    """

    def __init__(self, spaces: Mapping[AgentID, SearchSpace], mask: str) -> None:
        if mask not in MASKS:
            raise UnknownNameError(f"unknown mask {mask!r}; {nearest(mask, MASKS)}")
        self.mask = mask
        self.length = equal_length(spaces)
        width = max(int(space.nvec.max()) for space in spaces.values())
        self.lists = {
            agent: TokenList(space.nvec.tolist(), space.conditions, width, self.length, role)
            for (agent, space), role in zip(spaces.items(), np.eye(len(spaces)).tolist(), strict=True)
        }
        self.action_spaces: dict[AgentID, Space[Any]] = {agent: Discrete(width) for agent in spaces}
        self.observation_spaces = {agent: self._observation_space(tokens) for agent, tokens in self.lists.items()}

    def restart(self) -> None:
        """Forgets all choices."""
        for tokens in self.lists.values():
            tokens.restart()

    def state(self) -> NDArray[np.float32]:
        """Returns the observations of all agents, one after the other, without masks."""
        return np.concatenate([tokens.seen for tokens in self.lists.values()])

    def choices(self) -> list[tuple[int, ...]]:
        """Returns the choices made so far by each agent, in their order."""
        return [tuple(tokens.choices) for tokens in self.lists.values()]

    def observations(self) -> dict[AgentID, Any]:
        """Returns what each agent sees, with its mask if that is where the mask is."""
        masked = self.mask == "obs"
        return {agent: tokens.observation(masked) for agent, tokens in self.lists.items()}

    def infos(self, of_env: Mapping[str, float]) -> dict[AgentID, dict[str, Any]]:
        """Returns each agent's info, with its mask if that is where the mask is."""
        masked = self.mask == "info"
        return {agent: tokens.info(of_env, masked) for agent, tokens in self.lists.items()}

    def _observation_space(self, tokens: TokenList) -> Space[Any]:
        if self.mask != "obs":
            return tokens.space
        return Dict({"observation": tokens.space, "action_mask": Box(0, 1, tokens.legal.shape, np.int8)})


class TokensEnv(ParallelWrapper):
    """All agents act in one `Discrete`, and each makes the next decision of its module at every step.

    Agents are `agent_0`, `agent_1`, ... in the order of the modules. An episode has as many steps as the longest module
    has decisions; all agents stay to the end. The reward is 0.0 until the last step. An agent sees its role and its own
    choices so far, as `TokenList` describes; the state is what all agents see.

    The mask marks the legal tokens, int8. An agent that is done, or whose next decision is inactive, has a single
    legal token, 0. An illegal one is folded by `% n` and counted in `infos[agent]["illegal"]`.

    Attributes:
        mask: place of the mask.

    Args:
        env: an `AutoMLEnv`.
        mask: `"obs"`: observations are `Dict({"observation", "action_mask"})`; `"info"`: it is
            `infos[agent]["action_mask"]`; `"none"`: there is none.

    Raises:
        ValueError: if `env` is not an `AutoMLEnv`, or the mask none of these.

    Source: after the autoregressive controllers of NASNet and AutoAugment.
    """

    variant: ClassVar[str] = "tokens"
    options: ClassVar[tuple[str, ...]] = ("mask",)

    def __init__(self, env: AutoMLEnv, mask: str = "obs") -> None:
        super().__init__(env, numbered=True)
        self.mask = mask
        self._tokens = AgentTokens({agent: self.space_of(agent) for agent in self.possible_agents}, mask)
        self._action_spaces = self._tokens.action_spaces
        self._observation_spaces = self._tokens.observation_spaces
        self.state_space = Box(0.0, 1.0, self._tokens.state().shape, np.float32)
        self._time = 0
        self._of_env: dict[str, Any] = {}
        self._zeros = dict.fromkeys(self.possible_agents, 0.0)
        self._falses = dict.fromkeys(self.possible_agents, False)

    def state(self) -> NDArray[np.float32]:
        """Returns what all agents see, one after the other, without masks; a fresh array."""
        return self._tokens.state()

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[AgentID, Any], dict[AgentID, dict[str, Any]]]:
        """Starts an episode; see `AutoMLEnv.reset`."""
        _, infos = self.env.reset(seed, options)
        self.agents = self.possible_agents[:]
        self._time = 0
        self._of_env = infos[self.env.possible_agents[0]]
        self._tokens.restart()
        return self._tokens.observations(), self._tokens.infos(self._of_env)

    def step(self, actions: Mapping[AgentID, Any]) -> Step:
        """Makes one decision per agent; the last step evaluates the pipeline.

        Raises:
            ValueError: for a missing or unknown agent, or an action that is not one whole number.
            RuntimeError: if the episode has ended or not begun.
        """
        agents = self.agents
        if not agents:
            raise RuntimeError(NO_EPISODE)
        tokens = self._tokens
        for decisions, token in zip(tokens.lists.values(), whole_numbers(actions, agents), strict=True):
            decisions.choose(token)
        self._time += 1
        if self._time < tokens.length:
            rewards, falses = self._zeros.copy(), self._falses
            return tokens.observations(), rewards, falses.copy(), falses.copy(), tokens.infos(self._of_env)
        chosen = dict(zip(self.env.possible_agents, tokens.choices(), strict=True))
        _, rewards, terminations, truncations, infos = self.env.step(chosen)
        self.agents = []
        self._of_env = infos[self.env.possible_agents[0]]
        paid, ended, cut = self._renamed(rewards), self._renamed(terminations), self._renamed(truncations)
        return tokens.observations(), paid, ended, cut, tokens.infos(self._of_env)

    def _to_native(self, agent: AgentID, action: Sequence[Any]) -> tuple[int, ...]:
        return self._tokens.lists[agent].fold(action, agent)

    def _from_native(self, agent: AgentID, action: tuple[int, ...]) -> list[int]:
        return [*action, *[0] * (self._tokens.length - len(action))]
