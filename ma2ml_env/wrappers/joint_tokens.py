"""The joint form `tokens`: one agent makes all decisions of all modules, one a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete, Space
from numpy.typing import NDArray

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import JointAction
from ma2ml_env.wrappers.actions import NO_EPISODE, fold_tokens, whole_number
from ma2ml_env.wrappers.form import Form
from ma2ml_env.wrappers.joint import Step, evaluate, split
from ma2ml_env.wrappers.token_list import TokenList


class JointTokensEnv(Form, gymnasium.Env[Any, Any]):
    """One agent acts in one `Discrete` and makes the decisions of all modules, in their order, one a step.

    The reward is 0.0 until the last step. The observation is the position and all choices so far, as `TokenList`
    describes. Legal tokens are those of `action_masks()`; an illegal one is folded by `% n` and counted in
    `info["illegal"]`. `unwrapped` is the form itself, as Gymnasium demands; the environment is `env`.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.

    Source: ours, for MaskablePPO of sb3-contrib.
    """

    form: ClassVar[str] = "joint_tokens"

    def __init__(self, env: AutoMLEnv) -> None:
        super().__init__(env)
        self.metadata["render_fps"] = 1  # Gymnasium warns where there is none
        nvec = [int(n) for space in env.search_spaces.values() for n in space.nvec]
        self._tokens = TokenList(nvec, max(nvec), len(nvec))
        self._playing = False
        self._of_env: dict[str, Any] = {}
        self.action_space: Space[Any] = Discrete(max(nvec))
        self.observation_space: Space[Any] = self._tokens.space

    def action_masks(self) -> NDArray[np.bool_]:
        """Which tokens are legal now, a fresh array; never all False."""
        return self._tokens.legal.astype(bool)

    def to_native(self, actions: Sequence[Any]) -> JointAction:
        """The joint action, by module, that an episode's tokens stand for.

        Raises:
            ValueError: if there are not as many as decisions, or one is not a whole number.
        """
        spaces = self.env.search_spaces
        return {m: fold_tokens(tokens, spaces[m], m) for m, tokens in split(actions, self.env).items()}

    def from_native(self, action: JointAction) -> list[int]:
        """The tokens that stand for a joint action."""
        return [int(choice) for module in self.env.possible_agents for choice in action[module]]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; see `AutoMLEnv.reset`."""
        super().reset(seed=seed)
        _, infos = self.env.reset(seed, options)
        self._of_env = infos[self.env.possible_agents[0]]
        self._tokens.restart()
        self._playing = True
        return self._tokens.seen.copy(), self._info()

    def step(self, action: Any) -> Step:
        """Make the next decision; the last one evaluates the pipeline.

        Raises:
            ValueError: for an action that is not one whole number.
            RuntimeError: if the episode has ended or not begun.
        """
        if not self._playing:
            raise RuntimeError(NO_EPISODE)
        tokens = self._tokens
        tokens.choose(whole_number(action, self.form))
        reward = 0.0
        if tokens.done:
            reward, self._of_env = evaluate(self.env, split(tokens.choices, self.env))
            self._playing = False
        return tokens.seen.copy(), reward, tokens.done, False, self._info()

    def _info(self) -> dict[str, Any]:
        return {**self._of_env, "illegal": self._tokens.illegal}
