"""What the two token forms with several agents share: what agents see, and what their tokens mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID, JointAction
from ma2ml_env.wrappers import masks
from ma2ml_env.wrappers.actions import fold_tokens
from ma2ml_env.wrappers.agents import MultiAgentForm
from ma2ml_env.wrappers.token_list import TokenList


class TokenForm(MultiAgentForm):
    """All agents act in one `Discrete`; each has a `TokenList` of its module's decisions.

    Arguments and errors are those of `TokensEnv`.

    Attributes:
        mask: where the mask is.

    Source: ours, after the autoregressive controllers of NASNet and AutoAugment.
    """

    options: ClassVar[tuple[str, ...]] = ("mask",)

    def __init__(self, env: AutoMLEnv, mask: str = "obs") -> None:
        super().__init__(env, numbered=True)
        self.mask = masks.check_mask(mask)
        spaces = list(env.search_spaces.values())
        width = max(int(space.nvec.max()) for space in spaces)
        length = max(len(space) for space in spaces)
        self._lists = {
            agent: TokenList(space.nvec.tolist(), width, length, role)
            for agent, space, role in zip(self.possible_agents, spaces, np.eye(len(spaces)).tolist(), strict=True)
        }
        self._action_spaces = {agent: Discrete(width) for agent in self._lists}
        self._observation_spaces = {agent: masks.observation_space(t, mask) for agent, t in self._lists.items()}
        self.state_space = Box(0.0, 1.0, self.state().shape, np.float32)

    def state(self) -> NDArray[np.float32]:
        """What all agents see, one after the other, without masks; a fresh array."""
        return np.concatenate([tokens.seen for tokens in self._lists.values()])

    def _restart(self) -> None:
        for tokens in self._lists.values():
            tokens.restart()

    def _chosen(self) -> JointAction:
        return {module: tuple(self._lists[agent].choices) for agent, module in self.module_of.items()}

    def _to_native(self, module: AgentID, action: Sequence[Any]) -> tuple[int, ...]:
        return fold_tokens(action, self.env.search_spaces[module], module)

    def _from_native(self, module: AgentID, action: tuple[int, ...]) -> list[int]:
        return list(action)
