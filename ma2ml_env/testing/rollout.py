"""One pipeline played to the end in any form of the game, with all that the form said on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from pettingzoo import AECEnv

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.types import AgentID, JointAction

JOINT_AGENT = "joint"


@dataclass(frozen=True)
class Moment:
    """What a form says after `reset` (without rewards) or after a step; the joint forms have one agent, `"joint"`.

    Attributes:
        observations: by agent.
        rewards: by agent.
        terminations: by agent.
        truncations: by agent.
        infos: by agent.
        state: of the whole game.

    Source: ours.
    """

    observations: Mapping[AgentID, Any]
    rewards: Mapping[AgentID, float]
    terminations: Mapping[AgentID, bool]
    truncations: Mapping[AgentID, bool]
    infos: Mapping[AgentID, Mapping[str, Any]]
    state: NDArray[np.float32]


def is_tokens(form: Any) -> bool:
    """Whether a form makes one decision a step."""
    return str(getattr(form, "form", "")).endswith("tokens")


def moves(form: Any, action: JointAction) -> list[Any]:
    """What to hand to `step`, one call after the other, to evaluate a joint action in a form."""
    if isinstance(form, AutoMLEnv):
        return [dict(action)]
    own = form.from_native(action)
    if _is_joint(form):
        return list(own) if is_tokens(form) else [own]
    if isinstance(form, AECEnv):
        return [move for of_agent in own.values() for move in (of_agent if is_tokens(form) else [of_agent])]
    if is_tokens(form):
        return [dict(zip(own, tokens, strict=True)) for tokens in zip(*own.values(), strict=True)]
    return [own]


def rollout(form: Any, action: JointAction, seed: int | None = None) -> Iterator[Moment]:
    """Play a joint action; yields the moment after `reset` and the one after each step.

    Args:
        form: an `AutoMLEnv` or any form of one.
        action: by module; `from_native` of the form must be able to say it.
        seed: given to `reset`.

    Source: ours.
    """
    yield _start(form, seed)
    for move in moves(form, action):
        yield step(form, move)


def play(form: Any, action: JointAction, seed: int | None = None) -> float:
    """The reward that a joint action is paid in a form; arguments as of `rollout`.

    Source: ours.
    """
    *_, last = rollout(form, action, seed)
    return next(iter(last.rewards.values()))


def step(form: Any, move: Any) -> Moment:
    """Make one step in any form, and collect what it says."""
    if isinstance(form, AECEnv):
        form.step(move)
        return _aec_moment(form)
    observation, reward, terminated, truncated, info = form.step(move)
    if _is_joint(form):
        observation, reward, info = {JOINT_AGENT: observation}, {JOINT_AGENT: reward}, {JOINT_AGENT: info}
        terminated, truncated = {JOINT_AGENT: terminated}, {JOINT_AGENT: truncated}
    return Moment(observation, reward, terminated, truncated, info, form.state())


def _is_joint(form: Any) -> bool:
    return isinstance(form, gymnasium.Env)


def _start(form: Any, seed: int | None) -> Moment:
    said = form.reset(seed=seed)
    if isinstance(form, AECEnv):
        return _aec_moment(form)
    observations, infos = said
    if _is_joint(form):
        observations, infos = {JOINT_AGENT: observations}, {JOINT_AGENT: infos}
    return Moment(observations, {}, {}, {}, infos, form.state())


def _aec_moment(form: Any) -> Moment:
    observations = {agent: form.observe(agent) for agent in form.agents}
    return Moment(
        observations, {**form.rewards}, {**form.terminations}, {**form.truncations}, {**form.infos}, form.state()
    )
