"""One game in every form: the environment that each MARL library can eat. One file per form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ma2ml_env.catalog import nearest
from ma2ml_env.env import AutoMLEnv
from ma2ml_env.wrappers.aec import AECNativeEnv
from ma2ml_env.wrappers.aec_tokens import AECTokensEnv
from ma2ml_env.wrappers.box import BoxEnv
from ma2ml_env.wrappers.codebook import CODEBOOK_VERSION, codebook_of, draw_codebook
from ma2ml_env.wrappers.flat import FlatEnv
from ma2ml_env.wrappers.form import Form
from ma2ml_env.wrappers.joint import JointEnv
from ma2ml_env.wrappers.joint_tokens import JointTokensEnv
from ma2ml_env.wrappers.padded import PaddedEnv
from ma2ml_env.wrappers.tokens import TokensEnv

PARALLEL: Mapping[str, type[Form]] = {"padded": PaddedEnv, "flat": FlatEnv, "tokens": TokensEnv, "box": BoxEnv}
AEC: Mapping[str, type[Form]] = {"native": AECNativeEnv, "tokens": AECTokensEnv}
JOINT: Mapping[str, type[Form]] = {"native": JointEnv, "tokens": JointTokensEnv}


def wrap(env: AutoMLEnv, variant: str = "native", **options: Any) -> Any:
    """A parallel form of an environment.

    Args:
        env: an `AutoMLEnv`.
        variant: `"native"` (the environment itself), `"padded"`, `"flat"`, `"tokens"` or `"box"`.
        **options: the form's own: `codebook_size` and `codebook` of `flat`, `mask` of `tokens`.

    Returns:
        A `pettingzoo.ParallelEnv`.

    Raises:
        ValueError: for an unknown form, an option that it does not have, or an environment that is not ours.

    Source: ours.
    """
    if variant != "native":
        return _wrap(env, variant, PARALLEL, options)
    if not isinstance(env, AutoMLEnv):
        raise ValueError(f"the native form is an AutoMLEnv, not a {type(env).__name__}")
    _check_options(variant, (), options)
    return env


def wrap_aec(env: AutoMLEnv, variant: str = "native", **options: Any) -> Any:
    """A form of an environment in which agents move in turn: a `pettingzoo.AECEnv`.

    Args:
        env: an `AutoMLEnv`.
        variant: `"native"` (one move per agent) or `"tokens"` (one decision a move).
        **options: `mask` of `tokens`.

    Raises:
        ValueError: as `wrap` does.

    Source: ours.
    """
    return _wrap(env, variant, AEC, options)


def wrap_joint(env: AutoMLEnv, variant: str = "native", **options: Any) -> Any:
    """A form of an environment in which one agent controls all modules: a `gymnasium.Env`.

    Args:
        env: an `AutoMLEnv`.
        variant: `"native"` (one step) or `"tokens"` (one decision a step, with `action_masks()`).
        **options: neither form has any.

    Raises:
        ValueError: as `wrap` does.

    Source: ours.
    """
    return _wrap(env, variant, JOINT, options)


def form_options() -> frozenset[str]:
    """The names of all options of all forms; what `make` is given beside them belongs to the environment."""
    return frozenset(option for family in (PARALLEL, AEC, JOINT) for form in family.values() for option in form.options)


def _wrap(env: AutoMLEnv, variant: str, family: Mapping[str, type[Form]], options: Mapping[str, Any]) -> Form:
    if variant not in family:
        names = [*family] if "native" in family else ["native", *family]
        raise ValueError(f"unknown form {variant!r}; {nearest(variant, names)}")
    form = family[variant]
    _check_options(variant, form.options, options)
    return form(env, **options)


def _check_options(variant: str, allowed: tuple[str, ...], options: Mapping[str, Any]) -> None:
    for option in options:
        if option not in allowed:
            hint = nearest(option, allowed) if allowed else "it has none"
            raise ValueError(f"the form {variant!r} has no option {option!r}; {hint}")


__all__ = [
    "AEC",
    "CODEBOOK_VERSION",
    "JOINT",
    "PARALLEL",
    "AECNativeEnv",
    "AECTokensEnv",
    "BoxEnv",
    "FlatEnv",
    "Form",
    "JointEnv",
    "JointTokensEnv",
    "PaddedEnv",
    "TokensEnv",
    "codebook_of",
    "draw_codebook",
    "form_options",
    "wrap",
    "wrap_aec",
    "wrap_joint",
]
