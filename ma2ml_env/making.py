"""Registered environments in every variant, by id: `make`, `make_aec`, `make_joint`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

from ma2ml_env import registry
from ma2ml_env.env import AutoMLEnv
from ma2ml_env.wrappers import (
    AECNativeEnv,
    AECTokensEnv,
    AECVariant,
    BoxEnv,
    FlatEnv,
    JointEnv,
    JointTokensEnv,
    JointVariant,
    PaddedEnv,
    ParallelVariant,
    TokensEnv,
    variant_options,
    wrap,
    wrap_aec,
    wrap_joint,
)


@overload
def make(env_id: str, variant: Literal["native"] = "native", **options: Any) -> AutoMLEnv: ...
@overload
def make(env_id: str, variant: Literal["padded"], **options: Any) -> PaddedEnv: ...
@overload
def make(env_id: str, variant: Literal["flat"], **options: Any) -> FlatEnv: ...
@overload
def make(env_id: str, variant: Literal["tokens"], **options: Any) -> TokensEnv: ...
@overload
def make(env_id: str, variant: Literal["box"], **options: Any) -> BoxEnv: ...
@overload
def make(env_id: str, variant: str, **options: Any) -> ParallelVariant: ...
def make(env_id: str, variant: str = "native", **options: Any) -> ParallelVariant:
    """Makes a registered environment, in the variant that a library needs.

    Args:
        env_id: one of `env_ids()`.
        variant: `"native"` (an `AutoMLEnv`), `"padded"`, `"flat"`, `"tokens"` or `"box"`; see `wrap`.
        **options: options of the variant, `render_mode` (`None`, `"ansi"` or `"rgb_array"`), `log_path` (an SQLite file
            to which every trial is appended; several processes may share it), and arguments of the evaluator, task,
            network or reward that replace the registered ones.

    Returns:
        A `pettingzoo.ParallelEnv`.

    Raises:
        ValueError: for an unknown id, variant or option.

    Source: PettingZoo's and Gymnasium's `make`.
    """
    env, of_variant = _made(env_id, options)
    return wrap(env, variant, **of_variant)


@overload
def make_aec(env_id: str, variant: Literal["native"] = "native", **options: Any) -> AECNativeEnv: ...
@overload
def make_aec(env_id: str, variant: Literal["tokens"], **options: Any) -> AECTokensEnv: ...
@overload
def make_aec(env_id: str, variant: str, **options: Any) -> AECVariant: ...
def make_aec(env_id: str, variant: str = "native", **options: Any) -> AECVariant:
    """Makes a registered environment whose agents move in turn, a `pettingzoo.AECEnv`; see `make` and `wrap_aec`.

    Raises:
        ValueError: for an unknown id, variant or option.

    Source: PettingZoo's `make`.
    """
    env, of_variant = _made(env_id, options)
    return wrap_aec(env, variant, **of_variant)


@overload
def make_joint(env_id: str, variant: Literal["native"] = "native", **options: Any) -> JointEnv: ...
@overload
def make_joint(env_id: str, variant: Literal["tokens"], **options: Any) -> JointTokensEnv: ...
@overload
def make_joint(env_id: str, variant: str, **options: Any) -> JointVariant: ...
def make_joint(env_id: str, variant: str = "native", **options: Any) -> JointVariant:
    """Makes a registered environment for one agent, a `gymnasium.Env`; see `make` and `wrap_joint`.

    Raises:
        ValueError: for an unknown id, variant or option.

    Source: Gymnasium's `make`.
    """
    env, of_variant = _made(env_id, options)
    return wrap_joint(env, variant, **of_variant)


def _made(env_id: str, options: Mapping[str, Any]) -> tuple[AutoMLEnv, dict[str, Any]]:
    """Makes the environment; returns it with those of the options that belong to a variant."""
    of_variant = {name: value for name, value in options.items() if name in variant_options()}
    of_env = {name: value for name, value in options.items() if name not in of_variant}
    return registry.make(env_id, **of_env), of_variant
