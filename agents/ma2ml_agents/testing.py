"""`check_learner`: checks of the `Learner` protocol, for authors of learners."""

from __future__ import annotations

import dataclasses
import io
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import ma2ml_env
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.learner import Actions, AgentSpec, Batch, Learner, Observations, agent_specs
from ma2ml_agents.learners.random_search import RandomSearch
from ma2ml_agents.search import run_search
from ma2ml_env import Result

GAMES = (
    (AgentSpec("aug", (4, 3, 2), 3), AgentSpec("nas", (2, 5, 1, 3), 3), AgentSpec("hpo", (3,), 3)),
    (AgentSpec("a", (2, 2), 4), AgentSpec("b", (3,), 4), AgentSpec("c", (2, 4), 4), AgentSpec("d", (5, 2), 4)),
    (AgentSpec("all", (3, 4, 2, 2), 1, active=((), ((0, (1, 2)),), ((1, (2, 3)),), ())),),
)
"""Small games of one, three and four agents for the checks; the last has conditional decisions."""
UPDATES = 6


def check_learner(
    learner_class: type[Any], *, budget: int = 200, seed: int = 0, improves: bool = True, **settings: Any
) -> None:
    """Checks that a learner conforms, on games of one, three and four agents.

    It must have a `Config` whose fields all have defaults; propose integers of the right shape and range for any
    number of proposals; depend on its seed and batches alone, and leave the global random states unchanged; continue
    after `load_state_dict` as if uninterrupted; and propose better pipelines than random search.

    Args:
        learner_class: the class, built as `learner_class(specs, config, seed=seed)`.
        budget: evaluations of `ma2ml/synthetic-v0` for the comparison with random search.
        seed: seed of the learners.
        improves: whether to make that comparison.
        **settings: settings of its `Config`.

    Raises:
        AssertionError: if a check fails, with its name.

    Source: PettingZoo's `parallel_api_test`.
    """
    _check_config(learner_class)
    for specs in GAMES:
        _check_protocol(_made(learner_class, specs, seed, settings))
        _check_shapes(_made(learner_class, specs, seed, settings), specs)
        _check_determinism(learner_class, specs, seed, settings)
        _check_resume(learner_class, specs, seed, settings)
    if improves:
        _check_improvement(learner_class, budget, seed, settings)


def play(learner: Learner, specs: Sequence[AgentSpec], updates: int, ahead: int = 0) -> list[NDArray[np.int64]]:
    """Plays a small game, in which larger choices are better, with a learner.

    Args:
        learner: the player.
        specs: its agents.
        updates: number of batches that it learns from.
        ahead: number of proposals beyond a batch requested at first, as in a search that runs ahead.

    Returns:
        Proposals of each round, all agents' decisions concatenated, shape (B, D).
    """
    rounds, waiting = [], np.empty((0, sum(len(spec.nvec) for spec in specs)), dtype=np.int64)
    for _ in range(updates):
        wanted = learner.batch_size + ahead - len(waiting)
        actions = learner.act(observations_of(specs, wanted))
        rounds.append(np.concatenate([np.asarray(actions[spec.name]) for spec in specs], axis=1))
        waiting = np.concatenate([waiting, rounds[-1]])
        now, waiting = waiting[: learner.batch_size], waiting[learner.batch_size :]
        learner.update(batch_of(specs, now))
    return rounds


def observations_of(specs: Sequence[AgentSpec], rows: int) -> Observations:
    """Returns observations of `rows` episodes, all zero."""
    return {spec.name: np.zeros((rows, spec.observation_size), dtype=np.float32) for spec in specs}


def batch_of(specs: Sequence[AgentSpec], joint: NDArray[np.int64]) -> Batch:
    """Returns the small game's results of joint actions, shape (B, D), with the mean relative choice as reward.

    Inactive decisions count, and are returned, as their first choice.
    """
    joint = Layout(specs).canonical(joint)
    ends = np.cumsum([len(spec.nvec) for spec in specs])
    parts = np.split(joint, ends[:-1], axis=1)
    most = np.concatenate([spec.nvec for spec in specs]) - 1
    rewards = (joint / np.maximum(most, 1)).mean(axis=1)
    actions = {spec.name: part for spec, part in zip(specs, parts, strict=True)}
    results = [Result(accuracy=reward, flops=1e6, params=1e4, seconds=0.0) for reward in rewards.tolist()]
    return Batch(observations_of(specs, len(joint)), actions, rewards, results)


def _made(learner_class: type[Any], specs: Sequence[AgentSpec], seed: int, settings: dict[str, Any]) -> Any:
    return learner_class(specs, learner_class.Config(**settings), seed=seed)


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise AssertionError(complaint)


def _check_config(learner_class: type[Any]) -> None:
    config = getattr(learner_class, "Config", None)
    _require(dataclasses.is_dataclass(config), "a learner requires a dataclass `Config` inside its class")
    for field in dataclasses.fields(config) if config is not None else ():
        given = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        _require(given, f"Config.{field.name} requires a default")


def _check_protocol(learner: Any) -> None:
    _require(isinstance(learner, Learner), "a learner requires Config, batch_size, on_policy and the four methods")
    size = learner.batch_size
    _require(isinstance(size, int) and size >= 1, f"batch_size must be a whole number of at least 1, not {size!r}")
    _require(isinstance(learner.on_policy, bool), f"on_policy must be True or False, not {learner.on_policy!r}")


def _check_shapes(learner: Learner, specs: Sequence[AgentSpec]) -> None:
    for rows in (1, 3, learner.batch_size):
        _check_actions(learner.act(observations_of(specs, rows)), specs, rows)


def _check_actions(actions: Actions, specs: Sequence[AgentSpec], rows: int) -> None:
    names = [spec.name for spec in specs]
    _require(set(actions) == set(names), f"act must return the actions of {names}, not of {list(actions)}")
    for spec in specs:
        action, shape = np.asarray(actions[spec.name]), (rows, len(spec.nvec))
        _require(action.shape == shape, f"agent {spec.name!r}: act returned shape {action.shape}, not {shape}")
        _require(action.dtype.kind in "iu", f"agent {spec.name!r}: actions must be integers, not {action.dtype}")
        inside = (action >= 0) & (action < np.array(spec.nvec))
        _require(bool(inside.all()), f"agent {spec.name!r}: a choice is out of range, the numbers are {spec.nvec}")


def _check_determinism(
    learner_class: type[Any], specs: Sequence[AgentSpec], seed: int, settings: dict[str, Any]
) -> None:
    rounds = []
    for disturbance in (1, 2):
        random.seed(disturbance)
        np.random.seed(disturbance)  # noqa: NPY002 - the global state is what is disturbed
        torch.manual_seed(disturbance)
        before = _global_states()
        rounds.append(play(_made(learner_class, specs, seed, settings), specs, UPDATES))
        _require(_global_states() == before, "a learner must leave the global random states as they are")
    _require(
        _equal(*rounds), "the same seed and batches must produce the same proposals, whatever the global random state"
    )


def _global_states() -> tuple[str, str, str]:
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 - the global state is what is compared
    return (
        str(random.getstate()),
        str([np.array(numpy_state["state"]["key"]).tolist(), numpy_state["state"]["pos"]]),
        str(torch.get_rng_state().tolist()),
    )


def _check_resume(learner_class: type[Any], specs: Sequence[AgentSpec], seed: int, settings: dict[str, Any]) -> None:
    whole = _made(learner_class, specs, seed, settings)
    play(whole, specs, UPDATES)
    foreign = _foreign(whole.state_dict(), "state_dict()")
    _require(
        foreign is None,
        f"{foreign}; a checkpoint holds tensors, numbers, strings, and lists and dicts of them "
        "(an array becomes a tensor by torch.from_numpy)",
    )
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed = _made(learner_class, specs, seed + 1, settings)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    _require(
        _equal(play(whole, specs, UPDATES, ahead=2), play(resumed, specs, UPDATES, ahead=2)),
        "after load_state_dict a learner must continue as if it had not been interrupted",
    )


def _foreign(state: Any, where: str) -> str | None:
    """Place and type of the first part of a state that no checkpoint can hold, None if there is none."""
    if isinstance(state, dict):
        inside = [(value, f"{where}[{name!r}]") for name, value in state.items()]
    elif isinstance(state, list | tuple):
        inside = [(value, f"{where}[{number}]") for number, value in enumerate(state)]
    else:
        plain = isinstance(state, torch.Tensor | str | bytes) or type(state) in (bool, int, float, type(None))
        return None if plain else f"{where} is of type {type(state).__name__}"
    return next((found for part in inside if (found := _foreign(*part)) is not None), None)


def _equal(one: list[NDArray[np.int64]], other: list[NDArray[np.int64]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _check_improvement(learner_class: type[Any], budget: int, seed: int, settings: dict[str, Any]) -> None:
    """Requires the later half of a search to beat random search by more than two standard errors."""
    env = ma2ml_env.make("ma2ml/synthetic-v0")
    specs = agent_specs(env)

    def later(learner: Any) -> NDArray[np.float64]:
        trials = run_search(env, learner, budget)
        return np.array([env.expected(trial.pipeline).accuracy for trial in trials[budget // 2 :]])

    found, by_chance = later(_made(learner_class, specs, seed, settings)), later(RandomSearch(specs, seed=seed))
    doubt = 2.0 * np.sqrt((found.var() + by_chance.var()) / len(found))
    _require(
        found.mean() > by_chance.mean() + doubt,
        f"after {budget // 2} of {budget} pipelines accuracy is {found.mean():.3f} on average, "
        f"random search's {by_chance.mean():.3f}, and the margin of error of their difference is {doubt:.3f}",
    )
