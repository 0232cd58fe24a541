"""Variants in which one agent controls all modules, Gymnasium's `Env`: `native` (one step) and `tokens`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete, Space
from numpy.typing import NDArray

from ma2ml_env.decision import Condition
from ma2ml_env.env import NO_EPISODE, AutoMLEnv
from ma2ml_env.search_space import JointSpace, SearchSpace
from ma2ml_env.types import AgentID, JointAction, check_seed
from ma2ml_env.wrappers.base import Wrapper, whole_number
from ma2ml_env.wrappers.tokens import TokenList

Step = tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]


class JointWrapper(Wrapper, gymnasium.Env[Any, Any]):
    """A Gymnasium environment whose one agent makes the decisions of all modules, in their order.

    `unwrapped` is the variant itself, as Gymnasium demands; the environment is `env`.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.
    """

    action_space: Space[Any]
    observation_space: Space[Any]

    def __init__(self, env: AutoMLEnv) -> None:
        super().__init__(env)
        self.metadata["render_fps"] = 1  # Gymnasium warns where there is none
        self._joint = JointSpace.of(env.search_spaces)

    def _restart(self, seed: int | None, options: dict[str, Any] | None) -> dict[str, Any]:
        """Starts an episode; returns the info."""
        gymnasium.Env.reset(self, seed=None if seed is None else check_seed(seed))
        _, infos = self.env.reset(seed, options)
        return infos[self.env.possible_agents[0]]

    def _evaluate(self, action: JointAction) -> tuple[float, dict[str, Any]]:
        """Steps the environment; returns the shared reward and an info."""
        _, rewards, _, _, infos = self.env.step(action)
        agent = self.env.possible_agents[0]
        return rewards[agent], infos[agent]


class JointEnv(JointWrapper):
    """One agent acts in one `MultiDiscrete`: the decisions of all modules, in their order.

    The observation is the environment's state: whether the pipeline is still to be chosen, or has been evaluated.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.
    """

    variant: ClassVar[str] = "joint"

    def __init__(self, env: AutoMLEnv) -> None:
        super().__init__(env)
        self.action_space = MultiDiscrete(list(self._joint.sizes))
        self.observation_space = env.state_space

    def to_native(self, actions: Any) -> JointAction:
        """Returns the joint action, by module, that an action stands for.

        Raises:
            ValueError: if it is not as many whole numbers as there are decisions.
        """
        return self._joint.split(actions)

    def from_native(self, action: JointAction) -> NDArray[np.int64]:
        """Returns the action that stands for a joint action."""
        return np.array(self._joint.join(action), dtype=np.int64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts an episode; see `AutoMLEnv.reset`."""
        info = self._restart(seed, options)
        return self.env.state(), info

    def step(self, action: Any) -> Step:
        """Evaluates the pipeline that the action describes; the episode ends.

        Raises:
            ValueError: for an action of wrong length, type or range.
            RuntimeError: if the episode has ended or not begun.
        """
        reward, info = self._evaluate(self.to_native(action))
        return self.env.state(), reward, True, False, info


class JointTokensEnv(JointWrapper):
    """One agent acts in one `Discrete` and makes the decisions of all modules, in their order, one per step.

    The reward is 0.0 until the last step. The observation is the position and all choices so far, as `TokenList`
    describes. Legal tokens are those of `action_masks()`, only 0 where a decision is inactive; an illegal one is folded
    by `% n` and counted in `info["illegal"]`.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.

    Source: for MaskablePPO of sb3-contrib.
    """

    variant: ClassVar[str] = "joint_tokens"

    def __init__(self, env: AutoMLEnv) -> None:
        super().__init__(env)
        sizes = self._joint.sizes
        self._tokens = TokenList(sizes, _joint_conditions(env.search_spaces), max(sizes), len(sizes))
        self._playing = False
        self._of_env: dict[str, Any] = {}
        self.action_space = Discrete(max(sizes))
        self.observation_space = self._tokens.space

    def action_masks(self) -> NDArray[np.bool_]:
        """Returns which tokens are legal now, a fresh array; never all False."""
        return self._tokens.legal.astype(bool)

    def to_native(self, actions: Sequence[Any]) -> JointAction:
        """Returns the joint action, by module, that an episode's tokens stand for.

        Raises:
            ValueError: if there are not as many as decisions, or one is not a whole number.
        """
        tokens = self._joint.join(self._joint.split(actions))
        return self._joint.split(self._tokens.fold(tokens))

    def from_native(self, action: JointAction) -> list[int]:
        """Returns the tokens that stand for a joint action."""
        return [int(choice) for choice in self._joint.join(action)]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts an episode; see `AutoMLEnv.reset`."""
        self._of_env = self._restart(seed, options)
        self._tokens.restart()
        self._playing = True
        return self._tokens.observation(masked=False), self._tokens.info(self._of_env, masked=False)

    def step(self, action: Any) -> Step:
        """Makes the next decision; the last one evaluates the pipeline.

        Raises:
            ValueError: for an action that is not one whole number.
            RuntimeError: if the episode has ended or not begun.
        """
        if not self._playing:
            raise RuntimeError(NO_EPISODE)
        tokens = self._tokens
        tokens.choose(whole_number(action))
        reward = 0.0
        if tokens.done:
            reward, self._of_env = self._evaluate(self._joint.split(tokens.choices))
            self._playing = False
        return tokens.observation(masked=False), reward, tokens.done, False, tokens.info(self._of_env, masked=False)


def _joint_conditions(search_spaces: Mapping[AgentID, SearchSpace]) -> list[Condition]:
    """Returns when each decision of a row is active, by places in the row."""
    conditions: list[Condition] = []
    for space in search_spaces.values():
        start = len(conditions)
        conditions += [tuple((start + parent, allowed) for parent, allowed in one) for one in space.conditions]
    return conditions
