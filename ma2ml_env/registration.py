"""Registration of environments: in this package's registry, Gymnasium's and, where it has one, PettingZoo's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gymnasium
import pettingzoo

from ma2ml_env import registry
from ma2ml_env.making import make, make_aec, make_joint


def register_file(path: str | Path) -> list[str]:
    """Registers the environments of a YAML file; `ma2ml_env.make`, Gymnasium and PettingZoo know them afterwards.

    Args:
        path: a file in the format of the package's own `envs_registry.yaml`.

    Returns:
        The new ids.

    Raises:
        ValueError: for an unknown or missing key, a wrong type, a duplicate id, or a part that cannot be made;
            then nothing of the file is registered.
    """
    ids = registry.add_file(path)
    _register_elsewhere(ids)
    return ids


def register_shipped() -> None:
    """Registers the environments that come with the package, without building any of them."""
    _register_elsewhere(registry.add_entries(registry.read_entries(registry.shipped_file())))


def joint_ids(env_id: str) -> dict[str, str]:
    """Returns the Gymnasium ids of an environment's joint variants, {variant: id}.

    Example: of `ma2ml/digits-v0` they are `ma2ml/digits-joint-v0` and `ma2ml/digits-joint-tokens-v0`.
    """
    name, _, version = env_id.rpartition("-v")
    return {"native": f"{name}-joint-v{version}", "tokens": f"{name}-joint-tokens-v{version}"}


def _register_elsewhere(ids: Iterable[str]) -> None:
    """Makes environments known to Gymnasium and, where this PettingZoo has a registry, to PettingZoo.

    Source: Gymnasium's and PettingZoo's registration.
    """
    for env_id in ids:
        for variant, joint_id in joint_ids(env_id).items():
            arguments = {"env_id": env_id, "variant": variant}
            gymnasium.register(id=joint_id, entry_point=_entry_point(make_joint), kwargs=arguments)
        if hasattr(pettingzoo, "register"):
            pettingzoo.register("parallel", env_id, entry_point=_entry_point(make), kwargs={"env_id": env_id})
            pettingzoo.register("aec", env_id, entry_point=_entry_point(make_aec), kwargs={"env_id": env_id})


def _entry_point(function: Callable[..., Any]) -> str:
    """Returns `module:function`, which Gymnasium can store with an environment's spec, a function it cannot."""
    return f"{function.__module__}:{function.__name__}"
