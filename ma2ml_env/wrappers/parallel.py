"""Variants in which all agents act at once, each with its whole module: `padded`, `flat`, `box`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from ma2ml_env.env import NO_EPISODE, AutoMLEnv
from ma2ml_env.errors import MA2MLError
from ma2ml_env.types import AgentID
from ma2ml_env.wrappers.base import AgentsWrapper, equal_length, whole_number
from ma2ml_env.wrappers.codebook import check_codebook, draw_codebook

Step = tuple[
    dict[AgentID, Any], dict[AgentID, float], dict[AgentID, bool], dict[AgentID, bool], dict[AgentID, dict[str, Any]]
]


class ParallelWrapper(AgentsWrapper, ParallelEnv[AgentID, Any, Any]):  # type: ignore[misc]  # PettingZoo has no types
    """A PettingZoo parallel environment whose agents act once, all at the same time.

    Args:
        env: an `AutoMLEnv`.
        numbered: see `AgentsWrapper`.

    Raises:
        ValueError: if `env` is not an `AutoMLEnv`.

    Source: after PettingZoo's wrappers.
    """

    @property
    def unwrapped(self) -> AutoMLEnv:
        """The wrapped environment."""
        return self.env

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[AgentID, Any], dict[AgentID, dict[str, Any]]]:
        """Starts an episode; see `AutoMLEnv.reset`."""
        observations, infos = self.env.reset(seed, options)
        self.agents = self.possible_agents[:]
        return self._renamed(observations), self._renamed(infos)

    def step(self, actions: Mapping[AgentID, Any]) -> Step:
        """Evaluates the pipeline that the actions describe; see `AutoMLEnv.step`.

        Raises:
            ValueError: as `to_native` does.
            RuntimeError: if the episode has ended or not begun.
        """
        if not self.agents:
            raise RuntimeError(NO_EPISODE)
        observations, rewards, terminations, truncations, infos = self.env.step(self.to_native(actions))
        self.agents = []
        renamed = self._renamed
        return renamed(observations), renamed(rewards), renamed(terminations), renamed(truncations), renamed(infos)


class PaddedEnv(ParallelWrapper):
    """All agents act in one `MultiDiscrete`, as long as the longest module and as wide as any decision there.

    Agents are `agent_0`, `agent_1`, ... in the order of the modules; the observation is the agent's role, one-hot.
    A module with fewer decisions ignores the rest of the action. A number is folded by `% n` where the decision has n
    choices: out of range raises nothing, and under uniform sampling some choices are twice as likely as others.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.
    """

    variant: ClassVar[str] = "padded"

    def __init__(self, env: AutoMLEnv) -> None:
        super().__init__(env, numbered=True)
        self._length = equal_length(env.search_spaces)
        widths = np.max([self._pad(space.nvec) for space in env.search_spaces.values()], axis=0)
        self._action_spaces = {agent: MultiDiscrete(widths) for agent in self.possible_agents}

    def _to_native(self, agent: AgentID, action: Any) -> tuple[int, ...]:
        array = np.atleast_1d(np.asarray(action))
        if array.dtype.kind not in "iu" or array.shape != (self._length,):
            raise MA2MLError(
                f"agent {agent!r}: an action is {self._length} whole numbers, not {array.dtype} of shape {array.shape}"
            )
        nvec = self.space_of(agent).nvec
        return tuple((array[: len(nvec)].astype(np.int64) % nvec).tolist())

    def _from_native(self, agent: AgentID, action: tuple[int, ...]) -> NDArray[np.int64]:
        return self._pad(np.array(action, dtype=np.int64))

    def _pad(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.pad(numbers, (0, self._length - len(numbers)))


class FlatEnv(ParallelWrapper):
    """All agents act in one `Discrete`: an index into a codebook of the module's actions.

    Agents are `agent_0`, `agent_1`, ... in the order of the modules; the observation is the agent's role, one-hot. The
    space is as large as the longest codebook; an index is taken modulo the module's own. Only the pipelines of the
    codebooks can be reached: a few hundred actions per module of the many that there are.

    Attributes:
        codebook: {module: its actions}.

    Args:
        env: an `AutoMLEnv`.
        codebook_size: number of actions to draw per module, see `draw_codebook`.
        codebook: {module: actions} instead, for example `codebook_of(pipelines)`.

    Raises:
        ValueError: if `env` is not an `AutoMLEnv`, both of codebook and size are given, or one of them does not fit.
    """

    variant: ClassVar[str] = "flat"
    options: ClassVar[tuple[str, ...]] = ("codebook_size", "codebook")

    def __init__(
        self,
        env: AutoMLEnv,
        codebook_size: int | None = None,
        codebook: Mapping[AgentID, Sequence[Any]] | None = None,
    ) -> None:
        super().__init__(env, numbered=True)
        if codebook is None:
            self.codebook = draw_codebook(env.search_spaces, codebook_size)
        elif codebook_size is None:
            self.codebook = check_codebook(codebook, env.search_spaces)
        else:
            raise MA2MLError("pass codebook_size or codebook, not both: a codebook has a size of its own")
        size = max(len(actions) for actions in self.codebook.values())
        self._action_spaces = {agent: Discrete(size) for agent in self.possible_agents}

    def _to_native(self, agent: AgentID, action: Any) -> tuple[int, ...]:
        actions = self.codebook[self.module_of[agent]]
        return actions[whole_number(action, agent) % len(actions)]

    def _from_native(self, agent: AgentID, action: tuple[int, ...]) -> int:
        module = self.module_of[agent]
        if action not in self.codebook[module]:
            raise MA2MLError(f"the codebook of {module!r} does not hold {action}")
        return self.codebook[module].index(action)


class BoxEnv(ParallelWrapper):
    """Each agent acts in `Box(0, 1, (L,))`, one number per decision.

    A number x is clipped to [0, 1] and chooses `floor(x * n)` of n choices (the last one at x = 1). Agents keep the
    modules' names, unless their spaces are to be equal.

    Args:
        env: an `AutoMLEnv`.
        equal: whether all agents act in one space, as long as the longest module; they are `agent_0`, `agent_1`, ...
            then, and a module with fewer decisions ignores the rest of the action, as in `PaddedEnv`.

    Raises:
        ValueError: if `env` is not an `AutoMLEnv`.
    """

    variant: ClassVar[str] = "box"
    options: ClassVar[tuple[str, ...]] = ("equal",)

    def __init__(self, env: AutoMLEnv, equal: bool = False) -> None:
        super().__init__(env, numbered=equal)
        self.equal = equal
        longest = equal_length(env.search_spaces)
        self._lengths = {a: longest if equal else len(self.space_of(a)) for a in self.possible_agents}
        self._action_spaces = {agent: Box(0.0, 1.0, (length,), np.float32) for agent, length in self._lengths.items()}

    def _to_native(self, agent: AgentID, action: Any) -> tuple[int, ...]:
        array = np.atleast_1d(np.asarray(action))
        nvec, length = self.space_of(agent).nvec, self._lengths[agent]
        if array.dtype.kind not in "iuf" or array.shape != (length,) or np.isnan(array[: len(nvec)]).any():
            raise MA2MLError(
                f"agent {agent!r}: an action is {length} numbers in [0, 1], "
                f"not {array.dtype} of shape {array.shape}{' with NaN' if array.dtype.kind == 'f' else ''}"
            )
        unit = np.clip(array[: len(nvec)].astype(np.float64), 0.0, 1.0)
        return tuple(np.minimum(np.floor(unit * nvec).astype(np.int64), nvec - 1).tolist())

    def _from_native(self, agent: AgentID, action: tuple[int, ...]) -> NDArray[np.float32]:
        numbers = np.full(self._lengths[agent], 0.5, dtype=np.float32)
        numbers[: len(action)] = (np.array(action) + 0.5) / self.space_of(agent).nvec
        return numbers
