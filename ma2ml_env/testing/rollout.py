"""Rollouts: one pipeline played to the end in any variant of an environment, with all that was returned."""

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
    """All that is returned by `reset` (without rewards) or a step; the joint variants have one agent, `"joint"`.

    Attributes:
        observations: by agent.
        rewards: by agent.
        terminations: by agent.
        truncations: by agent.
        infos: by agent.
        state: the global state.
    """

    observations: Mapping[AgentID, Any]
    rewards: Mapping[AgentID, float]
    terminations: Mapping[AgentID, bool]
    truncations: Mapping[AgentID, bool]
    infos: Mapping[AgentID, Mapping[str, Any]]
    state: NDArray[np.float32]


def is_tokens(env: Any) -> bool:
    """Returns whether an environment makes one decision per step."""
    return str(getattr(env, "variant", "")).endswith("tokens")


def moves(env: Any, action: JointAction) -> list[Any]:
    """Returns the arguments of `step`, call by call, that evaluate a joint action in an environment or variant."""
    if isinstance(env, AutoMLEnv):
        return [dict(action)]
    own = env.from_native(action)
    if _is_joint(env):
        return list(own) if is_tokens(env) else [own]
    if isinstance(env, AECEnv):
        return [move for of_agent in own.values() for move in (of_agent if is_tokens(env) else [of_agent])]
    if is_tokens(env):
        return [dict(zip(own, tokens, strict=True)) for tokens in zip(*own.values(), strict=True)]
    return [own]


def rollout(env: Any, action: JointAction, seed: int | None = None) -> Iterator[Moment]:
    """Plays a joint action; yields the moment after `reset` and the one after each step.

    Args:
        env: an `AutoMLEnv` or any variant of one.
        action: by module; `from_native` of the variant must be able to represent it.
        seed: passed to `reset`.
    """
    yield _start(env, seed)
    for move in moves(env, action):
        yield step(env, move)


def play(env: Any, action: JointAction, seed: int | None = None) -> float:
    """Returns the reward of a joint action; arguments as of `rollout`."""
    *_, last = rollout(env, action, seed)
    return next(iter(last.rewards.values()))


def step(env: Any, move: Any) -> Moment:
    """Makes one step, and collects what it returns."""
    if isinstance(env, AECEnv):
        env.step(move)
        return _aec_moment(env)
    observation, reward, terminated, truncated, info = env.step(move)
    if _is_joint(env):
        observation, reward, info = {JOINT_AGENT: observation}, {JOINT_AGENT: reward}, {JOINT_AGENT: info}
        terminated, truncated = {JOINT_AGENT: terminated}, {JOINT_AGENT: truncated}
    return Moment(observation, reward, terminated, truncated, info, env.state())


def _is_joint(env: Any) -> bool:
    return isinstance(env, gymnasium.Env)


def _start(env: Any, seed: int | None) -> Moment:
    said = env.reset(seed=seed)
    if isinstance(env, AECEnv):
        return _aec_moment(env)
    observations, infos = said
    if _is_joint(env):
        observations, infos = {JOINT_AGENT: observations}, {JOINT_AGENT: infos}
    return Moment(observations, {}, {}, {}, infos, env.state())


def _aec_moment(env: Any) -> Moment:
    observations = {agent: env.observe(agent) for agent in env.agents}
    return Moment(observations, {**env.rewards}, {**env.terminations}, {**env.truncations}, {**env.infos}, env.state())
