"""RLlib's masked modules on the variant `tokens`: the keys and types that they require."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict
from pettingzoo.utils.wrappers import BaseParallelWrapper
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv

from ma2ml_env.making import make
from ma2ml_env.types import AgentID


class MaskedTokensEnv(ParallelPettingZooEnv):
    """The variant `tokens` with observations `Dict({"observations", "action_mask"})`, masks as floats.

    It is what RLlib's `ActionMaskingTorchRLModule` documents; it takes the logarithm of the mask.

    Args:
        env_id: id of a registered environment.
        **options: further arguments of `ma2ml_env.make`, such as `log_path`.
    """

    def __init__(self, env_id: str, **options: Any) -> None:
        super().__init__(_Renamed(make(env_id, variant="tokens", mask="obs", **options)))  # type: ignore[no-untyped-call]


class _Renamed(BaseParallelWrapper):  # type: ignore[misc]  # PettingZoo has no types
    """Renames the observation's key and turns the mask into floats."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._spaces = {agent: _renamed_space(env.observation_space(agent)) for agent in env.possible_agents}

    def observation_space(self, agent: AgentID) -> Dict:
        """Returns the space of an agent's observations, the same object at every call."""
        return self._spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[AgentID, Any], Any]:
        """Starts an episode; see `TokensEnv.reset`."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return _renamed(observations), infos

    def step(self, actions: Mapping[AgentID, Any]) -> tuple[dict[AgentID, Any], Any, Any, Any, Any]:
        """Makes one decision per agent; see `TokensEnv.step`."""
        observations, *others = self.env.step(actions)
        return _renamed(observations), *others


def _renamed_space(space: Any) -> Dict:
    mask = Box(0.0, 1.0, space["action_mask"].shape, np.float32)
    return Dict({"action_mask": mask, "observations": space["observation"]})


def _renamed(observations: Mapping[AgentID, Any]) -> dict[AgentID, Any]:
    return {
        agent: {"action_mask": seen["action_mask"].astype(np.float32), "observations": seen["observation"]}
        for agent, seen in observations.items()
    }
