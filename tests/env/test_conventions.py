"""Every numbered convention, on every registered environment, in every variant."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from small_games import four_agents, game

import ma2ml_env
from ma2ml_env import registry
from ma2ml_env.testing import check_env, play, rollout, variants_of
from ma2ml_env.testing.conventions import CONVENTIONS
from ma2ml_env.testing.variants import Remembered
from ma2ml_env.wrappers import TokensEnv

GAMES = {"one agent": lambda: game("hpo"), "three agents": game, "four agents": four_agents}
INSTANT = [
    env_id for env_id in ma2ml_env.env_ids() if "synthetic" in env_id or "surrogate" in env_id or "fcnet" in env_id
]
TASKS = {env_id: registry.entry(env_id).evaluator.get("task", {}) for env_id in ma2ml_env.env_ids()}
ELSEWHERE = ("cifar", "fashion", "imagenet", "mnist")
UNTRAINED = [env_id for env_id, task in TASKS.items() if task.get("kind", "").startswith(ELSEWHERE)]
TRAINED = [env_id for env_id in ma2ml_env.env_ids() if env_id not in (*INSTANT, *UNTRAINED)]
VARIANTS = list(variants_of(game(), []))


class Costed:
    """Stands in for the training of images that are not here: real FLOPs and parameters, an accuracy drawn by lot."""

    def __init__(self, evaluator):
        self.cost = evaluator.cost

    def __call__(self, pipeline, *, seed):
        cost = self.cost(pipeline)
        drawn = np.random.default_rng(pipeline.random_seed(seed)).random()
        return ma2ml_env.Result(drawn, cost.flops, cost.params, seconds=0.0)


@cache
def stage(name):
    """Variants of an environment that remembers its results, and the pipelines to play: one where it takes seconds."""
    env = GAMES[name]() if name in GAMES else ma2ml_env.make(name)
    env.evaluator = Remembered(Costed(env.evaluator) if name in UNTRAINED else env.evaluator)
    if name in TRAINED:
        actions = [{agent: space.default for agent, space in env.search_spaces.items()}]
    else:
        rng = np.random.default_rng(0)
        actions = [{agent: space.sample(rng) for agent, space in env.search_spaces.items()} for _ in range(3)]
    return variants_of(env, actions), actions


@pytest.mark.parametrize("number", CONVENTIONS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", [*GAMES, *INSTANT])
def test_a_variant_keeps_a_convention(name, variant, number):
    variants, actions = stage(name)
    CONVENTIONS[number](variants[variant], actions)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", [*TRAINED, *UNTRAINED])
def test_a_variant_of_a_trained_environment_keeps_the_conventions(name, variant):
    variants, actions = stage(name)
    for check in CONVENTIONS.values():
        check(variants[variant], actions)


@pytest.mark.parametrize("name", [*GAMES, *INSTANT, *TRAINED, *UNTRAINED])
def test_the_same_pipeline_gets_the_same_reward_in_every_variant(name):
    variants, actions = stage(name)
    for action in actions:
        paid = {variant: play(make(), action) for variant, make in variants.items()}
        native = variants["native"]()
        expected = native.reward(native.evaluate(native.decode(action), seed=0))
        assert paid == dict.fromkeys(VARIANTS, expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_seed_reaches_the_evaluation_and_stays(variant):
    variants, actions = stage("three agents")
    made = variants[variant]()
    native = variants["native"]()
    for seed, kept in ((0, 0), (3, 3), (None, 3), (4, 4), (None, 4)):
        expected = native.reward(native.evaluate(native.decode(actions[0]), seed=kept))
        assert play(made, actions[0], seed=seed) == expected
        assert made.last_trial.seed == kept


def random_episodes(env, episodes, seed):
    """All that an environment returns while its action spaces, seeded, are sampled from; masks are not respected."""
    for i, agent in enumerate(env.possible_agents):
        env.action_space(agent).seed(seed + i)
    for _ in range(episodes):
        yield env.reset(seed=seed)
        while env.agents:
            yield env.step({agent: env.action_space(agent).sample() for agent in env.agents})


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if not variant.startswith(("aec", "joint"))])
def test_two_copies_say_the_same_over_many_steps(variant):
    make = stage("four agents")[0][variant]
    pairs = list(zip(random_episodes(make(), 3, 7), random_episodes(make(), 3, 7), strict=True))
    assert len(pairs) == 3 * (6 if "tokens" in variant else 2)
    for one, other in pairs:
        np.testing.assert_equal(one, other)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_trial_reaches_the_log_whatever_the_variant(variant):
    seen = []
    env = four_agents(record=lambda trial: seen.append(trial.pipeline.action))
    rng = np.random.default_rng(1)
    actions = [{agent: space.sample(rng) for agent, space in env.search_spaces.items()} for _ in range(2)]
    made = variants_of(env, actions)[variant]()
    (made if variant == "native" else made.env).record = env.record
    for action in actions:
        for moment in rollout(made, action):
            for info in moment.infos.values():
                info.clear()
    assert seen == actions


@pytest.mark.parametrize("make", [game, four_agents])
def test_check_env_passes_ours_and_leaves_them_alone(make):
    env = make()
    evaluator = env.evaluator
    check_env(env)
    assert env.evaluator is evaluator
    assert env.last_trial is None


class SharesItsInfos(ma2ml_env.AutoMLEnv):
    def step(self, actions):
        *said, infos = super().step(actions)
        return (*said, dict.fromkeys(infos, infos["aug"]))


class PaysOneAgentLess(ma2ml_env.AutoMLEnv):
    def step(self, actions):
        observations, rewards, *said = super().step(actions)
        return observations, {**rewards, "aug": rewards["aug"] / 2}, *said


class TalksInInfos(ma2ml_env.AutoMLEnv):
    def reset(self, seed=None, options=None):
        observations, infos = super().reset(seed, options)
        return observations, {agent: {**info, "text": "hello"} for agent, info in infos.items()}


class LosesItsSeed(ma2ml_env.AutoMLEnv):
    def reset(self, seed=None, options=None):
        return super().reset(self.evaluation_seed + 1 if seed is None else seed, options)


class HasASeed(ma2ml_env.AutoMLEnv):
    seed = 0


class MakesNewSpaces(ma2ml_env.AutoMLEnv):
    def action_space(self, agent):
        return type(super().action_space(agent))(self.search_spaces[agent].nvec)


class KeepsItsAgents(ma2ml_env.AutoMLEnv):
    def step(self, actions):
        agents, said = self.agents, super().step(actions)
        agents.clear()
        return said


class LeaksItsState(ma2ml_env.AutoMLEnv):
    def state(self):
        self._leaked = getattr(self, "_leaked", super().state())
        return self._leaked


@pytest.mark.parametrize(
    ("broken", "number"),
    [
        (MakesNewSpaces, 2),
        (KeepsItsAgents, 2),
        (SharesItsInfos, 3),
        (TalksInInfos, 3),
        (PaysOneAgentLess, 4),
        (LeaksItsState, 7),
        (LosesItsSeed, 9),
        (HasASeed, 12),
    ],
)
def test_check_env_names_the_convention_that_does_not_hold(broken, number):
    ours = game()
    env = broken(ours.search_spaces, ours.evaluator, ours.reward)
    with pytest.raises(AssertionError, match=f"convention {number}:"):
        check_env(env)


def test_check_env_refuses_what_is_not_an_environment_of_ours():
    with pytest.raises(ValueError, match="not a TokensEnv"):
        check_env(TokensEnv(game()))
