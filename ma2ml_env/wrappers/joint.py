"""The joint form `native`: one agent controls all modules, through Gymnasium's `Env`."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import MultiDiscrete, Space
from numpy.typing import NDArray

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID, JointAction
from ma2ml_env.wrappers.form import Form

Step = tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]


class JointEnv(Form, gymnasium.Env[Any, Any]):
    """One agent acts in one `MultiDiscrete`: the decisions of all modules, in their order.

    The observation is the environment's state: whether the pipeline is still to be chosen, or has been evaluated.
    `unwrapped` is the form itself, as Gymnasium demands; the environment is `env`.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.

    Source: ours, for single-agent libraries.
    """

    form: ClassVar[str] = "joint"

    def __init__(self, env: AutoMLEnv) -> None:
        super().__init__(env)
        self.metadata["render_fps"] = 1  # Gymnasium warns where there is none
        nvec = np.concatenate([space.nvec for space in env.search_spaces.values()])
        self.action_space: Space[Any] = MultiDiscrete(nvec)
        self.observation_space: Space[Any] = env.state_space

    def to_native(self, actions: Any) -> JointAction:
        """The joint action, by module, that an action stands for.

        Raises:
            ValueError: if it is not as many whole numbers as there are decisions.
        """
        return split(actions, self.env)

    def from_native(self, action: JointAction) -> NDArray[np.int64]:
        """The action that stands for a joint action."""
        return np.concatenate([np.array(action[module], dtype=np.int64) for module in self.env.possible_agents])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; see `AutoMLEnv.reset`."""
        super().reset(seed=seed)
        _, infos = self.env.reset(seed, options)
        return self.env.state(), infos[self.env.possible_agents[0]]

    def step(self, action: Any) -> Step:
        """Evaluate the pipeline that the action describes; the episode ends.

        Raises:
            ValueError: for an action of wrong length, type or range.
            RuntimeError: if the episode has ended or not begun.
        """
        reward, info = evaluate(self.env, self.to_native(action))
        return self.env.state(), reward, True, False, info


def evaluate(env: AutoMLEnv, action: JointAction) -> tuple[float, dict[str, Any]]:
    """Step the environment; the shared reward and an info."""
    _, rewards, _, _, infos = env.step(action)
    agent = env.possible_agents[0]
    return rewards[agent], infos[agent]


def split(action: Any, env: AutoMLEnv) -> dict[AgentID, Any]:
    """Cut the decisions of all modules into those of each.

    Raises:
        ValueError: if their number is wrong.
    """
    flat = np.atleast_1d(np.asarray(action))
    ends = np.cumsum([len(space) for space in env.search_spaces.values()])
    if flat.shape != (ends[-1],):
        raise ValueError(f"an action is {ends[-1]} whole numbers, one per decision of all modules, not {flat.shape}")
    return dict(zip(env.search_spaces, np.split(flat, ends[:-1]), strict=True))
