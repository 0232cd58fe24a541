"""The conventions of the environment, one check each; they are what MARL libraries turned out to require.

Every check accepts a function that makes a variant, and joint actions to play. It raises an AssertionError that names
what does not hold.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo import AECEnv

from ma2ml_env.testing.rollout import Moment, is_tokens, moves, play, rollout, step
from ma2ml_env.testing.variants import MakeVariant
from ma2ml_env.types import JointAction, Pipeline, Result

Actions = Sequence[JointAction]
INTEGER_FORMS: tuple[Callable[[Any], Any], ...] = (
    lambda action: np.asarray(action).tolist(),
    lambda action: np.asarray(action, dtype=np.int8),
    lambda action: np.asarray(action, dtype=np.int32),
    lambda action: np.asarray(action, dtype=np.uint64),
)


def agents_have_names_and_roles(make: MakeVariant, actions: Actions) -> None:
    """1: agents bear the modules' names, or are numbered in their order and see their role, one-hot."""
    env = make()
    if isinstance(env, gymnasium.Env):
        return
    modules = list(env.search_spaces)
    numbered = [f"agent_{i}" for i in range(len(modules))]
    assert env.possible_agents in (modules, numbered), f"agents are {env.possible_agents}"
    spaces = [(env.action_space(agent), env.observation_space(agent)) for agent in env.possible_agents]
    if env.possible_agents == numbered != modules:
        assert all(pair == spaces[0] for pair in spaces), "numbered agents have different spaces"
    first = next(rollout(env, actions[0]))
    for i, agent in enumerate(env.possible_agents):
        role = _vector(first.observations[agent])[: len(modules)]
        assert role.tolist() == np.eye(len(modules))[i].tolist(), f"{agent} sees the role {role}"


def spaces_and_agents_are_stable(make: MakeVariant, actions: Actions) -> None:
    """2: the same space object at every call, fresh dicts of spaces, agents rebound and never changed in place."""
    env = make()
    if isinstance(env, gymnasium.Env):
        assert env.action_space is env.action_space
        return
    for agent in env.possible_agents:
        assert env.observation_space(agent) is env.observation_space(agent)
        assert env.action_space(agent) is env.action_space(agent)
    for name in ("observation_spaces", "action_spaces"):
        first = getattr(env, name)
        assert list(first) == env.possible_agents, f"{name} has the keys {list(first)}"
        first.clear()
        assert list(getattr(env, name)) == env.possible_agents, f"{name} is not a fresh dict"
    possible, before = env.possible_agents, env.possible_agents[:]
    env.reset()
    playing = env.agents
    _play_on(env, actions[0])
    assert env.possible_agents is possible, "possible_agents was rebound"
    assert possible == before, "possible_agents was changed"
    assert playing == before, "agents was changed in place"
    assert env.agents == [], f"after the end, agents is {env.agents}"


def what_is_returned_is_fresh_and_infos_are_numbers(make: MakeVariant, actions: Actions) -> None:
    """3: fresh dicts, an info of its own per agent, the same keys and shapes at reset and step, numbers only."""
    played = [moment for action in actions for moment in rollout(make(), action)]
    shapes = {agent: _shapes(info) for agent, info in played[0].infos.items()}
    returned: list[Any] = []
    for moment in played:
        for agent, info in moment.infos.items():
            assert _shapes(info) == shapes[agent], f"info of {agent} has {_shapes(info)}, not {shapes[agent]}"
            for key, value in info.items():
                array = np.asarray(value)
                assert array.dtype.kind in "iuf", f"info {key!r} is {value!r}, not a number"
                assert np.isfinite(array).all(), f"info {key!r} is {value!r}"
        returned += [*_objects(moment.observations), *moment.infos.values()]
    if not isinstance(make(), AECEnv):  # PettingZoo's AEC keeps the others' infos while one agent moves
        assert len({id(each) for each in returned}) == len(returned), "something returned is not fresh"


def the_reward_is_shared_and_comes_at_the_end(make: MakeVariant, actions: Actions) -> None:
    """4: 0.0 before the end, then the same float for all, all terminated, none truncated, all with an observation."""
    env = make()
    _, *steps = rollout(env, actions[0])
    for moment in steps[:-1]:
        assert set(moment.rewards.values()) == {0.0}, f"rewards before the end: {moment.rewards}"
        assert not any(moment.terminations.values()), "an agent is terminated before the end"
    last = steps[-1]
    agents = getattr(env, "possible_agents", list(last.rewards))
    for said in (last.observations, last.rewards, last.terminations, last.truncations, last.infos):
        assert list(said) == agents, f"at the end only {list(said)} receive something"
    assert all(type(reward) is float for reward in last.rewards.values()), f"rewards are {last.rewards}"
    assert len(set(last.rewards.values())) == 1, f"rewards differ: {last.rewards}"
    assert env.last_trial is not None
    assert next(iter(last.rewards.values())) == env.last_trial.reward
    assert all(last.terminations.values()), "an episode that completes is terminated"
    assert not any(truncated for moment in steps for truncated in moment.truncations.values()), "truncated"


def tokens_are_masked_and_folded(make: MakeVariant, actions: Actions) -> None:
    """5: all agents alive to the last step, valid masks in one place at most, illegal tokens folded and counted."""
    env = make()
    if not is_tokens(env) or isinstance(env, gymnasium.Env):
        return
    for moment in rollout(env, actions[0]):
        assert list(moment.observations) == env.possible_agents, "an agent is gone before the end"
        for agent in env.possible_agents:
            masks = [p["action_mask"] for p in (moment.observations[agent], moment.infos[agent]) if _has_mask(p)]
            assert len(masks) == (env.mask != "none"), f"{agent} has {len(masks)} masks"
            for mask in masks:
                assert mask.dtype == np.int8, f"the mask is {mask.dtype}"
                assert mask.any(), "the mask is all zero"
    width = int(env.action_space(env.possible_agents[0]).n)
    first = {module: (0,) * len(space) for module, space in env.search_spaces.items()}
    folded = {m: space.validate(width % space.nvec) for m, space in env.search_spaces.items()}
    env.env.evaluator = _nothing
    env.reset()
    *_, last = [step(env, _shifted(move, width)) for move in moves(env, first)]
    assert env.last_trial.pipeline.action == folded, "illegal tokens are not folded by % n"
    assert all(info["illegal"] > 0 for info in last.infos.values()), "illegal tokens are not counted"


def actions_of_any_integer_type_are_accepted(make: MakeVariant, actions: Actions) -> None:
    """6: int, list, NumPy scalar and array of any integer type mean the same."""
    expected = play(make(), actions[0])
    if getattr(make(), "variant", "") == "box":
        return
    for convert in (*INTEGER_FORMS, np.atleast_1d):
        env = make()
        env.reset()
        *_, last = [step(env, _converted(move, convert)) for move in moves(env, actions[0])]
        assert next(iter(last.rewards.values())) == expected, "an action of another integer type means something else"


def observations_and_state_are_bounded(make: MakeVariant, actions: Actions) -> None:
    """7: float32 in finite bounds, never all zero; the state a copy, valid before, during and after an episode."""
    env = make()
    assert env.state_space.contains(env.state()), "the state before reset is outside its space"
    for moment in rollout(env, actions[0]):
        for agent, observation in moment.observations.items():
            joint = isinstance(env, gymnasium.Env)
            space = env.observation_space if joint else env.observation_space(agent)
            assert space.contains(observation), f"an observation of {agent} is outside its space"
            assert _vector(observation).dtype == np.float32
            assert _vector(observation).any(), f"an observation of {agent} is all zero"
        assert env.state_space.contains(moment.state), "a state is outside its space"
        assert moment.state.dtype == np.float32
        moment.state[:] = -1.0
        assert env.state_space.contains(env.state()), "the state is not a copy"


def it_can_be_closed_and_pickled(make: MakeVariant, actions: Actions) -> None:
    """8: metadata, render_mode, close twice, cloudpickle before and after reset, no global random state touched."""
    env = make()
    name = env.metadata["name"]
    assert name.rpartition("_v")[2].isdigit(), f"metadata name {name!r} has no version"
    assert set(env.metadata["render_modes"]) == {"ansi", "rgb_array"}
    assert env.metadata["is_parallelizable"] is not (is_tokens(env) and isinstance(env, AECEnv))
    assert env.render_mode in (None, *env.metadata["render_modes"])
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    expected = play(env, actions[0], seed=0)
    after = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    assert before == after, "a global random state was used"
    fresh, started = make(), make()
    started.reset()
    for each in (fresh, started):
        copy = cloudpickle.loads(cloudpickle.dumps(each))
        assert play(copy, actions[0], seed=0) == expected, "a pickled copy pays something else"
    assert isinstance(env.render(), str) or env.render_mode == "rgb_array"
    env.close()
    env.close()


def the_reward_depends_on_seed_and_pipeline_alone(make: MakeVariant, actions: Actions) -> None:
    """9: results independent of what was played before, of order and copy; a reset without a seed keeps the old one."""
    env, other = make(), make()
    there = [play(env, action, seed=0) for action in actions]
    back = [play(other, action, seed=None) for action in reversed(actions)][::-1]
    assert there == back, f"rewards depend on the order: {there}, {back}"
    assert env.evaluation_seed == other.evaluation_seed == 0
    for action in actions:
        pair = zip(rollout(env, action), rollout(other, action), strict=True)
        assert all(data_equivalence(_said(a), _said(b)) for a, b in pair), "two copies return different things"


def action_spaces_are_plain(make: MakeVariant, actions: Actions) -> None:
    """11: Dict and Tuple action spaces are never offered."""
    env = make()
    spaces = [env.action_space] if isinstance(env, gymnasium.Env) else list(env.action_spaces.values())
    assert all(type(space) in (Discrete, MultiDiscrete, Box) for space in spaces), f"action spaces are {spaces}"


def seeds_are_given_to_reset(make: MakeVariant, actions: Actions) -> None:
    """12: no attribute `seed` that libraries would call in vain; seeds of any integer type, in the range of SQLite."""
    env = make()
    assert callable(getattr(env, "seed", print)), "seed is an attribute that cannot be called, as libraries do"
    for seed in (np.int64(3), np.uint8(4), 2**63 - 1):
        env.reset(seed=seed)
        assert env.evaluation_seed == int(seed), f"reset(seed={seed!r}) sets the seed {env.evaluation_seed}"
        assert type(env.evaluation_seed) is int, f"reset(seed={seed!r}) keeps a {type(env.evaluation_seed).__name__}"
    for refused in (-1, 2**63, 0.5, "0"):
        assert _refuses(env, refused), f"reset accepts the seed {refused!r}"
    assert env.evaluation_seed == 2**63 - 1, "a refused seed is kept"


CONVENTIONS: Mapping[int, Callable[[MakeVariant, Actions], None]] = {
    1: agents_have_names_and_roles,
    2: spaces_and_agents_are_stable,
    3: what_is_returned_is_fresh_and_infos_are_numbers,
    4: the_reward_is_shared_and_comes_at_the_end,
    5: tokens_are_masked_and_folded,
    6: actions_of_any_integer_type_are_accepted,
    7: observations_and_state_are_bounded,
    8: it_can_be_closed_and_pickled,
    9: the_reward_depends_on_seed_and_pipeline_alone,
    11: action_spaces_are_plain,
    12: seeds_are_given_to_reset,
}


def _nothing(pipeline: Pipeline, *, seed: int) -> Result:
    return Result(0.0, 0.0, 0.0, 0.0)


def _play_on(env: Any, action: JointAction) -> None:
    for move in moves(env, action):
        env.step(move)
    if isinstance(env, AECEnv):
        for _ in env.possible_agents:
            env.step(None)


def _refuses(env: Any, seed: Any) -> bool:
    try:
        env.reset(seed=seed)
    except ValueError:
        return True
    return False


def _vector(observation: Any) -> Any:
    return observation["observation"] if isinstance(observation, Mapping) else observation


def _has_mask(said: Any) -> bool:
    return isinstance(said, Mapping) and "action_mask" in said


def _shapes(info: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {key: np.shape(value) for key, value in info.items()}


def _objects(observations: Mapping[str, Any]) -> list[Any]:
    return [part for o in observations.values() for part in (o.values() if isinstance(o, Mapping) else [o])]


def _said(moment: Moment) -> dict[str, Any]:
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in vars(moment).items()}


def _shifted(move: Any, width: int) -> Any:
    return {agent: token + width for agent, token in move.items()} if isinstance(move, Mapping) else move + width


def _converted(move: Any, convert: Callable[[Any], Any]) -> Any:
    if isinstance(move, Mapping):
        return {agent: convert(action) for agent, action in move.items()}
    return convert(move)
