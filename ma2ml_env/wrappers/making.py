"""Registered environments in every form, by id: `make`, `make_aec`, `make_joint`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ma2ml_env import registry
from ma2ml_env.wrappers import form_options, wrap, wrap_aec, wrap_joint


def make(env_id: str, variant: str = "native", **options: Any) -> Any:
    """Make a registered environment.

    Args:
        env_id: one of `env_ids()`.
        variant: the form of the game, see `wrap`; `"native"` is an `AutoMLEnv`.
        **options: options of the form, `render_mode` (`None`, `"ansi"` or `"rgb_array"`), `log_path` (an SQLite file to
            which every trial is appended; several processes may share it), and arguments of the evaluator, task,
            network or reward that replace the registered ones.

    Returns:
        A `pettingzoo.ParallelEnv`.

    Raises:
        ValueError: for an unknown id, form or option.

    Source: PettingZoo's and Gymnasium's `make`.
    """
    return _make(wrap, env_id, variant, options)


def make_aec(env_id: str, variant: str = "native", **options: Any) -> Any:
    """Make a registered environment in which agents move in turn, a `pettingzoo.AECEnv`; see `make` and `wrap_aec`.

    Raises:
        ValueError: for an unknown id, form or option.

    Source: PettingZoo's `make`.
    """
    return _make(wrap_aec, env_id, variant, options)


def make_joint(env_id: str, variant: str = "native", **options: Any) -> Any:
    """Make a registered environment for one agent, a `gymnasium.Env`; see `make` and `wrap_joint`.

    Raises:
        ValueError: for an unknown id, form or option.

    Source: Gymnasium's `make`.
    """
    return _make(wrap_joint, env_id, variant, options)


def _make(wrapped: Callable[..., Any], env_id: str, variant: str, options: dict[str, Any]) -> Any:
    of_form = {name: options.pop(name) for name in form_options() & options.keys()}
    return wrapped(registry.make(env_id, **options), variant, **of_form)
