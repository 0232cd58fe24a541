"""What the forms with simultaneous moves share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pettingzoo import ParallelEnv

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID
from ma2ml_env.wrappers.actions import NO_EPISODE
from ma2ml_env.wrappers.agents import MultiAgentForm

Step = tuple[
    dict[AgentID, Any], dict[AgentID, float], dict[AgentID, bool], dict[AgentID, bool], dict[AgentID, dict[str, Any]]
]


class ParallelForm(MultiAgentForm, ParallelEnv[AgentID, Any, Any]):  # type: ignore[misc]  # PettingZoo has no types
    """A PettingZoo parallel environment: all agents move at once, and unless a subclass says otherwise, once.

    Args:
        env: an `AutoMLEnv`.
        numbered: see `MultiAgentForm`.

    Raises:
        ValueError: if `env` is not one of ours.

    Source: ours, after PettingZoo's wrappers.
    """

    @property
    def unwrapped(self) -> AutoMLEnv:
        """The environment that this form stands for."""
        return self.env

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[AgentID, Any], dict[AgentID, dict[str, Any]]]:
        """Start an episode; see `AutoMLEnv.reset`."""
        observations, infos = self.env.reset(seed, options)
        self.agents = self.possible_agents[:]
        return self._rename(observations), self._rename(infos)

    def step(self, actions: Mapping[AgentID, Any]) -> Step:
        """Evaluate the pipeline that the actions describe; see `AutoMLEnv.step`.

        Raises:
            ValueError: as `to_native` does.
            RuntimeError: if the episode has ended or not begun.
        """
        if not self.agents:
            raise RuntimeError(NO_EPISODE)
        observations, rewards, terminations, truncations, infos = self.env.step(self.to_native(actions))
        self.agents = []
        rename = self._rename
        return rename(observations), rename(rewards), rename(terminations), rename(truncations), rename(infos)

    def _rename(self, by_module: Mapping[AgentID, Any]) -> dict[AgentID, Any]:
        return {agent: by_module[module] for agent, module in self.module_of.items()}
