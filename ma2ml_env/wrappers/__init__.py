"""Wrappers that present the environment in the variant that each library accepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest
from ma2ml_env.types import AgentID
from ma2ml_env.wrappers.base import Wrapper
from ma2ml_env.wrappers.codebook import CODEBOOK_VERSION, codebook_of, draw_codebook
from ma2ml_env.wrappers.joint import JointEnv, JointTokensEnv
from ma2ml_env.wrappers.parallel import BoxEnv, FlatEnv, PaddedEnv
from ma2ml_env.wrappers.tokens import TokensEnv
from ma2ml_env.wrappers.turn_based import AECNativeEnv, AECTokensEnv

ParallelVariant = AutoMLEnv | PaddedEnv | FlatEnv | TokensEnv | BoxEnv
AECVariant = AECNativeEnv | AECTokensEnv
JointVariant = JointEnv | JointTokensEnv
WrapperT = TypeVar("WrapperT", bound=Wrapper)

PARALLEL: Mapping[str, type[PaddedEnv | FlatEnv | TokensEnv | BoxEnv]] = {
    "padded": PaddedEnv,
    "flat": FlatEnv,
    "tokens": TokensEnv,
    "box": BoxEnv,
}
AEC: Mapping[str, type[AECVariant]] = {"native": AECNativeEnv, "tokens": AECTokensEnv}
JOINT: Mapping[str, type[JointVariant]] = {"native": JointEnv, "tokens": JointTokensEnv}


@overload
def wrap(env: AutoMLEnv, variant: Literal["native"] = "native") -> AutoMLEnv: ...
@overload
def wrap(env: AutoMLEnv, variant: Literal["padded"]) -> PaddedEnv: ...
@overload
def wrap(
    env: AutoMLEnv,
    variant: Literal["flat"],
    *,
    codebook_size: int | None = None,
    codebook: Mapping[AgentID, Sequence[Any]] | None = None,
) -> FlatEnv: ...
@overload
def wrap(env: AutoMLEnv, variant: Literal["tokens"], *, mask: str = "obs") -> TokensEnv: ...
@overload
def wrap(env: AutoMLEnv, variant: Literal["box"], *, equal: bool = False) -> BoxEnv: ...
@overload
def wrap(env: AutoMLEnv, variant: str, **options: Any) -> ParallelVariant: ...
def wrap(env: AutoMLEnv, variant: str = "native", **options: Any) -> ParallelVariant:
    """Wraps an environment in a variant whose agents act at the same time.

    Args:
        env: an `AutoMLEnv`.
        variant: `"native"` (the environment itself), `"padded"`, `"flat"`, `"tokens"` or `"box"`.
        **options: the variant's own: `codebook_size` and `codebook` of `flat`, `mask` of `tokens`, `equal` of `box`.

    Returns:
        A `pettingzoo.ParallelEnv`.

    Raises:
        ValueError: for an unknown variant, an option that it does not have, or an environment that is not an
            `AutoMLEnv`.
    """
    if variant != "native":
        return _wrapped(env, variant, PARALLEL, options)
    if not isinstance(env, AutoMLEnv):
        raise MA2MLError(f"the variant 'native' is an AutoMLEnv itself, not a {type(env).__name__}")
    _check_options(variant, (), options)
    return env


@overload
def wrap_aec(env: AutoMLEnv, variant: Literal["native"] = "native") -> AECNativeEnv: ...
@overload
def wrap_aec(env: AutoMLEnv, variant: Literal["tokens"], *, mask: str = "obs") -> AECTokensEnv: ...
@overload
def wrap_aec(env: AutoMLEnv, variant: str, **options: Any) -> AECVariant: ...
def wrap_aec(env: AutoMLEnv, variant: str = "native", **options: Any) -> AECVariant:
    """Wraps an environment in a variant whose agents move in turn: a `pettingzoo.AECEnv`.

    Args:
        env: an `AutoMLEnv`.
        variant: `"native"` (one move per agent) or `"tokens"` (one decision per move).
        **options: `mask` of `tokens`.

    Raises:
        ValueError: as `wrap` does.
    """
    return _wrapped(env, variant, AEC, options)


@overload
def wrap_joint(env: AutoMLEnv, variant: Literal["native"] = "native") -> JointEnv: ...
@overload
def wrap_joint(env: AutoMLEnv, variant: Literal["tokens"]) -> JointTokensEnv: ...
@overload
def wrap_joint(env: AutoMLEnv, variant: str, **options: Any) -> JointVariant: ...
def wrap_joint(env: AutoMLEnv, variant: str = "native", **options: Any) -> JointVariant:
    """Wraps an environment in a variant whose one agent controls all modules: a `gymnasium.Env`.

    Args:
        env: an `AutoMLEnv`.
        variant: `"native"` (one step) or `"tokens"` (one decision per step, with `action_masks()`).
        **options: neither variant has any.

    Raises:
        ValueError: as `wrap` does.
    """
    return _wrapped(env, variant, JOINT, options)


def variant_options() -> frozenset[str]:
    """Returns the names of all options of all variants; other arguments of `make` belong to the environment."""
    wrappers: list[type[Wrapper]] = [*PARALLEL.values(), *AEC.values(), *JOINT.values()]
    return frozenset(option for wrapper in wrappers for option in wrapper.options)


def _wrapped(
    env: AutoMLEnv, variant: str, family: Mapping[str, type[WrapperT]], options: Mapping[str, Any]
) -> WrapperT:
    if variant not in family:
        names = [*family] if "native" in family else ["native", *family]
        raise UnknownNameError(f"unknown variant {variant!r}; {nearest(variant, names)}")
    wrapper = family[variant]
    _check_options(variant, wrapper.options, options)
    return wrapper(env, **options)


def _check_options(variant: str, allowed: tuple[str, ...], options: Mapping[str, Any]) -> None:
    for option in options:
        if option not in allowed:
            hint = nearest(option, allowed) if allowed else "it has none"
            raise UnknownNameError(f"the variant {variant!r} has no option {option!r}; {hint}")


__all__ = [
    "AEC",
    "CODEBOOK_VERSION",
    "JOINT",
    "PARALLEL",
    "AECNativeEnv",
    "AECTokensEnv",
    "AECVariant",
    "BoxEnv",
    "FlatEnv",
    "JointEnv",
    "JointTokensEnv",
    "JointVariant",
    "PaddedEnv",
    "ParallelVariant",
    "TokensEnv",
    "Wrapper",
    "codebook_of",
    "draw_codebook",
    "variant_options",
    "wrap",
    "wrap_aec",
    "wrap_joint",
]
