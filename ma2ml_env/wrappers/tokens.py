"""The form `tokens`: equal Discrete spaces, every agent makes one decision a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID
from ma2ml_env.wrappers.actions import NO_EPISODE, whole_numbers
from ma2ml_env.wrappers.parallel import ParallelForm, Step
from ma2ml_env.wrappers.token_form import TokenForm


class TokensEnv(TokenForm, ParallelForm):
    """All agents act in one `Discrete`, and each makes the next decision of its module at every step.

    Agents are `agent_0`, `agent_1`, ... in the order of the modules. An episode has as many steps as the longest module
    has decisions; all agents stay to the end, one that is done has a single legal token, 0, that does nothing. The
    reward is 0.0 until the last step. An agent sees its role and its own choices so far, as `TokenList` describes; the
    state is what all agents see.

    The mask says which tokens are legal, int8. An illegal one is folded by `% n` and counted in
    `infos[agent]["illegal"]`.

    Args:
        env: an `AutoMLEnv`.
        mask: `"obs"`: observations are `Dict({"observation", "action_mask"})`; `"info"`: it is
            `infos[agent]["action_mask"]`; `"none"`: there is none.

    Raises:
        ValueError: if `env` is not one of ours, or the mask none of these.

    Source: ours, after the autoregressive controllers of NASNet and AutoAugment.
    """

    form: ClassVar[str] = "tokens"

    def __init__(self, env: AutoMLEnv, mask: str = "obs") -> None:
        super().__init__(env, mask)
        self._length = max(len(space) for space in env.search_spaces.values())
        self._time = 0
        self._of_env: dict[str, Any] = {}
        self._no_reward = dict.fromkeys(self.possible_agents, 0.0)
        self._no = dict.fromkeys(self.possible_agents, False)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[AgentID, Any], dict[AgentID, dict[str, Any]]]:
        """Start an episode; see `AutoMLEnv.reset`."""
        _, infos = self.env.reset(seed, options)
        self.agents = self.possible_agents[:]
        self._time = 0
        self._of_env = infos[self.env.possible_agents[0]]
        self._restart()
        return self._observations(), self._infos()

    def step(self, actions: Mapping[AgentID, Any]) -> Step:
        """Make one decision per agent; the last step evaluates the pipeline.

        Raises:
            ValueError: for a missing or unknown agent, or an action that is not one whole number.
            RuntimeError: if the episode has ended or not begun.
        """
        agents = self.agents
        if not agents:
            raise RuntimeError(NO_EPISODE)
        for decisions, token in zip(self._lists.values(), whole_numbers(actions, agents), strict=True):
            decisions.choose(token)
        self._time += 1
        if self._time >= self._length:
            rewards, terminations, truncations = self._finish()
        else:
            rewards, terminations, truncations = self._no_reward.copy(), self._no.copy(), self._no.copy()
        return self._observations(), rewards, terminations, truncations, self._infos()

    def _finish(self) -> tuple[dict[AgentID, float], dict[AgentID, bool], dict[AgentID, bool]]:
        _, rewards, terminations, truncations, infos = self.env.step(self._chosen())
        self.agents = []
        self._of_env = infos[self.env.possible_agents[0]]
        return self._rename(rewards), self._rename(terminations), self._rename(truncations)

    def _observations(self) -> dict[AgentID, Any]:
        lists = self._lists.items()
        if self.mask == "obs":  # what masks.observation does, written out: a call per agent and step is felt here
            return {a: {"observation": t.seen.copy(), "action_mask": t.legal.copy()} for a, t in lists}
        return {agent: tokens.seen.copy() for agent, tokens in lists}

    def _infos(self) -> dict[AgentID, dict[str, Any]]:
        infos, with_mask = {}, self.mask == "info"
        for agent, tokens in self._lists.items():  # as masks.info does
            infos[agent] = info = self._of_env.copy()
            info["illegal"] = tokens.illegal
            if with_mask:
                info["action_mask"] = tokens.legal.copy()
        return infos

    def _from_native(self, module: AgentID, action: tuple[int, ...]) -> list[int]:
        return [*action, *[0] * (self._length - len(action))]
