"""A registered environment as a BenchMARL task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarl.environments.pettingzoo.common import PettingZooClass
from torchrl.envs import EnvBase
from torchrl.envs.libs.pettingzoo import PettingZooWrapper

from ma2ml_env.errors import UnknownNameError, nearest
from ma2ml_env.making import make

VARIANTS = ("flat", "tokens", "box")


class AutoMLTask(PettingZooClass):  # type: ignore[misc]  # BenchMARL has no types
    """A registered environment as a BenchMARL task.

        Experiment(task=AutoMLTask("ma2ml/synthetic-v0", "flat", codebook_size=64), ...)

    Run it with `evaluation=False`: an evaluation episode is one more pipeline that is trained and logged.

    Args:
        env_id: id of a registered environment.
        variant: `"flat"` or `"tokens"`, for algorithms of discrete actions, or `"box"`, for those of continuous ones.
            Agents of `"box"` act in equal spaces, and so share one group.
        **options: further arguments of `ma2ml_env.make`.

    Raises:
        ValueError: for another variant: BenchMARL accepts no `MultiDiscrete`.
    """

    def __init__(self, env_id: str, variant: str, **options: Any) -> None:
        if variant not in VARIANTS:
            raise UnknownNameError(
                f"BenchMARL cannot act in the variant {variant!r}, whose actions are MultiDiscrete; "
                f"{nearest(variant, VARIANTS)}"
            )
        equal = {"equal": True} if variant == "box" else {}
        super().__init__(f"{env_id.rpartition('/')[2]}-{variant}", {"env_id": env_id, "variant": variant, **equal})
        self.config |= options

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any
    ) -> Callable[[], EnvBase]:
        """Returns a function that makes the environment; BenchMARL copies it `num_envs` times."""
        config = dict(self.config)
        return lambda: PettingZooWrapper(
            make(**config), return_state=True, categorical_actions=True, seed=seed, device=device
        )

    def supports_continuous_actions(self) -> bool:
        """True for the variant `box`."""
        return bool(self.config["variant"] == "box")

    def supports_discrete_actions(self) -> bool:
        """True for the variants `flat` and `tokens`."""
        return not self.supports_continuous_actions()

    def has_state(self) -> bool:
        """True: every variant has a state."""
        return True

    def has_render(self, env: EnvBase) -> bool:
        """False: there is nothing to film."""
        return False

    def max_steps(self, env: EnvBase) -> int:
        """Upper bound on the steps of an episode."""
        spaces = make(self.config["env_id"]).search_spaces.values()
        return max(len(space) for space in spaces) if self.config["variant"] == "tokens" else 1

    @staticmethod
    def env_name() -> str:
        """Name of the suite in BenchMARL's logs."""
        return "ma2ml"
