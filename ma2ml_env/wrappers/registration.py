"""Our ids in Gymnasium's registry and, where it has one, in PettingZoo's. Nothing is built or imported by that."""

from __future__ import annotations

from collections.abc import Iterable

import gymnasium
import pettingzoo

MAKING = "ma2ml_env.wrappers.making"


def joint_ids(env_id: str) -> dict[str, str]:
    """The Gymnasium ids of an environment's joint forms, {form: id}.

    Example: of `ma2ml/digits-v0` they are `ma2ml/digits-joint-v0` and `ma2ml/digits-joint-tokens-v0`.

    Source: ours.
    """
    name, _, version = env_id.rpartition("-v")
    return {"native": f"{name}-joint-v{version}", "tokens": f"{name}-joint-tokens-v{version}"}


def register_gymnasium(ids: Iterable[str]) -> None:
    """Let `gymnasium.make` know the joint forms of environments.

    Args:
        ids: as in `ma2ml_env.env_ids()`.

    Source: Gymnasium's registration.
    """
    for env_id in ids:
        for variant, joint_id in joint_ids(env_id).items():
            arguments = {"env_id": env_id, "variant": variant}
            gymnasium.register(id=joint_id, entry_point=f"{MAKING}:make_joint", kwargs=arguments)


def register_pettingzoo(ids: Iterable[str]) -> None:
    """Let `pettingzoo.make` know environments, as `"parallel"` and as `"aec"`, where this PettingZoo has a registry.

    Args:
        ids: as in `ma2ml_env.env_ids()`.

    Source: PettingZoo's registration.
    """
    if not hasattr(pettingzoo, "register"):
        return
    for env_id in ids:
        pettingzoo.register("parallel", env_id, entry_point=f"{MAKING}:make", kwargs={"env_id": env_id})
        pettingzoo.register("aec", env_id, entry_point=f"{MAKING}:make_aec", kwargs={"env_id": env_id})
