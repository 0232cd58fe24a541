"""The form `padded`: equal MultiDiscrete spaces for all agents."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import MultiDiscrete
from numpy.typing import NDArray

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID
from ma2ml_env.wrappers.parallel import ParallelForm


class PaddedEnv(ParallelForm):
    """All agents act in one `MultiDiscrete`, as long as the largest module and as wide as any decision there.

    Agents are `agent_0`, `agent_1`, ... in the order of the modules; the observation is the agent's role, one-hot.
    A module with fewer decisions ignores the rest of the action. A number is folded by `% n` where the decision has n
    choices: out of range raises nothing, and under uniform sampling some choices are twice as likely as others.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.

    Source: ours, for libraries that refuse agents with different action spaces.
    """

    form: ClassVar[str] = "padded"

    def __init__(self, env: AutoMLEnv) -> None:
        super().__init__(env, numbered=True)
        self._length = max(len(space) for space in env.search_spaces.values())
        widths = np.max([self._pad(space.nvec) for space in env.search_spaces.values()], axis=0)
        self._action_spaces = {agent: MultiDiscrete(widths) for agent in self.possible_agents}

    def _to_native(self, module: AgentID, action: Any) -> tuple[int, ...]:
        array = np.atleast_1d(np.asarray(action))
        if array.dtype.kind not in "iu" or array.shape != (self._length,):
            raise ValueError(
                f"agent for {module!r}: an action is {self._length} whole numbers, "
                f"not {array.dtype} of shape {array.shape}"
            )
        nvec = self.env.search_spaces[module].nvec
        return tuple((array[: len(nvec)].astype(np.int64) % nvec).tolist())

    def _from_native(self, module: AgentID, action: tuple[int, ...]) -> NDArray[np.int64]:
        return self._pad(np.array(action, dtype=np.int64))

    def _pad(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.pad(numbers, (0, self._length - len(numbers)))
