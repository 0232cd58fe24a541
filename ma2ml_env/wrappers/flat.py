"""The form `flat`: an action is an index into a codebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gymnasium.spaces import Discrete

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID
from ma2ml_env.wrappers.actions import whole_number
from ma2ml_env.wrappers.codebook import check_codebook, draw_codebook
from ma2ml_env.wrappers.parallel import ParallelForm


class FlatEnv(ParallelForm):
    """All agents act in one `Discrete`: an index into a codebook of the module's actions.

    Agents are `agent_0`, `agent_1`, ... in the order of the modules; the observation is the agent's role, one-hot. The
    space is as large as the longest codebook; an index is taken modulo the module's own. Only the pipelines of the
    codebooks can be reached: a few hundred actions per module of the many that there are.

    Attributes:
        codebook: {module: its actions}.

    Args:
        env: an `AutoMLEnv`.
        codebook_size: how many actions to draw per module, see `draw_codebook`.
        codebook: {module: actions} instead, for example `codebook_of(pipelines)`.

    Raises:
        ValueError: if `env` is not one of ours, both of codebook and size are given, or one of them does not fit.

    Source: ours, for libraries that know `Discrete` only.
    """

    form: ClassVar[str] = "flat"
    options: ClassVar[tuple[str, ...]] = ("codebook_size", "codebook")

    def __init__(
        self,
        env: AutoMLEnv,
        codebook_size: int | None = None,
        codebook: Mapping[AgentID, Sequence[Any]] | None = None,
    ) -> None:
        super().__init__(env, numbered=True)
        if codebook is None:
            self.codebook = draw_codebook(env.search_spaces, codebook_size)
        elif codebook_size is None:
            self.codebook = check_codebook(codebook, env.search_spaces)
        else:
            raise ValueError("give codebook_size or codebook, not both: a given codebook has its own size")
        size = max(len(actions) for actions in self.codebook.values())
        self._action_spaces = {agent: Discrete(size) for agent in self.possible_agents}

    def _to_native(self, module: AgentID, action: Any) -> tuple[int, ...]:
        actions = self.codebook[module]
        return actions[whole_number(action, module) % len(actions)]

    def _from_native(self, module: AgentID, action: tuple[int, ...]) -> int:
        if action not in self.codebook[module]:
            raise ValueError(f"the codebook of {module!r} does not hold {action}")
        return self.codebook[module].index(action)
