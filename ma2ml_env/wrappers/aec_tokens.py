"""The AEC form `tokens`: one decision a move, module after module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID
from ma2ml_env.wrappers import masks
from ma2ml_env.wrappers.actions import whole_number
from ma2ml_env.wrappers.token_form import TokenForm
from ma2ml_env.wrappers.turns import TurnForm


class AECTokensEnv(TokenForm, TurnForm):
    """All agents act in one `Discrete`: `agent_0` makes all decisions of the first module, then `agent_1` its own, ...

    What agents see, masks, folding and infos are those of `TokensEnv`. It cannot be turned into a parallel environment,
    since an agent moves many times before the next one does: `metadata["is_parallelizable"]` is False.

    Args:
        env: an `AutoMLEnv`.
        mask: see `TokensEnv`.

    Raises:
        ValueError: if `env` is not one of ours, or the mask unknown.

    Source: ours, after the autoregressive controllers of NASNet and AutoAugment.
    """

    form: ClassVar[str] = "aec_tokens"

    def __init__(self, env: AutoMLEnv, mask: str = "obs") -> None:
        super().__init__(env, mask)
        self.metadata["is_parallelizable"] = False

    def observe(self, agent: AgentID) -> Any:
        """What an agent sees, fresh."""
        return masks.observation(self._lists[agent], self.mask)

    def _move(self, agent: AgentID, action: Any) -> bool:
        tokens = self._lists[agent]
        tokens.choose(whole_number(action, agent))
        self.infos[agent] = self._info(agent, self._of_env)
        return tokens.done

    def _info(self, agent: AgentID, of_env: Mapping[str, float]) -> dict[str, Any]:
        self._of_env = of_env
        return masks.info(self._lists[agent], self.mask, of_env)
