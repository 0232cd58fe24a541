"""The form `box`: numbers between 0 and 1, for continuous-action algorithms."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID
from ma2ml_env.wrappers.parallel import ParallelForm


class BoxEnv(ParallelForm):
    """Each agent acts in `Box(0, 1, (L,))`, one number per decision.

    A number x is clipped to [0, 1] and chooses `floor(x * n)` of n choices (the last one at x = 1). Agents keep the
    modules' names.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.

    Source: ours, for algorithms such as MADDPG and SAC.
    """

    form: ClassVar[str] = "box"

    def __init__(self, env: AutoMLEnv) -> None:
        super().__init__(env, numbered=False)
        self._action_spaces = {
            module: Box(0.0, 1.0, (len(space),), np.float32) for module, space in env.search_spaces.items()
        }

    def _to_native(self, module: AgentID, action: Any) -> tuple[int, ...]:
        array = np.atleast_1d(np.asarray(action))
        nvec = self.env.search_spaces[module].nvec
        if array.dtype.kind not in "iuf" or array.shape != nvec.shape or np.isnan(array).any():
            raise ValueError(
                f"agent {module!r}: an action is {len(nvec)} numbers in [0, 1], "
                f"not {array.dtype} of shape {array.shape}{' with NaN' if array.dtype.kind == 'f' else ''}"
            )
        unit = np.clip(array.astype(np.float64), 0.0, 1.0)
        return tuple(np.minimum(np.floor(unit * nvec).astype(np.int64), nvec - 1).tolist())

    def _from_native(self, module: AgentID, action: tuple[int, ...]) -> NDArray[np.float32]:
        nvec = self.env.search_spaces[module].nvec
        return ((np.array(action) + 0.5) / nvec).astype(np.float32)
