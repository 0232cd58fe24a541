"""The AEC form `native`: every agent moves once, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID, JointAction
from ma2ml_env.wrappers.turns import TurnForm


class AECNativeEnv(TurnForm):
    """The native form in turns: every agent moves once, with all its decisions.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.

    Source: ours.
    """

    form: ClassVar[str] = "aec"

    def __init__(self, env: AutoMLEnv) -> None:
        super().__init__(env, numbered=False)
        self._action_spaces = {**env.action_spaces}
        roles = np.eye(len(self.possible_agents), dtype=np.float32)
        self._roles = dict(zip(self.possible_agents, roles, strict=True))
        self._moves: dict[AgentID, tuple[int, ...]] = {}

    def observe(self, agent: AgentID) -> NDArray[np.float32]:
        """The agent's role, one-hot; a fresh array."""
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

    def _to_native(self, module: AgentID, action: Any) -> tuple[int, ...]:
        return self.env.search_spaces[module].validate(action, agent=module)

    def _from_native(self, module: AgentID, action: tuple[int, ...]) -> NDArray[np.int64]:
        return np.array(action, dtype=np.int64)
